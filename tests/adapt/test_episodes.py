"""Episodes: storms fold, time closes, state survives."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.adapt.monitoring.diagnosis.compared_windows import Windows
from terracast.adapt.monitoring.diagnosis.effect import Effect
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
    named = next(name for name in ("level", "calibration", "input") if name in change_types)
    assert one.change_type == named  # what errors say names it, else what intervals say
    assert one.since == START + change_types.index(named) * DAY  # a context may have moved long before


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


def dated(now, since, change_type="level", direction="up", strength=2.0, sure=DAY):
    return Evidence(now, since, ("a",), change_type, direction, strength, earliest=since - sure, latest=since + sure)


def test_a_second_change_is_an_episode_of_its_own_with_its_own_onset():
    episodes = Episodes(14 * DAY, name="air")
    (first,) = episodes.fold(START, [dated(START, START - 2 * DAY)])
    later = START + 12 * DAY
    (second,) = episodes.fold(later, [dated(later, START + 10 * DAY, direction="down")])
    assert (second.id, second.phase, second.since) == ("air-2015-03-16T06", "opened", START + 10 * DAY)
    assert "An earlier change, of 2 Mar 2015, was still open then." in second.alarm.where
    assert {one.id for one in episodes.active()} == {first.id, second.id}
    (grown,) = episodes.fold(later + DAY, [dated(later + DAY, START + 10 * DAY, direction="down")])
    assert grown.id == second.id, "more of the second change is of the second"
    old, new = Episodes.restore(unpack(pack(episodes.state()))).active()
    assert (old.since, new.since, new.count) == (START - 2 * DAY, START + 10 * DAY, 2)
    (elder,) = episodes.fold(later + DAY, [dated(later + DAY, START - 2 * DAY)])
    assert elder.id == first.id, "more of the first change is of the first"
    (same,) = episodes.fold(later + DAY, [dated(later + DAY, START + 2 * DAY, sure=3 * DAY)])
    assert same.id == second.id, "evidence whose beginning is not clear makes no third"
    weak = dated(later + DAY, START + 20 * DAY, strength=1.2, sure=0 * DAY)
    assert {one.id for one in episodes.fold(later + DAY, [weak])} == {second.id}, "an echo makes none, either"


def test_two_changes_lie_as_far_apart_as_the_promise_counts_alarms():
    """Blocks of a month, cooldown of seven: the promise takes alarms of seven blocks for one, half of it is too few."""
    month = 30 * DAY
    for apart, expected in ((None, 2), (7 * month, 1)):
        episodes = Episodes(7 * month, apart=apart)
        episodes.fold(START, [dated(START, START)])
        later = START + 6 * month
        episodes.fold(later, [dated(later, later - month, direction="down")])
        assert len(episodes.active()) == expected


def test_it_began_when_its_strongest_evidence_says():
    """Two weeks that hold one changed day look back two weeks; the day itself says when. Stronger evidence revises."""
    episodes = Episodes(14 * DAY, name="air")
    (opened,) = episodes.fold(START, [dated(START, START - 13 * DAY, strength=1.1, sure=12 * DAY),
                                      dated(START, START - DAY, strength=1.9),
                                      dated(START, START - 12 * DAY, "scale", strength=1.5, sure=12 * DAY)])
    assert opened.since == START - DAY
    assert "It began about 3 Mar 2015" in opened.alarm.where
    assert opened.to_json()["since"] == "2015-03-03T06:00:00Z"
    (grown,) = episodes.fold(START + DAY, [dated(START + DAY, START - 2 * DAY, strength=2.5)])
    assert grown.since == START - 2 * DAY
    assert Episodes.restore(unpack(pack(episodes.state()))).active()[0].since == START - 2 * DAY


def test_a_data_ticket_is_open_since_its_first_fault():
    episodes = Episodes(3 * DAY, name="air")
    for day in (1, 0, 2):
        at = START + day * DAY
        episodes.fold(START + 2 * DAY, [Evidence(at, at, (f"s{day}",), "health", "", 0.0, "silent")])
    assert episodes.active()[0].since == START


def test_one_change_that_shows_in_several_ways_is_one_episode():
    episodes = Episodes(14 * DAY, name="air")
    for day, change_type in enumerate(["level", "scale", "calibration", "input", "level"]):
        episodes.fold(START + day * DAY, [dated(START + day * DAY, START + (day - 3) * DAY / 4, change_type)])
    (one,) = episodes.active()
    assert one.count == 5


def test_what_one_place_does_beside_all_others_is_an_episode_of_its_own() -> None:
    """A rise that all share is open and goes on; a fall of one place, weaker, is news, and each grows by its own."""
    episodes, later = Episodes(14 * DAY, name="air"), START + 20 * DAY
    (common,) = episodes.fold(START, [replace(dated(START, START - 2 * DAY, strength=3.0), common=True)])
    episodes.fold(later - DAY, [replace(dated(later - DAY, START - 2 * DAY, strength=2.0), common=True)])
    (own,) = episodes.fold(later, [dated(later, later - 3 * DAY, direction="down", strength=1.2)])
    assert own.id != common.id and own.since == later - 3 * DAY
    (grown,) = episodes.fold(later + DAY, [replace(dated(later + DAY, later - 9 * DAY, strength=1.5), common=True)])
    assert grown.id == common.id
    (grown,) = episodes.fold(later + DAY, [dated(later + DAY, later - 3 * DAY, direction="down", strength=1.3)])
    assert grown.id == own.id


def test_an_episode_that_was_chance_says_so_as_it_closes():
    episodes = Episodes(2 * DAY, 5 * DAY, name="air")
    episodes.fold(START, [clue(START, strength=1.1)])
    episodes.fold(START + 3 * DAY, [])
    (closed,) = episodes.fold(START + 6 * DAY, [])
    assert str(closed.alarm).endswith("It closed on 10 Mar 2015: nothing more was found, so chance may well have been "
                                      "all of it.")
    assert closed.to_json()["closed"] == "2015-03-10T06:00:00Z"


@pytest.mark.parametrize(("direction", "percent", "news"), [("down", -35.0, True), ("down", -6.0, False),
                                                            ("up", 35.0, False)])
def test_a_weaker_change_the_other_way_is_news_if_it_goes_farther(direction: str, percent: float, news: bool) -> None:
    """A rise of 15 % that was told strongly hides no fall of 35 %; a small fall may be the rise that becomes usual."""
    episodes, later = Episodes(14 * DAY, name="bikes"), START + 30 * DAY

    def level(at: np.datetime64, way: str, strength: float, share: float) -> Evidence:
        effect = Effect(10 * share, 9 * share, 11 * share, (share, 0.9 * share, 1.1 * share))
        return Evidence(at, at - 2 * DAY, ("a",), "level", way, strength, effect=effect,
                        earliest=at - 3 * DAY, latest=at - DAY)

    (first,) = episodes.fold(START, [level(START, "up", 3.0, 15.0)])
    episodes.fold(later - 5 * DAY, [level(later - 5 * DAY, "up", 1.1, 4.0)])  # it is still open
    (found,) = episodes.fold(later, [level(later, direction, 1.5, percent)])
    assert (found.id != first.id) == news
    if news:
        assert found.older == first.since and found.since == later - 2 * DAY


@pytest.mark.parametrize(("rise", "fall", "news"), [
    ((300.0, 15.0), (-20.0, -35.0), True), ((30.0, 50.0), (-24.0, -40.0), True),
    ((300.0, 50.0), (-400.0, -10.0), False), ((30.0, None), (-40.0, -2.0), True)])
def test_changes_of_places_of_any_size_are_compared_by_their_ratios(rise: tuple, fall: tuple, news: bool) -> None:
    """A busy place's rise by 300 is nothing beside the fall of a quiet one by a third; half as much again is undone by
    a third less."""
    episodes, later = Episodes(14 * DAY, name="bikes"), START + 30 * DAY

    def level(at: np.datetime64, way: str, strength: float, amount: float, share: float | None) -> Evidence:
        percent = None if share is None else (share, share, share)
        return Evidence(at, at - 2 * DAY, ("a",), "level", way, strength, earliest=at - 3 * DAY, latest=at - DAY,
                        effect=Effect(amount, amount, amount, percent))

    (first,) = episodes.fold(START, [level(START, "up", 3.0, *rise)])
    episodes.fold(later - 5 * DAY, [level(later - 5 * DAY, "up", 1.1, *rise)])
    (found,) = episodes.fold(later, [level(later, "down", 1.5, *fall)])
    assert (found.id != first.id) == news
