"""The graph as a signal: a steady world raises alarms at the stated rate, a switched edge is found and named."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from terracast.causal.discover import discover
from terracast.causal.graph.changes import changes_between, describe_changes
from terracast.causal.graph.graph import CausalGraph, Driver, Link, Series
from terracast.causal.preprocessing.prepare import Prepared
from terracast.causal.search.drift import graph_alarms
from terracast.causal.search.windows import WindowError, WindowGraph, steady_drivers, window_graphs

RAIN, WIND, FLOW, DUST = (Series("weather", "rain"), Series("weather", "wind"), Series("traffic", "flow"),
                          Series("air", "dust"))
SERIES = (RAIN, WIND, FLOW, DUST)
FIND = partial(discover, max_lag=3, alpha=0.01)


def simulated(rows: int, seed: int, before: list[tuple[int, int, int, float]],
              after: list[tuple[int, int, int, float]]) -> Prepared:
    """Four series with memory .4; links (cause, effect, lag, weight) switch from ``before`` to ``after`` halfway."""
    random = np.random.default_rng(seed)
    out = random.normal(size=(rows, 4))
    for row in range(3, rows):
        out[row] += 0.4 * out[row - 1]
        for cause, effect, lag, weight in before if row < rows // 2 else after:
            out[row, effect] += weight * out[row - lag, cause]
    clock = np.datetime64("2023-01-01", "ns") + np.arange(rows) * np.timedelta64(1, "h")
    return Prepared(out, SERIES, "1h", clock)


def steady_story(random: np.random.Generator, windows: int = 12) -> list[WindowGraph]:
    """Graphs of windows of one world: strong links always found, weak ones now and then, chance links seldom."""
    places = [(RAIN, FLOW, 2, 0.4), (WIND, DUST, 1, -0.3), (FLOW, DUST, 1, 0.12), (RAIN, DUST, 3, 0.1)]
    chance = [(one, other, lag, 0.0) for one in SERIES for other in SERIES if one != other for lag in (1, 2)]
    starts = np.datetime64("2023-01-01", "ns") + np.arange(windows + 1) * np.timedelta64(30, "D")
    story = []
    for start, end in itertools.pairwise(starts):
        links = []
        for cause, effect, lag, strength in (*places, *chance):
            found = np.tanh(np.arctanh(strength) + random.normal() / np.sqrt(700))
            if abs(found) > 2.576 / np.sqrt(700):
                links.append(Link(cause, effect, lag, float(found), 0.001))
        unique = {(one.cause, one.effect, one.lag): one for one in links}
        story.append(WindowGraph(start, end, CausalGraph(SERIES, tuple(unique.values()), "1h", "PCMCI+", 700)))
    return story


def test_a_steady_graph_raises_alarms_at_the_stated_rate() -> None:
    random = np.random.default_rng(0)
    looks = [bool(graph_alarms(steady_story(random), alpha=0.1, draws=199, seed=look)) for look in range(200)]
    assert sum(looks) <= 20 + 3 * np.sqrt(200 * 0.1 * 0.9)


@pytest.mark.slow
def test_a_steady_world_searched_window_by_window_stays_calm() -> None:
    links = [(0, 2, 2, -0.4), (1, 3, 1, 0.15)]
    looks = [bool(graph_alarms(window_graphs(simulated(3600, seed, links, links), FIND, windows=12), alpha=0.1,
                               draws=199)) for seed in range(40)]
    assert sum(looks) <= 4 + 3 * np.sqrt(40 * 0.1 * 0.9)


LINK = (0, 2, 2, -0.4)


@pytest.mark.parametrize(("before", "after", "change_type", "words"), [
    ([], [LINK], "appeared", "New: rain drives flow after 2 hours."),
    ([LINK], [], "vanished", "No longer found: that rain drives flow after 2 hours."),
    ([LINK], [(2, 0, 2, -0.4)], "turned", "Turned round: now flow drives rain after 2 hours; before, rain drove flow."),
    ([LINK], [(0, 2, 1, -0.4)], "changed lag", "rain now acts on flow after 1 hour; it was 2 hours."),
    ([LINK], [(0, 2, 2, -0.9)], "changed strength", "The link from rain to flow changed its strength")])
def test_a_switched_edge_is_found_and_named(before: list, after: list, change_type: str, words: str) -> None:
    other = [(1, 3, 1, 0.4)]
    prepared = simulated(4800, 1, before + other, after + other)
    alarms = graph_alarms(window_graphs(prepared, FIND, windows=12))
    assert [one.change.change_type for one in alarms] == [change_type]
    alarm = alarms[0]
    assert alarm.sentences[0].startswith(words) and alarm.p_value <= 0.02
    assert abs(alarm.since - prepared.time[2400]) <= np.timedelta64(400, "h")
    assert "evidence, not certainty" in alarm.sentences[2]


def test_a_series_that_joins_late_is_no_change_of_its_links() -> None:
    story = steady_story(np.random.default_rng(1))
    without = [replace(one, graph=replace(one.graph, series=SERIES[:3], links=tuple(
        link for link in one.graph.links if DUST not in (link.cause, link.effect)))) for one in story[:6]]
    assert not graph_alarms([*without, *story[6:]])


def test_errors_say_what_is_wanted() -> None:
    with pytest.raises(WindowError, match="3 windows"):
        graph_alarms(steady_story(np.random.default_rng(1), windows=3))
    with pytest.raises(WindowError, match="at least two steps a window"):
        window_graphs(simulated(10, 0, [], []), FIND, windows=8)


def test_a_link_of_one_season_only_is_no_steady_driver() -> None:
    prepared = simulated(2400, 3, [LINK, (1, 2, 1, 0.4)], [(1, 2, 1, 0.4)])
    half = replace(prepared, values=prepared.values[600:], time=prepared.time[600:])  # a third with, two without
    drivers = [Driver(RAIN, FLOW, 2, -0.4, True, "known in time"), Driver(WIND, FLOW, 1, 0.4, True, "known in time")]
    judged = steady_drivers(drivers, window_graphs(half, FIND, windows=3))
    assert [one.used for one in judged] == [False, True]
    assert judged[0].reason == "the link was found in only 1 of 3 windows of time (at least 50% wanted)"


def graph_of(*links: Link, series: tuple[Series, ...] = SERIES) -> CausalGraph:
    return CausalGraph(series, links, "1h", "PCMCI+", 900)


def test_two_graphs_are_told_apart_in_sentences() -> None:
    then = graph_of(Link(RAIN, FLOW, 2, -0.4, 0), Link(WIND, DUST, 1, 0.3, 0),
                    Link(FLOW, DUST, 0, 0.5, 0, oriented=False), Link(DUST, DUST, 1, 0.9, 0))
    now = graph_of(Link(FLOW, RAIN, 1, -0.4, 0), Link(WIND, DUST, 1, -0.3, 0), Link(FLOW, DUST, 0, 0.5, 0))
    assert [one.sentence for one in changes_between(then, now)] == [
        "The direction is now known: flow drives dust at the same time.",
        "Turned round: now flow drives rain after 1 hour; before, rain drove flow.",
        "The link from wind to dust changed its sign (from +0.30 to -0.30)."]
    assert changes_between(now, now) == ()
    told = describe_changes(then, graph_of(series=SERIES[:3]), (Driver(RAIN, FLOW, 2, -0.4, True, "x"),),
                            (Driver(RAIN, FLOW, 2, -0.4, False, "it does not help"),))
    assert told == ("rain is no longer used as an input: it does not help.",
                    "No longer found: that rain drives flow after 2 hours.", "dust is no longer in the search.")
    assert "not compared" in describe_changes(then, replace(now, step="1D"))[0]
