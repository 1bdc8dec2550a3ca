"""The ladder climbs only when it must, within its means, and its receipts tell the gain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.adapt.monitoring.episodes.episodes import Episode, EvidenceSum
from terracast.adapt.promotion.ladder import Attempt, Ladder, LadderError, LadderStep, Situation, measured, seconds_left
from terracast.streams.storage.tree import pack, unpack

DAY = np.timedelta64(1, "D")
AT = np.datetime64("2020-03-01", "ns")
LADDER = Ladder((LadderStep("intervals", 0.1, 1 * DAY, ("scale",)), LadderStep("output", 1.0, 3 * DAY, largest=4.0),
                 LadderStep("adapter", 20.0, 7 * DAY), LadderStep("fine-tune", 60.0, 14 * DAY)))


def found(strength: float) -> dict[str, EvidenceSum]:
    return {"level": EvidenceSum.of(AT, Evidence(AT, AT, ("a",), "level", "up", strength))}


EPISODE = Episode("e", "level", "growing", AT, AT, AT, {"a": 2.0}, found(2.0))
NOW = Situation(1.6, DAY)


def test_cheapest_suited_rung_first_and_only_with_labels() -> None:
    assert LADDER.choose(AT + 2 * DAY, EPISODE, NOW, ()).step is None
    chosen = LADDER.choose(AT + 4 * DAY, EPISODE, NOW, ()).step
    assert chosen is not None and chosen.rung == "output"
    wide = LADDER.choose(AT + 4 * DAY, replace(EPISODE, change_type="scale"), NOW, ()).step
    assert wide is not None and wide.rung == "intervals"
    large = LADDER.choose(AT + 30 * DAY, replace(EPISODE, by_type=found(6.0)), NOW, ()).step
    assert large is not None and large.rung == "adapter"


def test_it_climbs_only_when_the_rung_below_did_not_bring_the_error_back() -> None:
    attempts = [Attempt("e", "output", "because", AT + 4 * DAY, 1.0, before=1.6)]
    assert LADDER.choose(AT + 6 * DAY, EPISODE, NOW, attempts).step is None
    later = AT + 20 * DAY
    assert LADDER.choose(later, EPISODE, Situation(1.25, DAY), attempts).step is None
    higher = LADDER.choose(later, EPISODE, Situation(1.5, DAY), attempts)
    assert higher.step is not None and higher.step.rung == "adapter" and "output did not" in higher.why
    attempts.append(Attempt("e", "fine-tune", "because", AT + 40 * DAY, 60.0, before=1.5))
    assert LADDER.choose(AT + 60 * DAY, EPISODE, Situation(1.5, DAY), attempts).why == "no higher rung is left for it"


def test_outages_calm_errors_and_empty_purses_are_left_alone() -> None:
    later = AT + 30 * DAY
    assert LADDER.choose(later, replace(EPISODE, change_type="health"), NOW, ()).step is None
    assert LADDER.choose(later, EPISODE, Situation(1.02, DAY), ()).step is None
    assert LADDER.choose(later, EPISODE, Situation(float("nan"), DAY), ()).step is None
    assert LADDER.choose(later, EPISODE, Situation(1.6, DAY, seconds_left=0.5), ()).step is None
    spent = [Attempt("f", "fine-tune", "", later - 5 * DAY, 60.0, 2.0),
             Attempt("f", "output", "", later - 40 * DAY, 5.0, 2.0)]
    assert seconds_left(100.0, spent, later) == 40.0


def test_receipts_measure_the_gain_afterwards_and_survive_json() -> None:
    attempts = [Attempt("e", "output", "because", AT, 1.0, before=1.6)]
    assert np.isnan(measured(attempts, "e", 1.2, AT + 2 * DAY, 7 * DAY)[0].gain)
    told = measured(attempts, "e", 1.15, AT + 8 * DAY, 7 * DAY)
    assert told[0].gain == pytest.approx(0.75)
    assert measured(told, "e", 3.0, AT + 9 * DAY, 7 * DAY) == told
    assert Attempt.restore(unpack(pack(told[0].state()))) == told[0]


@given(st.floats(0.5, 5.0), st.floats(0.1, 10.0), st.integers(0, 60), st.floats(0.0, 100.0))
def test_whatever_comes_a_step_is_affordable_and_explained(ratio: float, size: float, age: int, purse: float) -> None:
    choice = LADDER.choose(AT + age * DAY, replace(EPISODE, by_type=found(size)), Situation(ratio, DAY, purse), ())
    assert choice.why
    if choice.step is not None:
        assert choice.step.seconds <= purse and choice.step.needs <= (age - 1) * DAY and ratio > 1


def test_a_ladder_rises() -> None:
    with pytest.raises(LadderError, match="steps are"):
        Ladder((LadderStep("b", 2.0, DAY), LadderStep("a", 1.0, DAY)))
