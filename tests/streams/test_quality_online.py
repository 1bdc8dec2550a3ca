"""Quality control in service: by what was known at each moment, the same after a restart, small and cheap."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.streams.bitemporal import InMemoryHistory
from terracast.streams.quality.known_flags import KnownFlags
from terracast.streams.quality.labels import bit
from terracast.streams.quality.online import QualityControl, Screened
from terracast.streams.store import Store

pytestmark = pytest.mark.integration

HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
DAYS, BEGIN = 45, 30


def network(nodes: int = 5) -> xr.Dataset:
    """Temperatures that follow a common course, known an hour later; some are faulty in the last fortnight."""
    time = pd.date_range("2023-01-01", periods=24 * DAYS, freq="h").to_numpy().astype("datetime64[ns]")
    draws = np.random.default_rng(5)
    common = 10 + 5 * np.sin(np.arange(len(time)) * 2 * np.pi / 24) + 0.1 * np.cumsum(draws.normal(size=len(time)))
    values = common[:, None] + draws.normal(size=(len(time), nodes))
    values[24 * 33:24 * 34, 0] = values[24 * 33, 0]
    values[24 * 36 + 5, 1] += 40
    values[24 * 38:24 * 43, 2] = 1.8 * values[24 * 38:24 * 43, 2] + 32
    values[24 * 40, 3] = -300.0
    known = np.broadcast_to((time + HOUR)[:, None], values.shape).copy()
    known[24 * 35:24 * 35 + 8, 4] += 9 * HOUR  # late
    return xr.Dataset({"temp": (("time", "node"), values, {"units": "degC", "long_name": "air temperature"})},
                      {"time": time, "node": [f"n{node}" for node in range(nodes)],
                       "known_time": (("time", "node"), known)}, {"domain": "w", "kind": "sensor", "step": "1h"})


def taken(folder: Path) -> int:
    """Bytes in a folder."""
    return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())


def steps(history: InMemoryHistory, control: QualityControl, first: int = BEGIN, last: int = DAYS) -> QualityControl:
    start = np.datetime64("2023-01-01", "ns")
    for now in np.arange(start + first * DAY, start + last * DAY + HOUR, 6 * HOUR):
        control.advance(history, now)
    return control


def test_what_is_planted_is_flagged_when_it_can_be_known() -> None:
    panel = network()
    flags = steps(InMemoryHistory({"w": panel}), QualityControl()).flags("w")
    held = flags.between(panel["time"].values[24 * BEGIN], panel["time"].values[-1] + DAY, ("temp",))
    mask = held.temp.reindex(time=panel["time"], fill_value=0).values
    assert (mask[24 * 33:24 * 34, 0] & bit("stuck") > 0).all() and (mask[24 * 36 + 5, 1] & bit("spike")) > 0
    assert (mask[24 * 38:24 * 43, 2] & bit("unit") > 0).mean() > 0.9 and (mask[24 * 40, 3] & bit("range")) > 0
    assert (mask > 0).sum() < 24 + 1 + 24 * 6 + 3 + 10
    known, stamps = flags.entries[:, 0], flags.entries[:, 1]
    assert (np.diff(known) >= 0).all() and (known >= stamps).all()


def test_garbage_known_later_changes_no_flag_known_by_then(same_trees: Callable[[object, object], None]) -> None:
    panel = network()
    until = panel["time"].values[24 * 39]
    later = ~(panel["known_time"].values <= until)
    poisoned = panel.assign(temp=(("time", "node"), np.where(later, -1e6, panel["temp"].values), panel["temp"].attrs))
    clean, dirty = (steps(InMemoryHistory({"w": one}), QualityControl(), last=39) for one in (panel, poisoned))
    same_trees(clean.state(), dirty.state())
    assert len(clean.flags("w").entries) > 24
    after = steps(InMemoryHistory({"w": poisoned}), dirty, 39)  # and what is known later rewrites nothing
    upto = after.flags("w").entries[:, 0] <= until.astype(np.int64)
    np.testing.assert_array_equal(after.flags("w").entries[upto], clean.flags("w").entries)


def test_the_past_is_flagged_at_the_beginning_as_it_could_have_been_known() -> None:
    panel = network()
    panel["temp"].values[24 * 20:24 * 28, 4] = np.nan
    control, history = QualityControl(), InMemoryHistory({"w": panel})
    control.advance(history, panel["time"].values[-1])
    seen = Screened(history, control)
    before = seen.as_known_at("w", panel["time"].values[24 * 33 + 1])
    assert np.isfinite(before["temp"].values[24 * 33 - 30:]).all()  # not stuck yet, as known then
    after = seen.as_known_at("w", panel["time"].values[24 * 34])["temp"].values
    assert np.isnan(after[24 * 33:24 * 34, 0]).all()
    assert len(control.flags("w").entries) < 300 and control.flags("w").entries[:, 4].any()  # a gap says nothing here


def test_a_restart_at_every_step_changes_nothing_and_a_step_takes_little_room(
        tmp_path: Path, same_trees: Callable[[object, object], None]) -> None:
    panel, start = network(), np.datetime64("2023-01-01", "ns")
    history, whole, parted = InMemoryHistory({"w": panel}), QualityControl(), QualityControl()
    store, plain, more = Store.open(tmp_path / "store"), Store.open(tmp_path / "plain"), []
    for now in np.arange(start + BEGIN * DAY, start + DAYS * DAY, 6 * HOUR):
        whole.advance(history, now)
        parted.advance(InMemoryHistory({"w": panel.sel(time=slice(parted.earliest(now), None))}), now)
        with store.transaction("flags") as step:
            step.set_state("quality", parted.state())
        with plain.transaction("steps") as step:  # what a step takes that says nothing
            step.set_state("quality", {"now": str(now)})
        more.append(taken(tmp_path / "store") - taken(tmp_path / "plain"))
        parted = QualityControl.restore(store.read().state("quality"))
    same_trees(whole.state(), parted.state())
    assert 0 < np.mean(np.diff(more)) < 2048  # of five stations, in bytes; learning anew included


def test_nodes_and_variables_that_join_later_are_flagged_too() -> None:
    flags = KnownFlags().joined(("a",), ("x",)).joined(("a", "b"), ("y", "x"))
    assert (flags.variables, flags.nodes) == (("a", "b"), ("x", "y"))
    time = np.array(["2023-01-01"], "datetime64[ns]")
    changed = flags.changed({"b": np.array([[4, 0]], np.uint16)}, time, ("y", "x"), time[0])
    assert changed.entries[0, 2:].tolist() == [1, 1, 4]
    assert changed.changed({"b": np.array([[4, 0]], np.uint16)}, time, ("y", "x"), time[0] + DAY) is not None
    assert len(changed.changed({"b": np.array([[0, 0]], np.uint16)}, time, ("y", "x"), time[0] + DAY).entries) == 2
    assert flags.masks(time, ("z",), time[0]) == {}


@pytest.mark.parametrize("rows", [0, 1, 20])
def test_a_domain_of_hardly_any_rows_is_no_trouble(rows: int) -> None:
    panel = network().isel(time=slice(0, rows))
    control = QualityControl()
    control.advance(InMemoryHistory({"w": panel}), np.datetime64("2023-01-02", "ns"))
    control.advance(InMemoryHistory({"w": network().isel(time=slice(0, 48))}), np.datetime64("2023-01-03", "ns"))
    assert not len(control.flags("w").entries)
