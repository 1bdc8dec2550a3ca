"""The graph's story: windows kept from run to run, a switched link told once, nothing told twice or too soon."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from terracast.causal.discover import discover
from terracast.causal.graph.graph import Series
from terracast.causal.preprocessing.prepare import Prepared
from terracast.flows.discovery.graph_history import GraphHistory

RAIN, FLOW = Series("weather", "rain"), Series("traffic", "flow")
FIND = partial(discover, max_lag=2, alpha=0.01)
SPAN = np.timedelta64(120, "D").astype("timedelta64[ns]")
START = np.datetime64("2023-01-01", "ns")


def world(days: int, switch: int | None = None) -> Prepared:
    """Rain lowers traffic an hour later, from day ``switch`` on no more."""
    noise = np.random.default_rng(2).normal(size=(24 * days, 2))
    until = None if switch is None else 24 * switch
    noise[1:until, 1] -= 0.5 * noise[:-1 if until is None else until - 1, 0]
    return Prepared(noise, (RAIN, FLOW), "1h", START + np.arange(24 * days) * np.timedelta64(1, "h"))


def cut(prepared: Prepared, first: int, last: int) -> Prepared:
    rows = slice(24 * first, 24 * last)
    return replace(prepared, values=prepared.values[rows], time=prepared.time[rows])


def test_a_switched_link_is_told_once() -> None:
    made = world(130, switch=60)
    story = GraphHistory().continued(made, FIND, SPAN, "k")
    assert [one.change.change_type for one in story.alarms] == ["vanished"] and len(story.news) == 1
    assert abs(story.alarms[0].since - (START + np.timedelta64(60, "D"))) <= np.timedelta64(10, "D")
    assert "evidence, not certainty" in story.alarms[0].sentences[2]
    again = story.continued(made, FIND, SPAN, "k")  # no window has been completed since
    assert again.alarms == story.alarms and again.news == ()
    later = story.continued(world(145, switch=60), FIND, SPAN, "k")
    assert later.alarms and later.news == ()


def test_a_steady_world_is_calm_and_windows_are_kept_beyond_the_span() -> None:
    made = world(200)
    story = GraphHistory().continued(cut(made, 0, 125), FIND, SPAN, "k")
    assert story.alarms == () and story.note == ""
    later = story.continued(cut(made, 80, 200), FIND, SPAN, "k")
    edges = [one.start for one in later.windows]
    assert len(later.windows) > len(story.windows) and (np.diff(edges) == np.timedelta64(10, "D")).all()
    assert len(later.continued(cut(made, 80, 200), FIND, SPAN, "other").windows) < len(later.windows)


def test_too_short_a_history_says_so() -> None:
    story = GraphHistory().continued(world(40), FIND, SPAN, "k")
    assert story.alarms == () and "of 8 windows of 10 days are complete" in story.note
    tiny = GraphHistory().continued(world(40), FIND, np.timedelta64(12, "D").astype("timedelta64[ns]"), "k")
    assert "set a longer discovery.window" in tiny.note


def test_the_story_survives_the_store() -> None:
    story = GraphHistory().continued(world(130, switch=60), FIND, SPAN, "k")
    back = GraphHistory.restore(story.state())
    assert back == story and GraphHistory.restore(None) == GraphHistory()
