"""The betting gate: seldom wrong however often it is asked, quick where the gain is clear, steady in its answers."""

from __future__ import annotations

import numpy as np
import pytest

from terracast.adapt.promotion.e_process_gate import EProcessGate, log_worth
from terracast.adapt.promotion.paired_gate import PairedGateError

OVERLAP = 6


def _losses(draws: np.random.Generator, n: int) -> np.ndarray:
    """Skewed losses whose neighbours share ``OVERLAP`` shocks."""
    shocks = np.convolve(draws.normal(size=n + OVERLAP), np.ones(OVERLAP) / np.sqrt(OVERLAP), "valid")[:n]
    return np.asarray(np.exp(0.5 * shocks))


def _equal(draws: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    world = _losses(draws, n)
    return world * _losses(draws, n) ** 0.2, world * _losses(draws, n) ** 0.2


def test_equal_models_are_seldom_promoted_though_asked_after_every_pair() -> None:
    draws, trials, gate = np.random.default_rng(0), 300, EProcessGate(OVERLAP)
    wrong = 0
    for _ in range(trials):  # the verdict on all rows is that of the first block with one: asking often adds nothing
        wrong += gate.decide(*_equal(draws, 56 * OVERLAP)).verdict == "accept"
    assert wrong / trials <= 0.05


def test_verdict_on_rows_is_kept_when_more_come() -> None:
    draws, gate = np.random.default_rng(1), EProcessGate(OVERLAP)
    champion, challenger = _equal(draws, 400)
    challenger = 0.9 * challenger
    first = next(n for n in range(400) if gate.decide(champion[:n], challenger[:n]).verdict != "wait")
    asked = [gate.decide(champion[:n], challenger[:n]) for n in range(first, 400, 7)]
    assert {one.verdict for one in asked} == {"accept"} and {one.n for one in asked} == {asked[0].n}


def test_a_worth_is_one_on_average_for_symmetric_differences() -> None:
    draws = np.random.default_rng(2)
    worths = []
    for _ in range(4000):
        swapped = draws.random(12) < 0.5
        one, other = np.ones(12), np.full(12, 0.9)
        worths.append(np.exp(log_worth(np.where(swapped, one, other), np.where(swapped, other, one), 0.05)[-1]))
    assert np.mean(worths) <= 1.0 + 3 * np.std(worths) / np.sqrt(len(worths))


@pytest.mark.parametrize(("factor", "verdict"), [(0.95, "accept"), (1.08, "reject")])
def test_better_is_accepted_and_worse_rejected_soon(factor: float, verdict: str) -> None:
    draws, found = np.random.default_rng(3), []
    for _ in range(40):
        champion = _losses(draws, 56 * OVERLAP)
        found.append(EProcessGate(OVERLAP).decide(champion, factor * champion * (1 + 0.05 * draws.normal(size=336))))
    assert np.mean([one.verdict == verdict for one in found]) > 0.9
    assert np.median([one.n for one in found]) <= 21 * OVERLAP


def test_a_harmed_group_is_refused_however_good_the_mean() -> None:
    draws = np.random.default_rng(4)
    champion = np.stack([_losses(draws, 336) for _ in range(6)], axis=1)
    challenger = champion * np.array([0.7, 0.7, 0.7, 0.7, 0.7, 1.4])
    decision = EProcessGate(OVERLAP).decide(champion, challenger)
    assert (decision.verdict, decision.harmed) == ("reject", (5,))
    pooled = EProcessGate(OVERLAP, groups=((0, 1, 2), (3, 4, 5))).decide(champion, challenger)
    assert pooled.verdict == "accept"


def test_gaps_are_left_out_and_nonsense_is_refused() -> None:
    champion = np.ones(300)
    champion[::5] = np.nan
    assert EProcessGate(OVERLAP).decide(champion, 0.9 * champion).verdict == "accept"
    with pytest.raises(PairedGateError, match="alpha"):
        EProcessGate(OVERLAP, alpha=0.0)
    assert EProcessGate(OVERLAP).decide(np.ones(3), np.ones(3)).verdict == "wait"


def test_a_much_better_challenger_does_not_wait_long():
    draws = np.random.default_rng(8)
    champion = 5.0 + draws.random(60)
    decision = EProcessGate(horizon_steps=1).decide(champion, 1.0 + draws.random(60))
    assert decision.verdict == "accept" and decision.n <= 40
