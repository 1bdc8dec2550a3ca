"""Episodes: storms fold, time closes, state survives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.adapt.monitoring.diagnosis.compared_windows import Windows
from terracast.adapt.monitoring.episodes.episodes import EpisodeError, Episodes
from terracast.adapt.monitoring.monitor import Evidence
from terracast.adapt.promotion.ladder import Ladder, LadderStep, Situation
from terracast.adapt.promotion.policy import OnEpisode
from terracast.streams.clock import Clock
from terracast.streams.storage.tree import pack, unpack

START = np.datetime64("2015-03-04T06", "ns")
DAY = np.timedelta64(1, "D")


def clue(at, node="a", change_type="level", strength=1.0):
    return Evidence(at, at - 2 * DAY, (node,), change_type, "up", strength, "silent" if change_type == "health" else "")


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


def test_two_episodes_within_an_hour_have_two_names():
    minute, episodes, ids = np.timedelta64(1, "m"), Episodes(np.timedelta64(5, "m"), name="grid-load"), set()
    for at in range(60):
        now = START + at * minute
        ids |= {one.id for one in episodes.fold(now, [clue(now)] if at in (0, 30) else [])}
    assert ids == {"grid-load-2015-03-04T06", "grid-load-2015-03-04T06:30"}


def test_a_calendar_shows_its_own_dates():
    clock, months = Clock.of({"step": "1mo"}), np.arange("2011-01", "2011-08", dtype="datetime64[M]")
    first, third, now = (clock.even(months[at].astype("datetime64[ns]")) for at in (0, 2, 6))
    told = Evidence(now, third, ("a",), "level", "up", 2.0,
                    windows=Windows((first, third), (first, third), (third, now)))
    episodes = Episodes(np.timedelta64(60, "D"), name="air")
    episodes.fold(now, [told])
    (one,) = episodes.active()
    shown = one.shown(clock.shown)
    assert shown.alarm.where == "It began on 1 Mar 2011."
    assert any("2011-03-01 to 2011-07-01" in line for line in shown.alarm.statistics)
    assert shown.shown(clock.even) == one


def test_life_of_an_episode():
    episodes = Episodes(2 * DAY, 5 * DAY, name="air-PM25")
    states = {}
    for day in range(10):
        now = START + day * DAY
        for one in episodes.fold(now, [clue(now)] if day in (0, 1) else []):
            states[day] = one.phase
    assert states == {0: "opened", 1: "growing", 3: "recovering", 6: "closed"}
    assert episodes.active() == ()
    (new,) = episodes.fold(START + 10 * DAY, [clue(START + 10 * DAY)])
    assert new.id == "air-PM25-2015-03-14T06"


def test_evidence_while_recovering_is_the_same_episode():
    episodes = Episodes(2 * DAY, 6 * DAY)
    (first,) = episodes.fold(START, [clue(START)])
    episodes.fold(START + 3 * DAY, [])
    (again,) = episodes.fold(START + 4 * DAY, [clue(START + 4 * DAY)])
    assert again.id == first.id and again.phase == "growing"


def test_another_change_after_a_quiet_while_is_another_episode():
    episodes = Episodes(2 * DAY, 6 * DAY)
    (first,) = episodes.fold(START, [clue(START)])
    episodes.fold(START + 3 * DAY, [])
    closed, second = episodes.fold(START + 4 * DAY, [clue(START + 4 * DAY, change_type="relation")])
    assert (closed.id, closed.phase) == (first.id, "closed")
    assert second.id != first.id and (second.phase, second.change_type) == ("opened", "relation")
    (same,) = episodes.fold(START + 5 * DAY, [clue(START + 5 * DAY, change_type="scale")])
    assert same.id == second.id, "while evidence goes on, all of it is of one change"


def test_an_outage_is_its_own_episode():
    episodes = Episodes(2 * DAY, name="air")
    opened = episodes.fold(START, [clue(START), clue(START, change_type="health")])
    assert sorted(one.id for one in opened) == ["air-2015-03-04T06", "air-health-2015-03-04T06"]


def test_place_is_where_it_is_strongest():
    episodes = Episodes(2 * DAY)
    clues = [clue(START, node, strength=size) for node, size in (("a", 4), ("b", 1), ("c", 3))]
    (one,) = episodes.fold(START, clues)
    assert one.nodes == ("a", "c")


def test_an_alarm_takes_an_action():
    episodes = Episodes(2 * DAY, name="air")
    (one,) = episodes.fold(START, [clue(START)])
    assert str(one.alarm) == ("the target at a reads clearly above forecast. It began at 2 Mar 2015, 06:00 UTC. "
                              "Nothing has been done yet.")
    episodes.act(one.id, "A challenger is being trained")
    assert str(episodes.active()[0].alarm).endswith("A challenger is being trained.")
    with pytest.raises(EpisodeError, match="no open episode"):
        episodes.act("other", "x")


def test_a_saved_episode_goes_on_the_same():
    left, right = Episodes(2 * DAY, 5 * DAY, "air"), Episodes(2 * DAY, 5 * DAY, "air")
    for day in range(12):
        now = START + day * DAY
        clues = [clue(now, "ab"[day % 2], strength=1 / (day + 3))] if day in (0, 1, 9) else []
        assert left.fold(now, clues) == right.fold(now, clues)
        right = Episodes.restore(unpack(pack(right.state())))
        assert left == right


def test_weeks_outvote_the_wildest_day_and_the_count_survives_a_restart():
    episodes = Episodes(3 * DAY, name="air")
    for day, (change_type, strength) in enumerate([("level", 1.2), ("scale", 2.0), ("level", 1.5), ("level", 1.4)]):
        episodes.fold(START + day * DAY, [clue(START + day * DAY, change_type=change_type, strength=strength)])
        episodes = Episodes.restore(unpack(pack(episodes.state())))
    (one,) = episodes.active()
    assert one.change_type == "level" and one.strength == 2.0 and one.by_type["level"].strongest.strength == 1.5


WATCHED = ("error", "input", "calibration")
SAID = {"level": "reads clearly above forecast", "input": "look unusual. Their level lies 2 deviations above normal",
        "calibration": "holds 61 % of values"}
DETAILS = {"input": {"features": "level lies 2 deviations above normal"}, "calibration": {"now": 61, "before": 80}}


def heard(*change_types, watched=WATCHED):
    episodes = Episodes(3 * DAY, name="air", watched=watched)
    for day, change_type in enumerate(change_types):
        at = START + day * DAY
        episodes.fold(at, [Evidence(at, at, ("a",), change_type, "up", 1.5, "silent" if change_type == "health" else "",
                                    DETAILS.get(change_type, {}))])
        episodes = Episodes.restore(unpack(pack(episodes.state())))
    return episodes.active()[0]


@pytest.mark.parametrize(("change_types", "says", "costs"), [
    (("level",), "so what they say about the target has changed", 0),
    (("input",), "so the forecast copes and nothing is trained for it", None),
    (("input", "level"), "such conditions are new to the forecaster", 1),
    (("input", "calibration"), "the intervals do not hold there", 1),
    (("calibration",), "only the width of the intervals no longer fits", 0),
    (("input", "input", "calibration", "level"), "such conditions are new to the forecaster", 2)])
def test_an_episode_says_which_kinds_spoke_and_what_that_means(change_types, says, costs):
    one = heard(*change_types)
    assert says in one.alarm.meaning
    assert set(one.channels) == {"error" if name == "level" else name for name in change_types}
    assert all(SAID[change_type] in one.alarm.what for change_type in change_types)
    assert one.performance_loss_since == (None if costs is None else START + costs * DAY)
    assert one.since == (START if costs is None else START + costs * DAY)  # a context may have moved long before
    assert one.change_type == ("level" if "level" in change_types else one.change_type)  # what errors say names it


def test_what_was_not_watched_is_not_said_to_be_steady():
    assert heard("level", watched=("error",)).alarm.meaning == ""
    assert heard("health").performance_loss_since is None



def test_a_context_that_moved_alone_trains_nothing():
    """Errors are what costs: the trigger waits for labels, and counts from when they spoke."""
    trigger, week = OnEpisode(2 * DAY), 7 * DAY
    moved, costly = heard("input", "input"), heard("input", "input", "input", "level")
    for day in range(30):
        assert trigger.due(START + day * DAY, START - week, (moved, heard("health"))) is None
    # a scheduled training between the two does not use it up
    acts = [trigger.due(START + day * DAY, START + DAY, (costly,)) for day in range(3, 9)]
    assert [act is not None for act in acts] == [False, False, True, True, True, True]
    ladder = Ladder((LadderStep("output", 1.0, DAY),))
    for one, rung in ((moved, None), (costly, "output")):
        choice = ladder.choose(START + 20 * DAY, one, Situation(1.6, DAY), ())
        assert (None if choice.step is None else choice.step.rung) == rung
    assert "only the context moved" in ladder.choose(START + 20 * DAY, moved, Situation(1.6, DAY), ()).why
