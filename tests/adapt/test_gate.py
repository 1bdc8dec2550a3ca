"""The gate against closed forms, a brute-force variance, and simulated equal and better challengers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.adapt.promotion.paired_gate import PairedGate, PairedGateError, long_run_variance, one_sided_p


def overlapping(draws, n, overlap):
    """Noise whose neighbours share ``overlap`` shocks, as losses of overlapping horizons do: MA(overlap - 1)."""
    return np.convolve(draws.normal(size=n + overlap), np.ones(overlap) / np.sqrt(overlap), "valid")[:n]


def pair(draws, n, overlap, gain):
    champion = 1 + 0.3 * overlapping(draws, n, overlap)
    return champion, champion * (1 - gain) + 0.15 * overlapping(draws, n, overlap)


@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_variance_is_that_of_the_double_loop(seed, n, lags):
    values = np.random.default_rng(seed).normal(size=n)
    centred = values - values.mean()
    slow = sum(max(0.0, 1 - abs(i - j) / (lags + 1)) * centred[i] * centred[j]
               for i in range(n) for j in range(n)) / n
    assert long_run_variance(values, lags) == pytest.approx(slow, abs=1e-12)


def test_variance_meets_the_closed_forms():
    draws = np.random.default_rng(1)
    shocks = draws.normal(size=200_001)
    assert long_run_variance(shocks[1:] + 0.5 * shocks[:-1], 200) == pytest.approx(1.5**2, rel=0.08)
    series = np.empty(200_000)
    last = 0.0
    for i, shock in enumerate(shocks[:-1]):
        last = series[i] = 0.6 * last + shock
    assert long_run_variance(series, 200) == pytest.approx(1 / (1 - 0.6) ** 2, rel=0.08)


@pytest.mark.parametrize("overlap", [1, 4, 8])
def test_equal_models_are_seldom_promoted(overlap):
    draws, trials = np.random.default_rng(2), 600
    gate = PairedGate(overlap)
    wrong = sum(gate.decide(*pair(draws, 112, overlap, 0.0)).verdict == "accept" for _ in range(trials)) / trials
    assert wrong <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / trials)


@pytest.mark.parametrize(("gain", "overlap", "share"), [(0.1, 4, 0.85), (0.05, 1, 0.85)])
def test_better_challengers_are_mostly_accepted(gain, overlap, share):
    draws = np.random.default_rng(3)
    verdicts = [PairedGate(overlap).decide(*pair(draws, 112, overlap, gain)).verdict for _ in range(200)]
    assert np.mean([verdict == "accept" for verdict in verdicts]) >= share


def test_looking_in_between_changes_nothing():
    draws = np.random.default_rng(4)
    gate = PairedGate(4, looks=(56, 112))
    champion, challenger = pair(draws, 112, 4, 0.02)
    early = gate.decide(champion[:56], challenger[:56])
    for n in range(57, 112):
        assert gate.decide(champion[:n], challenger[:n]) == early
    assert gate.decide(champion[:55], challenger[:55]).verdict == "wait"
    assert gate.decide(champion, challenger).verdict in ("accept", "reject")


def test_equal_losses_and_worse_losses_are_rejected():
    losses = np.linspace(1, 2, 112)
    assert PairedGate(4).decide(losses, losses).verdict == "reject"
    assert PairedGate(4).decide(losses, losses * 1.2).verdict == "reject"
    accepted = PairedGate(4).decide(losses, losses * 0.9)
    assert accepted.verdict == "accept" and accepted.mean_gain == pytest.approx(0.1)
    assert PairedGate(4, margin=0.2).decide(losses, losses * 0.9).verdict == "reject"


def test_no_node_may_pay_for_the_others():
    draws = np.random.default_rng(5)
    champion = 1 + 0.1 * draws.normal(size=(112, 6))
    challenger = champion * 0.7 + 0.02 * draws.normal(size=(112, 6))
    assert PairedGate(4).decide(champion, challenger).verdict == "accept"
    challenger[:, 2] = champion[:, 2] * 1.2
    decision = PairedGate(4).decide(champion, challenger)
    assert decision.verdict == "reject" and decision.harmed == (2,)


def test_losses_that_never_came_are_dropped_in_pairs():
    draws = np.random.default_rng(6)
    champion, challenger = pair(draws, 150, 4, 0.1)
    holed, other = champion.copy(), challenger.copy()
    holed[5:20], other[10:30] = np.nan, np.nan
    keep = np.r_[0:5, 30:150]
    assert PairedGate(4).decide(holed, other) == PairedGate(4).decide(champion[keep], challenger[keep])


def test_p_value_is_uniform_enough_without_overlap():
    draws = np.random.default_rng(7)
    values = [one_sided_p(draws.normal(size=100), 1) for _ in range(1000)]
    assert abs(np.mean(np.array(values) < 0.1) - 0.1) < 0.03


def test_errors_say_the_remedy():
    with pytest.raises(PairedGateError, match="later looks"):
        PairedGate(24, looks=(20, 40))
    with pytest.raises(PairedGateError, match="pair the losses"):
        PairedGate(1).decide(np.ones(3), np.ones(4))
