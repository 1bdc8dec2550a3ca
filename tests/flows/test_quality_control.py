"""A stuck sensor in service: one data ticket, its values set aside and said to be so, the same after a restart."""

import numpy as np
import xarray as xr

from terracast.flows.service.quality_control import load_control, screened
from terracast.flows.status import status
from terracast.flows.watch import watch_once

SEED_DAYS = 31


def test_a_stuck_sensor_is_told_once_and_its_values_are_set_aside(small_city) -> None:  # type: ignore[no-untyped-def]
    small_city.begin(SEED_DAYS)
    first = watch_once(small_city.open(), small_city.day(SEED_DAYS))
    assert first.set_aside == () or all(one["label"] != "stuck" for one in first.set_aside)
    small_city.deliver(SEED_DAYS, SEED_DAYS + 3)
    (report,) = (small_city.folder / "incoming" / "air").glob(f"days-{SEED_DAYS:03d}-*.nc")
    with xr.open_dataset(report) as opened:
        panel = opened.load()
    node = str(panel["node"].values[1])
    panel["no2"].values[:, 1] = 41.5
    report.unlink()
    panel.to_netcdf(report)
    later = small_city.day(SEED_DAYS + 3)
    step = watch_once(small_city.open(), later)
    (alarm,) = [text for text in step.alarms.values() if "repeats one value" in text]
    assert f"{node} repeats one value" in alarm and "count as missing" in alarm
    (aside,) = [one for one in step.set_aside if one["label"] == "stuck" and one["variable"] == "no2"]
    assert aside["nodes"] == [node] and aside["values"] >= 60 and node in aside["words"]
    assert aside in status(small_city.config, str(later)).to_json()["set_aside"]
    view = small_city.open().store.read()
    seen = screened(small_city.open(), view).as_known_at("air", later, small_city.day(SEED_DAYS))["no2"]
    assert np.isnan(seen.values[:, 1]).sum() >= 60 and np.isfinite(seen.values[:, 0]).any()
    assert load_control(view).domains.keys() == {"air", "weather"}
    again = watch_once(small_city.open(), later)
    assert again.ticks == 0 and not again.alarms and again.set_aside == step.set_aside
