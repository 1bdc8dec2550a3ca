"""Episodes: storms fold, time closes, state survives."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapt.monitoring.episodes import EpisodeError, Episodes
from adapt.monitoring.monitor import Evidence

START = np.datetime64("2015-03-04T06", "ns")
DAY = np.timedelta64(1, "D")


def clue(at, node="a", sort="level", strength=1.0):
    return Evidence(at, at - 2 * DAY, (node,), sort, "up", strength, f"errors at {node} moved")


@given(st.lists(st.tuples(st.integers(0, 71), st.sampled_from("abcdef"), st.floats(0.1, 9.0)), min_size=1, max_size=80))
@settings(max_examples=60, deadline=None)
def test_a_storm_of_any_size_is_one_episode(storm):
    episodes, ids = Episodes(3 * DAY, name="air-PM25"), set()
    for hour in range(72):
        now = START + np.timedelta64(hour, "h")
        ids |= {one.id for one in episodes.fold(now, [clue(now, node, strength=size) for at, node, size in storm
                                                      if at == hour])}
    first = START + np.timedelta64(min(at for at, _, _ in storm), "h")
    assert ids == {f"air-PM25-{np.datetime_as_string(first, 'h')}"}
    (one,) = episodes.active()
    assert one.count == len(storm)
    assert one.strength == max(size for _, _, size in storm)


def test_life_of_an_episode():
    episodes = Episodes(2 * DAY, 5 * DAY, name="air-PM25")
    states = {}
    for day in range(10):
        now = START + day * DAY
        for one in episodes.fold(now, [clue(now)] if day in (0, 1) else []):
            states[day] = one.state
    assert states == {0: "opened", 1: "growing", 3: "recovering", 6: "closed"}
    assert episodes.active() == ()
    (new,) = episodes.fold(START + 10 * DAY, [clue(START + 10 * DAY)])
    assert new.id == "air-PM25-2015-03-14T06"


def test_evidence_while_recovering_is_the_same_episode():
    episodes = Episodes(2 * DAY, 6 * DAY)
    (first,) = episodes.fold(START, [clue(START)])
    episodes.fold(START + 3 * DAY, [])
    (again,) = episodes.fold(START + 4 * DAY, [clue(START + 4 * DAY)])
    assert again.id == first.id and again.state == "growing"


def test_an_outage_is_its_own_episode():
    episodes = Episodes(2 * DAY, name="air")
    opened = episodes.fold(START, [clue(START), clue(START, sort="health")])
    assert sorted(one.id for one in opened) == ["air-2015-03-04T06", "air-health-2015-03-04T06"]


def test_place_is_where_it_is_strongest():
    episodes = Episodes(2 * DAY)
    clues = [clue(START, node, strength=size) for node, size in (("a", 4), ("b", 1), ("c", 3))]
    (one,) = episodes.fold(START, clues)
    assert one.nodes == ("a", "c")


def test_alarm_is_three_sentences_and_takes_an_action():
    episodes = Episodes(2 * DAY, name="air")
    (one,) = episodes.fold(START, [clue(START)])
    assert one.alarm == "Errors at a moved. It concerns a since 2015-03-02T06. Nothing has been done yet."
    episodes.act(one.id, "A challenger is being trained")
    assert episodes.active()[0].alarm.endswith("A challenger is being trained.")
    with pytest.raises(EpisodeError, match="no open episode"):
        episodes.act("other", "x")


def test_state_is_json_and_goes_on_the_same():
    left, right = Episodes(2 * DAY, 5 * DAY, "air"), Episodes(2 * DAY, 5 * DAY, "air")
    for day in range(12):
        now = START + day * DAY
        clues = [clue(now, "ab"[day % 2], strength=1 / (day + 3))] if day in (0, 1, 9) else []
        assert left.fold(now, clues) == right.fold(now, clues)
        right = Episodes.restore(json.loads(json.dumps(right.state())))
        assert left == right


def test_weeks_outvote_the_wildest_day_and_the_count_survives_a_restart():
    episodes = Episodes(3 * DAY, name="air")
    for day, (sort, strength) in enumerate([("level", 1.2), ("scale", 2.0), ("level", 1.5), ("level", 1.4)]):
        episodes.fold(START + day * DAY, [clue(START + day * DAY, sort=sort, strength=strength)])
        episodes = Episodes.restore(json.loads(json.dumps(episodes.state())))
    (one,) = episodes.active()
    assert one.sort == "level" and one.strength == 2.0 and one.said["level"][1] == 1.5
