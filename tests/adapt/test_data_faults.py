"""Converted sensors, lost drivers and new wiring: told once when planted, never in years of real clean data."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from adapt.clock import clock
from adapt.guard.gate import Gate
from adapt.guard.policy import OnEpisode, Policy
from adapt.loop import Loop
from adapt.monitoring.feeds import Feeds
from adapt.monitoring.units import CONVERSIONS, IN_A_ROW, Units
from adapt.service import Beginning, serve
from adapt.watched import Watched
from stfm.forecaster import Request
from stfm.seasonal_naive import SeasonalNaive
from streams.known import Recorded

BEIJING = Path(__file__).parents[2].parent / "shared" / "data" / "beijing_air_quality" / "beijing_air_quality.nc"
HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
YEAR = 24 * 365


@pytest.fixture(scope="module")
def beijing() -> xr.Dataset:
    if not BEIJING.exists():
        pytest.skip("no shared data")
    with xr.open_dataset(BEIJING) as panel:
        return panel[["PM25", "TEMP", "WSPM"]].isel(time=slice(0, 2 * YEAR)).load()


def table(panel: xr.Dataset, name: str) -> np.ndarray:
    return np.asarray(panel[name].transpose("time", "node").values, float)


@pytest.mark.parametrize("name", ["PM25", "TEMP", "WSPM"])
def test_a_clean_year_is_in_one_unit_and_conversions_are_told(beijing: xr.Dataset, name: str) -> None:
    values = table(beijing, name)
    learned = Units.fit(values[:YEAR], 24).state()
    units = Units.restore(learned)
    assert not any(units.hear(row) for row in values[YEAR:])
    later = values[YEAR + 24 * 60:YEAR + 24 * 80]
    for factor, offset in ((1.8, 32.0) if name == "TEMP" else (100.0, 0.0), (1000.0, 0.0), (0.001, 0.0)):
        converted = later.copy()
        converted[120:, 3] = factor * later[120:, 3] + offset
        units, told = Units.restore(learned), []
        for row, shown in enumerate(converted):
            told += [(row, node) for node in units.hear(shown)]
            units = Units.restore(units.state())
        assert [node for _, node in told] == [3] and 120 < told[0][0] < 120 + 24 * (IN_A_ROW + 6)
        assert units.converted.tolist() == [node == 3 for node in range(12)]


def test_a_whole_network_in_another_unit_and_back(same_trees: Callable[[object, object], None]) -> None:
    draws = np.random.default_rng(0)
    values = 10 + 8 * np.sin(np.arange(6000) * 2 * np.pi / 24)[:, None] + draws.normal(size=(6000, 5))
    units = Units.fit(values[:4800], 24)
    same_trees(Units.restore(units.state()).state(), units.state())
    converted = values[4800:].copy()
    converted[240:720] *= 3.6
    told = [(row, sorted(found)) for row, shown in enumerate(converted) if (found := units.hear(shown))]
    assert told == [(240 + 24 * IN_A_ROW - 1, list(range(5)))] and not units.converted.any()
    lonely = Units.fit(np.full((200, 1), 7.0), 24)  # one node, and constant: nothing to tell, and no error
    assert not any(lonely.hear(np.array([value])) for value in np.linspace(0, 9, 300))


def test_every_conversion_has_its_way_back() -> None:
    half = len(CONVERSIONS) // 2
    for (factor, offset), (back, off) in zip(CONVERSIONS[:half], CONVERSIONS[half:], strict=True):
        assert back * (factor * 12.5 + offset) + off == pytest.approx(12.5)


def test_a_clean_year_loses_no_driver_and_is_wired_as_ever(beijing: xr.Dataset) -> None:
    feeds = Feeds.fit(beijing.isel(time=slice(0, YEAR)), "PM25")
    assert set(feeds.drivers) == {"TEMP", "WSPM"}
    times, told = beijing["time"].values, []
    for row in range(YEAR, 2 * YEAR, 24):
        told += feeds.hear(times[row], beijing.isel(time=slice(row - 24 * 7, row)))
        feeds = Feeds.restore(feeds.state())
    assert told == []


def city(days: int, lost: int | None, wired: int | None) -> xr.Dataset:
    """Air and a driver on two nodes; the driver stops at one day, the nodes show the same numbers from another on."""
    time = pd.date_range("2023-01-01", periods=24 * days, freq="h").to_numpy().astype("datetime64[ns]")
    x, wind = np.random.default_rng(3).normal(size=(2, len(time), 2))
    if lost is not None:
        wind[24 * lost:] = np.nan
    if wired is not None:
        x[24 * wired:, 1] = x[24 * wired:, 0]
    return xr.Dataset({"x": (("time", "node"), 10 + x, {"units": "1", "long_name": "x"}),
                       "wind": (("time", "node"), wind, {"units": "1", "long_name": "wind"})},
                      {"time": time, "node": ["a", "b"], "known_time": ("time", time + HOUR)},
                      {"domain": "d", "kind": "sensor", "step": "1h"})


@pytest.mark.parametrize(("lost", "wired", "says"), [(36, None, "the driver d.wind no longer arrives"),
                                                      (None, 34, "a, b now show the same numbers")])
def test_the_loop_tells_it_once_and_trains_nothing_for_it(lost: int | None, wired: int | None, says: str) -> None:
    panel = city(46, lost, wired)
    history, request = Recorded({"d": panel}), Request("x", np.datetime64("NaT", "ns"), 6, HOUR)
    watched = Watched("d", ("a", "b"), request, 6 * HOUR, 4 * DAY, 6 * HOUR, {"d": ("wind",)})
    first = panel[["x"]].isel(time=slice(0, 24 * 30)).assign({"d.wind": panel["wind"].isel(time=slice(0, 24 * 30))})
    start = panel["time"].values[24 * 30]
    beginning = Beginning(SeasonalNaive(), first["time"].values, np.random.default_rng(4).normal(size=(24 * 30, 2)),
                          known=first["x"], panel=first)
    policy = Policy("test", OnEpisode(), False, Gate(horizon_steps=1, looks=(20, 40)))
    loop = serve(watched, policy, beginning, "base", start, false_alarms_per_month=0.1, cooldown=DAY, seed=0)
    acts = []
    for moment in clock(history, start, panel["time"].values[24 * 45], 6 * HOUR):
        acts.append(loop.tick(moment).act)
        loop = Loop.restore(watched, policy, loop.state(), lambda version: beginning.base)  # type: ignore[arg-type]
    told = [one for one in loop.told.values() if says in one.words]
    assert len(told) == 1 and told[0].sort == "health" and told[0].count == 1
    assert not any(act is not None and act.episode == told[0].id for act in acts)
