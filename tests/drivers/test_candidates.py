"""Candidates beside the direct links: proxies, and calendar events."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.causal.graph.graph import CausalGraph, Driver, Link, Series
from terracast.drivers.calendar_events import is_calendar_event, with_calendar_events
from terracast.drivers.proxies import with_proxies

HEAT, DAMP, RAIN, OFF = (Series("weather", name) for name in ("heat", "damp", "rain", "off"))
CARS, SALES = Series("city", "cars"), Series("shop", "sales")
USED = Driver(HEAT, CARS, 1, 0.4, True, "heat is published at once")


def graph_of(*links: Link, knowledge: str = "") -> CausalGraph:
    return CausalGraph((HEAT, DAMP, RAIN, OFF, CARS, SALES), links, "1h", "PCMCI+", 900,
                       settings={"knowledge": knowledge})


def test_a_proxy_is_what_moves_with_a_driver_or_leads_into_it() -> None:
    graph = graph_of(Link(HEAT, DAMP, 0, -0.5, 0.0, 0.9, oriented=False), Link(RAIN, DAMP, 2, 0.3, 0.0, 0.8),
                     Link(HEAT, OFF, 1, 0.3, 0.0, 0.9))
    found = with_proxies(graph, [USED])
    assert [(str(one.series), str(one.via), one.lag, round(one.strength, 3)) for one in found[1:]] == [
        ("weather.damp", "weather.heat", 0, -0.2), ("weather.rain", "weather.damp", 2, -0.06)]
    assert "rain foretells damp: damp moves with heat" in found[2].reason


@pytest.mark.parametrize(("link", "knowledge"), [
    (Link(HEAT, DAMP, 0, -0.5, 0.0, 0.4, oriented=False), ""),  # unstable
    (Link(HEAT, DAMP, 1, -0.5, 0.0, 0.9), ""),  # an effect of the driver tells nothing of what it will do
    (Link(SALES, HEAT, 1, -0.5, 0.0, 0.9), ""),  # another domain
    (Link(HEAT, DAMP, 0, -0.5, 0.0, 0.9, oriented=False), "weather.damp never causes city.*")])
def test_no_proxy(link: Link, knowledge: str) -> None:
    assert with_proxies(graph_of(link, knowledge=knowledge), [USED]) == (USED,)


def test_a_refused_driver_has_no_proxy() -> None:
    refused = Driver(HEAT, CARS, 1, 0.4, False, "unstable")
    graph = graph_of(Link(HEAT, DAMP, 0, -0.5, 0.0, 0.9, oriented=False))
    assert with_proxies(graph, [refused]) == (refused,)


def marked(values: np.ndarray, step: str = "1h") -> xr.DataArray:
    time = pd.date_range("2024-01-01", periods=len(values), freq=step)
    return xr.DataArray(values[:, None], {"time": time, "node": ["all"]}, ("time", "node"))


def test_a_mark_holds_two_values_for_whole_days() -> None:
    days = np.isin(np.arange(60), (5, 17, 40)).astype(float)
    assert is_calendar_event(marked(np.repeat(days, 24)), "1h")
    assert not is_calendar_event(marked(np.roll(np.repeat(days, 24), 7)), "1h")  # begins at seven o'clock
    assert not is_calendar_event(marked(days, "1D"), "1D")  # on days anything of two values would be one
    assert not is_calendar_event(marked(np.repeat(np.arange(60) % 3, 24).astype(float)), "1h")
    assert not is_calendar_event(marked(np.repeat(np.isin(np.arange(60), (5, 17)).astype(float), 24)), "1h")


def test_a_mark_is_a_candidate_unless_the_target_leads_into_it_or_knowledge_forbids_it() -> None:
    days = np.repeat(np.isin(np.arange(60), (5, 17, 40)).astype(float), 24)
    panels = {"weather": xr.Dataset({"off": marked(days)}, attrs={"step": "1h"})}
    mark, = with_calendar_events(graph_of(), (), panels, CARS, {"weather": 1})
    assert mark.series == OFF and mark.used and mark.lag == 0
    assert with_calendar_events(graph_of(), (), panels, CARS, {}) == ()
    assert with_calendar_events(graph_of(Link(CARS, OFF, 1, 0.2, 0.0)), (), panels, CARS, {"weather": 1}) == ()
    forbidden = graph_of(knowledge="weather.off never causes city.cars")
    assert with_calendar_events(forbidden, (), panels, CARS, {"weather": 1}) == ()
