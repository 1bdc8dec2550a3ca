"""What a replay advises, on errors whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from terracast.adapt.evaluation.oracle import ORACLE
from terracast.adapt.evaluation.replay import ReplayOutcome
from terracast.flows.reporting.advice import advice
from terracast.flows.reporting.replay_words import alarms

DAY = pd.Timedelta("1D")


def outcome(name: str, mae: float, trained: int = 0, seed: int = 0, days: int = 120) -> ReplayOutcome:
    """Errors of two nodes that share the noise of the days and have a little of their own."""
    times = np.repeat(pd.date_range("2024-01-01", periods=days), 2)
    shared, own = np.random.default_rng(5), np.random.default_rng(seed)
    noise = np.repeat(shared.normal(0, 1, days), 2) + own.normal(0, 0.1, 2 * days)
    scores = pd.DataFrame({"issue_time": times, "node": ["a", "b"] * days, "crps": mae,
                           "absolute_error": mae + noise - noise.mean(), "hits": 0.8, "last_hit": 0.8, "labels": 24})
    return ReplayOutcome(name, scores, (), (), trained, 0, 1.0)


def told(*outcomes: ReplayOutcome) -> str:
    return advice([outcome("seasonal-naive", 12.0, seed=9), *outcomes], ("seasonal-naive",), DAY, "ug m-3")


def test_a_clear_gain_names_the_policy_the_gain_and_the_unit() -> None:
    words = told(outcome("frozen", 10.0), outcome("loop", 8.0, 3, seed=1))
    assert words.startswith("Adapting is worth it") and 'adapt.policy = "loop"' in words
    assert "8" in words and "(µg m⁻³)" in words and "20 % less than frozen" in words
    assert "seasonal-naive 12" in words


def test_no_clear_difference_chooses_what_costs_nothing() -> None:
    words = told(outcome("frozen", 10.0), outcome("loop", 9.99, 3, seed=1))
    assert "no clear difference" in words and words.endswith('choose adapt.policy = "frozen".')


def test_of_two_that_are_as_good_the_one_that_trains_less_is_chosen() -> None:
    words = told(outcome("frozen", 10.0), outcome("weekly", 7.999, 30, seed=1), outcome("loop", 8.0, 2, seed=2))
    assert 'adapt.policy = "loop"' in words


def test_a_plain_rule_that_is_better_is_said() -> None:
    words = told(outcome("frozen", 15.0), outcome("loop", 14.0, 3, seed=1))
    assert words.startswith("It is not worth it") and "seasonal-naive 12" in words and "base.first_fit" in words


def test_a_replay_too_short_to_tell_says_so() -> None:
    short = [outcome(name, mae, seed=seed, days=14) for seed, (name, mae) in enumerate(
        {"seasonal-naive": 12.0, "frozen": 10.0, "loop": 8.0}.items())]
    assert advice(short, ("seasonal-naive",), DAY, "1").startswith("No clear difference: ")


@pytest.mark.parametrize("names", [("loop",), ("weekly", "loop"), ("frozen",), ()])
def test_any_choice_of_policies_gets_a_sentence(names: tuple[str, ...]) -> None:
    words = told(*(outcome(name, 10.0, seed=place) for place, name in enumerate(names)))
    assert words.count(". ") == 0 and words.endswith(".")
    assert not names or "adapt.policy" in words


def test_the_oracle_is_never_advised() -> None:
    assert 'adapt.policy = "ladder"' in told(outcome("frozen", 10.0), outcome("ladder", 8.0, 1, 1),
                                             outcome(ORACLE, 5.0, 1, 2))


def test_an_alarm_of_several_policies_is_told_once_and_baselines_raise_none() -> None:
    one = {"opened": "2024-02-01T06:00:00", "alarm": "Errors moved up. It concerns a since then."}
    later = {"opened": "2024-03-01T06:00:00", "alarm": "Again."}
    rows = [{"policy": "last-value", "episodes": [later]}, {"policy": "frozen", "episodes": [one, later]},
            {"policy": "loop", "episodes": [one]}]
    assert alarms(rows, ["last-value"]) == [
        "2024-02-01 06:00 UTC: Errors moved up. It concerns a since then. (frozen, loop)",
        "2024-03-01 06:00 UTC: Again. (frozen)"]
