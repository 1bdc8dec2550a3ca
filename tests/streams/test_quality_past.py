"""Quality looks back, never ahead: poison in the future must leave the flags of the past as they were, to the bit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as some

from terracast.streams.bitemporal import known_after
from terracast.streams.city import simulate_city
from terracast.streams.quality import flag, judge, learn, record, recorded
from terracast.streams.quality.labels import bit
from terracast.streams.store import Store

HOUR = np.timedelta64(1, "h")


@pytest.fixture(scope="module")
def air() -> xr.Dataset:
    city = simulate_city(seed=3, days=48, air_nodes=5)
    return city.panels["air"]


def poisoned(panel: xr.Dataset, from_row: int, random: np.random.Generator) -> xr.Dataset:
    held = {}
    for name in panel.data_vars:
        values = panel[name].values.copy()
        wild = random.choice([np.nan, 0.0, 1e30, -1e30, 5.0], values[from_row:].shape)
        values[from_row:] = wild
        held[name] = (("time", "node"), values, panel[name].attrs)
    return panel.assign(held)


@settings(max_examples=5, deadline=None)
@given(row=some.integers(24 * 20, 24 * 48 - 1), seed=some.integers(0, 99))
def test_poison_after_t_leaves_flags_up_to_t_bit_identical(air: xr.Dataset, row: int, seed: int) -> None:
    clean = judge(air)
    other = judge(poisoned(air, row + 1, np.random.default_rng(seed)))
    for name in air.data_vars:
        np.testing.assert_array_equal(clean.first[name].values[: row + 1], other.first[name].values[: row + 1])
    now = air["time"].values[row]
    one, two = (flagged.later[flagged.later["known_time"] <= now].reset_index(drop=True) for flagged in (clean, other))
    pd.testing.assert_frame_equal(one, two)


def test_a_shorter_panel_gives_the_same_flags(air: xr.Dataset) -> None:
    whole, part = flag(air), flag(air.isel(time=slice(0, 24 * 41 + 7)))
    for name in air.data_vars:
        np.testing.assert_array_equal(whole[name].values[: 24 * 41 + 7], part[name].values)


def test_day_by_day_is_as_all_at_once(air: xr.Dataset) -> None:
    reference, begin = learn(air.isel(time=slice(0, 24 * 30))), 24 * 31
    at_once = flag(air, reference=reference, since=air["time"].values[begin])
    for day in range(begin, begin + 24 * 10, 24):
        part = air.isel(time=slice(day - 24 * 9, day + 24))
        daily = flag(part, reference=reference, since=air["time"].values[day])
        for name in air.data_vars:
            rows = slice(day - begin, day - begin + 24)
            # The highest value so far is counted from the first row given: all else must be equal.
            kept = ~np.uint16(bit("saturated"))
            np.testing.assert_array_equal(daily[name].values & kept, at_once[name].values[rows] & kept)


def test_flags_in_the_store_as_known_at_each_step(tmp_path: object) -> None:
    random = np.random.default_rng(0)
    values = random.gamma(6, 5, (24 * 20, 3))
    values[24 * 18 + 3 : 24 * 19 + 6, 1] = 33.0  # stuck over midnight
    panel = known_after(xr.Dataset(
        {"x": (("time", "node"), values, {"units": "ug m-3", "long_name": "x"})},
        {"time": pd.date_range("2020-01-01", periods=len(values), freq="h"), "node": ["a", "b", "c"]},
        {"domain": "air", "kind": "sensor", "step": "1h"}), pd.Timedelta("1h"))
    reference, store, written = learn(panel.isel(time=slice(0, 24 * 15))), Store.open(str(tmp_path)), []
    for row in range(24 * 16, 24 * 20, 6):
        part, since = panel.isel(time=slice(0, row + 6)), panel["time"].values[row]
        now = panel["known_time"].values[row + 5]
        with store.transaction("flags") as step:
            written.append(record(step, "air", judge(part, reference=reference, since=since), now))
            assert record(step, "air", judge(part, reference=reference, since=since), now) == 0
    end = panel["known_time"].values[-1]
    stuck = (recorded(store.read(), "air", panel, end)["x"].values & bit("stuck")) > 0
    assert np.flatnonzero(stuck[:, 1]).tolist() == list(range(24 * 18 + 3, 24 * 19 + 6))
    assert not stuck[:, [0, 2]].any()
    early = recorded(store.read(), "air", panel, panel["known_time"].values[24 * 18 + 5])["x"].values
    assert not (early & bit("stuck")).any()  # three hours in, nobody could know
    with store.transaction("values come right after all") as step:
        repaired = panel.copy(deep=True)
        repaired["x"].values[:] = random.gamma(6, 5, values.shape)
        record(step, "air", judge(repaired, reference=reference, since=panel["time"].values[24 * 18]), end + HOUR)
    after = recorded(store.read(), "air", panel, end + HOUR)["x"].values
    assert not (after & bit("stuck")).any() and sum(written) > 0
    assert (recorded(store.read(), "air", panel, end)["x"].values & bit("stuck")).any()  # as known before
