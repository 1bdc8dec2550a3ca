"""Alignment: the right values, mass kept, and nothing seen before its time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.stats.great_circle import haversine_km
from terracast.streams.alignment import Place, Rule, TimeAxis, align, context
from terracast.streams.bitemporal import InMemoryHistory
from terracast.streams.errors import PanelError
from terracast.streams.kinds import raster
from terracast.streams.kinds.cells import GridCells
from terracast.streams.kinds.check import check_kind
from terracast.streams.kinds.grid import cell_areas_km2

NAT = np.datetime64("NaT", "ns")


def _panel(values: np.ndarray, step: str = "1h", kind: str = "sensor", known: np.ndarray | None = None,
           start: str = "2020-01-01", seed: int = 0) -> xr.Dataset:
    random = np.random.default_rng(seed)
    steps, nodes = values.shape
    time = np.datetime64(start, "ns") + np.arange(steps) * pd.Timedelta(step).to_timedelta64()
    panel = xr.Dataset({"x": (("time", "node"), values, {"units": "1", "long_name": "x"})},
                       {"time": time, "node": [f"n{node}" for node in range(nodes)],
                        "lat": ("node", random.uniform(40, 41, nodes)), "lon": ("node", random.uniform(8, 9, nodes))},
                       {"domain": "d", "kind": kind, "step": step})
    return panel if known is None else panel.assign_coords(known_time=(("time", "node"), known))


def _one(panel: xr.Dataset, clock: TimeAxis, place: Any, rule: Rule) -> xr.Dataset:
    return align({"d": panel}, clock, place, {"d": rule})["d"]


def test_hours_become_days_when_the_day_is_over() -> None:
    values = np.random.default_rng(0).normal(size=(72, 3))
    values[5, 0] = np.nan  # an hour is missing
    values[24:36, 1] = np.nan  # half a day is missing
    panel = _panel(values)
    mean = _one(panel, TimeAxis.regular("2020-01-01", "1D", 3), panel, Rule("mean", "same"))
    total = _one(panel, TimeAxis.regular("2020-01-01", "1D", 3), panel, Rule("sum", "same"))
    by_day = values.reshape(3, 24, 3)
    np.testing.assert_allclose(mean.x.values[:, 2], by_day.mean(axis=1)[:, 2])
    np.testing.assert_allclose(mean.x.values[0, 0], np.nanmean(by_day[0, :, 0]))
    assert np.isnan(mean.x.values[1, 1]) and np.isnan(total.x.values[0, 0])
    np.testing.assert_allclose(total.x.values[1:, 2], by_day.sum(axis=1)[1:, 2])
    np.testing.assert_array_equal(mean.known_time.values[:, 0], mean.time.values + np.timedelta64(1, "D"))


def test_known_time_of_a_day_is_that_of_its_latest_hour() -> None:
    values = np.ones((48, 2))
    known = np.repeat((np.datetime64("2020-01-01T01:00", "ns") + np.arange(48) * np.timedelta64(1, "h"))[:, None], 2, 1)
    known[7, 1] = np.datetime64("2020-01-02T10:30", "ns")
    known[30, 0] = NAT
    panel = _panel(values, known=known)
    waits = _one(panel, TimeAxis.regular("2020-01-01", "1D", 2), panel, Rule("mean", "same"))
    assert str(waits.known_time.values[0, 1])[:16] == "2020-01-02T10:30"
    assert np.isnat(waits.known_time.values[1, 0]) and np.isnan(waits.x.values[1, 0])  # waits for ever
    closes = _one(panel, TimeAxis.regular("2020-01-01", "1D", 2), panel, Rule("mean", "same", patience="1h"))
    assert str(closes.known_time.values[0, 1])[:16] == "2020-01-02T01:00" and closes.x.values[1, 0] == 1.0
    assert str(closes.known_time.values[1, 0])[:16] == "2020-01-03T01:00"
    assert str(closes.known_time.values[1, 1])[:16] == "2020-01-03T00:00"
    known = InMemoryHistory({"d": waits}).as_known_at("d", np.datetime64("2020-01-02T05:00"))
    assert known.x.isnull().values.tolist() == [[False, True]]


def test_a_day_appears_on_an_hourly_clock_only_when_it_is_over_and_known() -> None:
    panel = _panel(np.array([[1.0], [2.0], [3.0], [np.nan]]), "1D")
    known = panel.time.values[:, None] + np.timedelta64(30, "h")  # six hours after the day's end
    hours = _one(panel.assign_coords(known_time=(("time", "node"), known)),
                 TimeAxis.regular("2020-01-01", "1h", 24 * 7), panel, Rule("mean", "nearest"))
    assert np.isnan(hours.x.values[:30, 0]).all() and (hours.x.values[30:54, 0] == 1).all()
    assert (hours.x.values[54:78, 0] == 2).all() and (hours.x.values[78:121, 0] == 3).all()
    assert np.isnan(hours.x.values[121:, 0]).all()  # more than two days after its end a value is stale
    np.testing.assert_array_equal(hours.known_time.values[:, 0], hours.time.values)
    old = _one(panel, TimeAxis.regular("2020-01-01", "1h", 200), panel, Rule("mean", "nearest", max_age="1000D"))
    assert old.x.values[-1, 0] == 3.0


def test_instants_are_sampled_and_the_latest_known_is_taken() -> None:
    panel = _panel(np.arange(12.0)[:, None], "10min")
    known = panel.time.values[:, None] + np.timedelta64(25, "m")
    panel = panel.assign_coords(known_time=(("time", "node"), known))
    sampled = _one(panel, TimeAxis.regular("2020-01-01", "1h", 3), panel, Rule("instant", "same"))
    assert sampled.x.values[:2].ravel().tolist() == [0.0, 6.0] and np.isnan(sampled.x.values[2, 0])
    np.testing.assert_array_equal(sampled.known_time.values[:2], known[[0, 6]])
    latest = _one(panel, TimeAxis.regular("2020-01-01", "1h", 2), panel, Rule("latest", "same"))
    assert latest.x.values[1, 0] == 3.0  # of 00:30, known at 00:55


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_inverse_distance_and_nearest_by_hand(power: float) -> None:
    random = np.random.default_rng(2)
    panel, target = _panel(random.normal(size=(4, 12))), _panel(np.zeros((1, 5)), seed=9)
    target = target.assign_coords(lat=("node", [*target.lat.values[:4], panel.lat.values[3]]),
                                  lon=("node", [*target.lon.values[:4], panel.lon.values[3]]))
    clock = TimeAxis.regular("2020-01-01", "1h", 4)
    away = haversine_km(target.lat.values[:, None], target.lon.values[:, None], panel.lat.values, panel.lon.values)
    near = _one(panel, clock, target, Rule("mean", "nearest"))
    np.testing.assert_allclose(near.x.values, panel.x.values[:, away.argmin(axis=1)])
    found = _one(panel, clock, target, Rule("mean", "inverse_distance", neighbours=3, power=power))
    for node in range(4):
        three = np.argsort(away[node])[:3]
        np.testing.assert_allclose(found.x.values[:, node], np.average(panel.x.values[:, three], axis=1,
                                                                       weights=away[node, three] ** -power))
    np.testing.assert_array_equal(found.x.values[:, 4], panel.x.values[:, 3])  # on the spot
    alone = _one(panel, clock, target, Rule("mean", "inverse_distance", radius_km=0.001))
    assert np.isnan(alone.x.values[:, :4]).all() and np.isnat(alone.known_time.values[:, :4]).all()


def _grid(lat: np.ndarray, lon: np.ndarray, values: np.ndarray) -> xr.Dataset:
    time = np.datetime64("2020-01-01", "ns") + np.arange(len(values)) * np.timedelta64(1, "h")
    return raster.to_panel(xr.Dataset(
        {"x": (("time", "lat", "lon"), values, {"units": "K", "long_name": "x"})},
        {"time": time, "lat": lat, "lon": lon}, {"domain": "d", "kind": "raster", "step": "1h"}))


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(2, 12), st.integers(2, 12), st.integers(0, 1000),
       st.sampled_from([-180.0, 0.0, -77.0]))
def test_conservative_regridding_keeps_the_mass(rows: int, columns: int, lats: int, lons: int, seed: int,
                                                west: float) -> None:
    random = np.random.default_rng(seed)
    lat = 90 - (np.arange(lats) + 0.5) * 180 / lats  # descending, whole globe
    lon = (np.arange(lons) + 0.5) * 360 / lons
    panel = _grid(lat, lon, random.normal(size=(2, lats, lons)))
    cells = GridCells(tuple(np.linspace(-90, 90, rows + 1)), tuple(np.linspace(west, west + 360, columns + 1)))
    target = Place.of_cells(cells)
    clock = TimeAxis.regular("2020-01-01", "1h", 2)
    mean = _one(panel, clock, target, Rule("mean", "conservative"))
    assert check_kind(mean).attrs["kind"] == "raster"
    high, wide = 180 / lats, 360 / lons
    own = np.array([cell_areas_km2([one - high / 2, one + high / 2], [0, wide])[0, 0] for one in panel.lat.values])
    there = cell_areas_km2(cells.lat_edges, cells.lon_edges).ravel()
    np.testing.assert_allclose(mean.x.values @ there, panel.x.values @ own, rtol=1e-9, atol=1e-3)
    total = _one(panel, clock, target, Rule("sum", "conservative"))
    np.testing.assert_allclose(total.x.values.sum(axis=1), panel.x.values.sum(axis=1), atol=1e-9)
    assert mean.x.values.max() <= panel.x.values.max() + 1e-9 and mean.x.values.min() >= panel.x.values.min() - 1e-9


def test_conservative_on_the_same_grid_changes_nothing_and_masks_count() -> None:
    values = np.random.default_rng(3).normal(size=(2, 4, 5))
    panel = _grid(np.linspace(50, 53, 4), np.linspace(1, 5, 5), values)
    clock = TimeAxis.regular("2020-01-01", "1h", 2)
    same = _one(panel, clock, panel, Rule("mean", "conservative"))
    np.testing.assert_allclose(same.x.values, panel.x.values)
    np.testing.assert_allclose(same.x.values.ravel(), np.asarray(values).ravel())
    holes = panel.isel(node=slice(0, 12))
    coarse = Place.of_cells(GridCells((49.5, 51.5, 53.5), (0.5, 5.5)))
    found = _one(holes, clock, coarse, Rule("mean", "conservative", min_share=0.5))
    assert np.isfinite(found.x.values[:, 0]).all() and np.isnan(found.x.values[:, 1]).all()  # 2 of 10 cells


def test_counts_add_up_wherever_they_go() -> None:
    random = np.random.default_rng(4)
    panel = _panel(random.poisson(1.0, (48, 30)).astype(float), kind="event")
    target = _panel(np.zeros((1, 4)), seed=8)
    found = align({"d": panel}, TimeAxis.regular("2020-01-01", "1D", 2), target, {})["d"]
    np.testing.assert_allclose(found.x.values.sum(axis=1), panel.x.values.reshape(2, 24, 30).sum(axis=(1, 2)))
    assert check_kind(found).attrs["kind"] == "event" and found.attrs["original_step"] == "1h"
    rate = _one(panel, TimeAxis.regular("2020-01-01", "1D", 2), target, Rule("mean", "nearest"))
    assert rate.attrs["kind"] == "sensor" and rate.attrs["original_kind"] == "event"
    with pytest.raises(PanelError, match="cannot be interpolated"):
        _one(panel, TimeAxis.regular("2020-01-01", "1D", 2), target, Rule("sum", "inverse_distance"))


RULES = [Rule("mean", "same"), Rule("sum", "gather"), Rule("mean", "nearest", patience="2h", min_share=0.3),
         Rule("mean", "inverse_distance", neighbours=2, patience="0h"), Rule("latest", "inverse_distance"),
         Rule("instant", "nearest"), Rule("instant", "same", patience="1h"), Rule("mean", "mean", {"y": "sum"}),
         Rule("sum", "mean", patience="5h", min_share=0.0)]


def _poisoned(panel: xr.Dataset, now: np.datetime64, random: np.random.Generator) -> xr.Dataset:
    """Another world that is the same up to ``now``: other values, later reports, reports that never or do come."""
    known = panel.known_time.values.copy()
    open_ = ~(known <= now)  # known later, or never
    later = now + random.integers(1, 20 * 3600, known.shape).astype("timedelta64[s]").astype("timedelta64[ns]")
    later = np.maximum(later, panel.time.values[:, None])
    known[open_] = np.where(random.random(known.shape) < 0.3, NAT, later)[open_]
    data = {}
    for name in panel.data_vars:
        garbage = np.where(random.random(known.shape) < 0.3, np.nan, random.normal(0, 1e12, known.shape))
        data[name] = (("time", "node"), np.where(open_, garbage, panel[name].values), panel[name].attrs)
    return panel.assign(data).assign_coords(known_time=(("time", "node"), known))


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 100_000), st.sampled_from(RULES), st.sampled_from(["20min", "1h", "3h", "1D"]),
       st.integers(0, 60 * 60), st.booleans())
def test_nothing_known_later_changes_anything_known_now(seed: int, rule: Rule, step: str, minutes: int,
                                                        gaps: bool) -> None:
    random = np.random.default_rng(seed)
    panel = _panel(random.normal(size=(48, 4)))
    holes = panel.x.where(random.random((48, 4)) < 0.9).assign_attrs(panel.x.attrs)
    panel = panel.assign(y=(panel.x * 2).assign_attrs(panel.x.attrs), x=holes)
    delay = random.choice([0, 10, 60, 90, 300], (48, 4)).astype("timedelta64[m]")
    known = panel.time.values[:, None] + delay
    known[random.random((48, 4)) < 0.05] = NAT
    panel = panel.assign_coords(known_time=(("time", "node"), known))
    panel = panel.isel(time=np.flatnonzero(random.random(48) < 0.9)) if gaps else panel
    now = np.datetime64("2020-01-01", "ns") + np.timedelta64(minutes, "m")
    clock = TimeAxis.regular("2020-01-01", step, int(pd.Timedelta("2D") / pd.Timedelta(step)))
    one, two = (_one(held, clock, panel, rule) for held in (panel, _poisoned(panel, now, random)))
    seen = one.known_time.values <= now
    np.testing.assert_array_equal(seen, two.known_time.values <= now)
    np.testing.assert_array_equal(one.known_time.values[seen], two.known_time.values[seen])
    for name in ("x", "y"):
        assert one[name].values[seen].tobytes() == two[name].values[seen].tobytes()
    stamped = one.time.values[:, None] + np.timedelta64(0 if clock.length < 3.6e12 or rule.time in ("instant", "latest")
                                                        else clock.length, "ns")
    some = ~np.isnat(one.known_time.values)
    assert (one.known_time.values >= stamped)[some].all() and np.isnan(one.x.values[~some]).all()


@pytest.mark.parametrize(("what", "match"), [
    ({"clock": TimeAxis.regular("2020-01-01", "90min", 2)}, "90min"),
    ({"rule": Rule("mean", "conservative")}, "no grid"),
    ({"rule": Rule(times={"z": "sum"})}, "'z'"), ({"drop": True}, "without positions")])
def test_what_cannot_be_aligned_is_refused(what: dict[str, Any], match: str) -> None:
    panel = _panel(np.ones((5, 2)))
    panel = panel.drop_vars(["lat", "lon"]) if "drop" in what else panel
    with pytest.raises(PanelError, match=match):
        _one(panel, what.get("clock", TimeAxis.regular("2020-01-01", "1h", 2)), panel, what.get("rule", Rule()))


def test_moving_points_cannot_be_aligned_before_they_are_counted_on_cells() -> None:
    moving = _panel(np.zeros((6, 2)))
    places = {name: (("time", "node"), np.random.default_rng(0).uniform(40, 41, (6, 2))) for name in ("lat", "lon")}
    with pytest.raises(PanelError, match="measure = \"cells\""):
        _one(moving.drop_vars(["lat", "lon"]).assign_coords(places).assign_attrs(kind="point"),
             TimeAxis.regular("2020-01-01", "1h", 6), _panel(np.zeros((1, 3))), Rule())


def test_a_forecaster_sees_drivers_at_their_own_stamps_on_the_targets_nodes() -> None:
    target, wind = _panel(np.zeros((4, 3))), _panel(np.arange(6.0).reshape(3, 2), start="2020-01-01T01:00", seed=1)
    wind = wind.assign_coords(node=["east", "west"])
    seen = context(target, "x", {"weather": (wind, ["x"])})["weather.x"]
    away = haversine_km(target.lat.values[:, None], target.lon.values[:, None], wind.lat.values, wind.lon.values)
    assert np.isnan(seen.values[0]).all() and seen.attrs["role"] == "past_driver"
    np.testing.assert_array_equal(seen.values[1:], wind.x.values[:, away.argmin(axis=1)])
    nowhere = context(target, "x", {"weather": (wind.drop_vars(["lat", "lon"]), ["x"])})["weather.x"]
    np.testing.assert_array_equal(nowhere.values[1:], np.repeat(wind.x.values.mean(axis=1, keepdims=True), 3, axis=1))
    other = target.assign(x=target.x + np.array([1.0, 2.0, 3.0])).isel(node=[2, 0, 1])
    swapped = context(target, "x", {"d": (other, ["x"])})["d.x"]
    np.testing.assert_array_equal(swapped.values, np.tile([1.0, 2.0, 3.0], (4, 1)))


def test_a_forecaster_sees_a_day_only_from_its_end_on() -> None:
    hours, days = _panel(np.zeros((72, 2))), _panel(np.array([[1.0, 2.0], [3.0, 4.0]]), step="1D")
    seen = context(hours, "x", {"rain": (days, ["x"])})["rain.x"].values
    assert np.isnan(seen[:24]).all()
    np.testing.assert_array_equal(seen[24:48], np.tile([1.0, 2.0], (24, 1)))
    np.testing.assert_array_equal(seen[48:], np.tile([3.0, 4.0], (24, 1)))
