"""Drivers that act through another variable of the target's domain."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from terracast.causal.discover import discover, stability
from terracast.causal.graph.graph import CausalGraph, Driver, Link, Series
from terracast.causal.preprocessing.prepare import Prepared
from terracast.causal.search.windows import steady_drivers, window_graphs
from terracast.drivers.direct_causes import choose_drivers
from terracast.drivers.indirect_causes import ways_to, with_indirect
from terracast.flows.discovery.saved_discovery import drivers_from, drivers_text

WIND, RAIN, NO2, PM = (Series(*one.split(".")) for one in ("weather.wind", "weather.rain", "air.no2", "air.pm"))


@pytest.fixture(scope="module")
def world() -> Prepared:
    """Wind drives NO2 a step later, NO2 drives PM another step later; rain drives PM itself."""
    noise = np.random.default_rng(0).normal(size=(3000, 4))
    for now in range(1, len(noise)):
        before = noise[now - 1]
        noise[now] += 0.5 * before
        noise[now, 2] -= 0.6 * before[0]
        noise[now, 3] += 0.6 * before[2] - 0.4 * before[1]
    return Prepared(noise, (WIND, RAIN, NO2, PM), "1h", np.arange(3000).astype("M8[h]").astype("M8[ns]"))


def test_the_wind_behind_no2_becomes_a_driver_of_pm(world: Prepared) -> None:
    find = partial(discover, max_lag=2, alpha=0.01)
    graph = stability(world, find(world), draws=10)
    choose = partial(choose_drivers, graph, published={"weather": 0, "air": 0}, horizon=3)
    drivers = steady_drivers(with_indirect(graph, PM, choose), window_graphs(world, find))
    used = {one.series: one for one in drivers if one.used}
    assert set(used) == {WIND, RAIN}
    assert used[RAIN].via is None and used[RAIN].effect == PM
    assert used[WIND].via == NO2 and used[WIND].target == PM and used[WIND].lag == 1
    assert used[WIND].strength == pytest.approx(
        next(one.strength for one in graph.links if (one.cause, one.effect) == (WIND, NO2))
        * next(one.strength for one in graph.links if (one.cause, one.effect) == (NO2, PM)))
    assert "on no2, which tells of pm" in used[WIND].reason
    assert {one.series for one in choose(PM)} == {RAIN}  # the direct links alone
    assert drivers_from(drivers_text(drivers)) == drivers


def test_a_series_that_is_used_directly_is_not_added_again() -> None:
    links = (Link(WIND, NO2, 1, -0.5, 0.0), Link(NO2, PM, 1, 0.9, 0.0), Link(WIND, PM, 1, -0.2, 0.0))
    graph = CausalGraph((WIND, NO2, PM), links, "1h", "PCMCI+", 900)
    choose = partial(choose_drivers, graph, published={"weather": 0, "air": 0}, horizon=3)
    driver, = with_indirect(graph, PM, choose)
    assert driver.via is None


@pytest.mark.parametrize("between", [
    Link(NO2, PM, 0, 0.4, 0.0, oriented=False),  # which of the two tells of the other is not known
    Link(PM, NO2, 1, 0.4, 0.0)])
def test_a_way_has_a_direction(between: Link) -> None:
    graph = CausalGraph((WIND, NO2, PM), (Link(WIND, NO2, 1, -0.5, 0.0), between), "1h", "PCMCI+", 900)
    assert ways_to(graph, PM) == ()
    assert with_indirect(graph, PM, lambda series: ()) == ()


def test_an_unsteady_crossing_is_refused() -> None:
    graph = CausalGraph((WIND, NO2, PM), (), "1h", "PCMCI+", 900)
    driver = Driver(WIND, PM, 1, -0.2, True, "known in time", via=NO2)
    values = np.random.default_rng(0).normal(size=(400, 3))
    quiet = Prepared(values, (WIND, NO2, PM), "1h", np.arange(400).astype("M8[h]").astype("M8[ns]"))
    judged, = steady_drivers([driver], window_graphs(quiet, lambda part: graph))
    assert not judged.used and "0 of 4 windows" in judged.reason
