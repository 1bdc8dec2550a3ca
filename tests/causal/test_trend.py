"""Slow curves, heavy tails and seasonal spread against closed forms and independent references."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from terracast.causal.preprocessing.deseasonalise import anomalies, seasonal_spread
from terracast.causal.preprocessing.detrend import slow_part
from terracast.causal.preprocessing.gaussianize import excess_kurtosis, normal_scores

RNG = np.random.default_rng(5)


def test_a_cubic_is_taken_out_exactly_and_gaps_do_not_matter() -> None:
    steps = np.linspace(-1, 1, 400)
    curve = 2 * steps**3 - steps + 5
    holed = curve.copy()
    holed[50:120] = np.nan
    np.testing.assert_allclose(slow_part(holed, 100.0), curve, atol=1e-8)


@pytest.mark.parametrize("rows", [0, 1, 4, 5, 13])
def test_short_and_empty_series_give_finite_curves(rows: int) -> None:
    values = np.full(30, np.nan)
    values[:rows] = RNG.normal(size=rows)
    assert np.isfinite(slow_part(values, 10.0)).all()


def test_a_fast_wave_is_left_alone() -> None:
    wave = np.sin(2 * np.pi * np.arange(960) / 24)
    assert slow_part(wave, 480.0).std() < 0.05 * wave.std() and np.abs(slow_part(wave, 480.0)[100:-100]).max() < 0.03


def test_normal_scores_are_monotone_normal_and_keep_gaps() -> None:
    values = np.sinh(3 * RNG.normal(size=(2000, 2)))
    values[7, 0] = np.nan
    scores = normal_scores(values)
    assert np.isnan(scores[7, 0]) and np.isfinite(scores).sum() == 3999
    assert stats.spearmanr(values[:, 1], scores[:, 1]).statistic == pytest.approx(1.0)
    assert abs(excess_kurtosis(scores)) < 0.1 < 3 < excess_kurtosis(values)
    assert excess_kurtosis(values[:, 1]) == pytest.approx(stats.kurtosis(values[:, 1]))


def test_no_season_in_the_spread_gives_nearly_none_and_a_true_one_is_found() -> None:
    slots = np.arange(24 * 60) % 24
    noise = RNG.normal(size=len(slots))
    assert np.std(seasonal_spread(noise, slots)[:24]) < 0.06  # by slot alone: 0.09
    factor = np.where((slots >= 7) & (slots < 9), 4.0, 1.0)  # a rush hour is no smooth wave
    found = seasonal_spread(factor * noise, slots)[:24]
    assert found[8] / found[3] == pytest.approx(4.0, rel=0.25)


def test_everything_at_once_leaves_the_noise() -> None:
    hours = np.arange(1000)
    noise = RNG.normal(size=1000)
    day = np.sin(2 * np.pi * hours / 24)
    seen = noise * (1 + 0.6 * day) + 3 * day + hours / 300 + np.cos(np.pi * hours / 1000)
    left = anomalies(seen, hours % 24, 720.0)
    assert np.corrcoef(left, noise)[0, 1] > 0.97
    assert np.isfinite(anomalies(np.where(hours % 7, seen, np.nan), hours % 24, 720.0)[hours % 7 > 0]).all()
