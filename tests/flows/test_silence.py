"""A silent source is never calm: told once when it begins and once when it ends, since its own last stamp."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from terracast.flows.command import app
from terracast.flows.watch import watch_once

HOUR = np.timedelta64(1, "h")
SEED_DAYS = 31


def newest(panel: xr.Dataset, first: int, days: int) -> np.datetime64:
    """The last stamp with a value among the days delivered."""
    part = panel["no2"].isel(time=slice(24 * first, 24 * days))
    return np.datetime64(part["time"].values[np.flatnonzero(part.notnull().any("node").values)[-1]], "ns")


def test_a_feed_that_stops_is_told_once_and_again_when_it_returns(small_city) -> None:  # type: ignore[no-untyped-def]
    small_city.deliver(0, SEED_DAYS)
    workspace, start = small_city.open(), small_city.day(SEED_DAYS)
    last = newest(small_city.panels["air"], 0, SEED_DAYS)
    calm = watch_once(workspace, start)
    assert not calm.silent and not calm.alarms
    told = [watch_once(workspace, start + hours * HOUR) for hours in (6, 12, 18, 24, 30, 36, 42, 48)]
    first = next(place for place, step in enumerate(told) if step.silent)
    assert first <= 1  # within twelve hours of the last value
    alarms = [text for step in told for text in step.alarms.values() if "nothing came from air" in text.lower()]
    assert len(alarms) == 1, [step.alarms for step in told]
    assert np.datetime_as_string(last, "m").replace("T", " ") in alarms[0]
    for step in told[first:]:
        (air,) = [one for one in step.silent if one["domain"] == "air"]
        assert air["newest"] == np.datetime_as_string(last, "s") and air["whole"] and len(air["nodes"]) == 3
    assert not [text for step in told[first + 1:] for text in step.alarms.values() if "outage" in text]
    small_city.deliver(SEED_DAYS + 2, SEED_DAYS + 3)
    back = watch_once(small_city.open(), small_city.day(SEED_DAYS + 3))
    assert not back.silent and any(text.startswith("air reports again since") for text in back.returned)
    assert not watch_once(small_city.open(), small_city.day(SEED_DAYS + 3) + 6 * HOUR).returned


def test_a_long_silence_gets_no_ticks_and_values_that_come_after_it_do(small_city) -> None:  # type: ignore[no-untyped-def]
    """Off for months: what has values is made up, what has none is not; a feed that ended gets one forecast."""
    small_city.deliver(0, SEED_DAYS)
    late = small_city.day(SEED_DAYS + 400)
    runner, config = CliRunner(), str(small_city.config)
    said = runner.invoke(app, ["watch", "--once", "--config", config, "--now", np.datetime_as_string(late, "s")])
    last = newest(small_city.panels["air"], 0, SEED_DAYS)
    assert said.exit_code == 3 and "All 3 stations are silent" in said.stdout
    assert np.datetime_as_string(last, "D") in said.stdout
    forecasts = small_city.open().store.read().ledger("forecasts/air")
    assert forecasts is not None and forecasts.sizes["issue_time"] == 1 and np.isfinite(forecasts["no2"].values).all()
    assert forecasts["newest"].values[0] == last or forecasts["newest"].values[0] >= last - 2 * HOUR
    again = runner.invoke(app, ["watch", "--once", "--json", "--config", config, "--now",
                                np.datetime_as_string(late + 24 * HOUR, "s")])
    answer = json.loads(again.stdout)
    assert again.exit_code == 3 and answer["ticks"] == 0 and answer["silent"] and not answer["alarms"]
    small_city.deliver(SEED_DAYS + 10, SEED_DAYS + 11)  # known then, and nothing before it since the end
    step = watch_once(small_city.open(), small_city.day(SEED_DAYS + 11))
    issued = small_city.open().store.read().ledger("forecasts/air")["issue_time"].values
    assert 4 <= step.ticks <= 5 and len(np.unique(issued)) == len(issued)
    assert issued[1] >= small_city.day(SEED_DAYS + 10) and (np.diff(issued[1:]) == 6 * HOUR).all()


@pytest.mark.parametrize("case", ["dead-sensors", "clocks-that-never-shifted"])
def test_quality_of_the_cases_by_the_way_a_user_goes(case: str, tmp_path: Path) -> None:
    file = Path(__file__).parents[2].parent / "shared" / "cases" / case / "pm25.csv"
    if not file.exists():
        pytest.skip("no shared cases beside the repository")
    runner, config = CliRunner(), str(tmp_path / "terracast.toml")
    assert runner.invoke(app, ["init", "air", "--from", str(file), "--folder", str(tmp_path)]).exit_code == 0
    assert runner.invoke(app, ["ingest", "--config", config]).exit_code == 0
    answer = json.loads(runner.invoke(app, ["quality", "--json", "--config", config]).stdout)
    told = sorted((one["nodes"][0], one["sort"], one["end"][:10]) for one in answer["tickets"])
    assert told == ([("S1", "stuck", "2024-02-12"), ("S2", "range", "2024-01-18"), ("S3", "stuck", "2024-02-12")]
                    if case == "dead-sensors" else [])
