"""Drivers: which causal links may feed a forecast, by the clock of their publication."""

from __future__ import annotations

import pytest

from terracast.causal.graph.graph import CausalGraph, Link, Series
from terracast.causal.graph.sentences import sentence
from terracast.drivers.direct_causes import DriverError, choose_drivers

RAIN, WIND = Series("weather", "rain"), Series("weather", "wind_speed")
FLOW, SPEED, BIKES = Series("traffic", "flow"), Series("traffic", "speed"), Series("mobility", "bikes")
GRAPH = CausalGraph(
    (RAIN, WIND, FLOW, SPEED, BIKES),
    (Link(RAIN, FLOW, 3, -0.4, 0.0, 0.9), Link(RAIN, FLOW, 1, -0.2, 0.0, 0.8), Link(WIND, FLOW, 2, 0.1, 0.0, 0.2),
     Link(FLOW, BIKES, 0, 0.5, 0.0, 1.0, False), Link(SPEED, FLOW, 1, 0.6, 0.0, 1.0), Link(FLOW, FLOW, 1, 0.9, 0.0)),
    "1h", "PCMCI+", 900, labels={"traffic.flow": "traffic volume"})


def chosen(**delays: int) -> dict[tuple[str, int], tuple[bool, int, str]]:
    drivers = choose_drivers(GRAPH, FLOW, published=delays, horizon=6)
    return {(one.series.variable, one.lag): (one.used, one.reach, one.reason) for one in drivers}


def test_only_other_domains_and_strongest_first() -> None:
    drivers = choose_drivers(GRAPH, FLOW, published={"weather": 0, "mobility": 0})
    assert [(str(one.series), one.lag) for one in drivers] == [
        ("mobility.bikes", 0), ("weather.rain", 3), ("weather.rain", 1), ("weather.wind_speed", 2)]


@pytest.mark.parametrize(("delay", "own", "used", "reach"), [
    (0, 0, True, 3), (1, 0, True, 2), (2, 0, True, 1), (3, 0, False, 0), (3, 1, True, 0), (4, 1, False, 0)])
def test_the_publication_rule(delay: int, own: int, used: bool, reach: int) -> None:
    """The newest value known at t is stamped t - delay and acts at t - delay + 3: news if that is not yet known."""
    verdict = chosen(weather=delay, traffic=own)["rain", 3]
    assert verdict[:2] == (used, reach)
    newest_effect, newest_target_seen = 3 - delay, -own
    assert used == (newest_effect > newest_target_seen)


def test_every_refusal_has_its_reason() -> None:
    told = chosen(weather=1, mobility=0)
    assert told["rain", 1] == (False, 0, "rain is published 1 hour late and acts after 1 hour: by then its effect is "
                                         "already in the published traffic volume")
    assert "only 20% of the redraws" in told["wind_speed", 2][2]
    assert "do not tell which drives which" in told["bikes", 0][2]
    assert "how late weather is published" in chosen(mobility=0)["rain", 3][2]


def test_a_late_feed_with_a_long_memory_is_let_through_to_the_ablation() -> None:
    """Three steps late, acts after 2: two steps are missing; memory .9 keeps .81 of it, memory .6 only .36."""
    for memory, used in ((0.9, True), (0.6, False)):
        graph = CausalGraph((RAIN, FLOW), (Link(RAIN, FLOW, 2, -0.4, 0.0, 0.9), Link(RAIN, RAIN, 1, memory, 0.0)),
                            "1h", "PCMCI+", 900)
        late = {"weather": 3, "traffic": 0}
        assert not choose_drivers(graph, FLOW, published=late, horizon=6)[0].used
        found, = choose_drivers(graph, FLOW, published=late, horizon=6, min_memory=0.5)
        assert found.used is used and found.reach == 0
        assert ("2 hours too late, but its own past tells" in found.reason) is used


def test_errors_name_what_is_there() -> None:
    with pytest.raises(DriverError, match=r"no series air.o3 \(graph\): expected one of weather.rain"):
        choose_drivers(GRAPH, Series("air", "o3"), published={})
    with pytest.raises(DriverError, match="horizon 0"):
        choose_drivers(GRAPH, FLOW, published={}, horizon=0)


def test_sentences_are_plain() -> None:
    told = [sentence(link, GRAPH) for link in GRAPH.links]
    assert told[0] == ("Higher rain lowers traffic volume 3 hours later "
                       "(partial correlation -0.40, returned in 90 % of redraws).")
    assert told[3].startswith("traffic volume and bikes move together within the same hour (partial")
    assert told[5].startswith("Higher traffic volume is followed by higher traffic volume 1 hour later")


def test_a_lagged_link_without_direction_keeps_its_lag_and_is_never_turned_back_in_time() -> None:
    graph = CausalGraph((RAIN, FLOW), (Link(RAIN, FLOW, 2, 0.4, 0.0, oriented=False),
                                       Link(FLOW, RAIN, 3, 0.3, 0.0, oriented=False)), "1h", "PCMCI+", 900)
    driver, = choose_drivers(graph, FLOW, published={"weather": 0})
    assert (driver.series, driver.lag, driver.used) == (RAIN, 2, False)
