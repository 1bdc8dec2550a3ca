"""Correlation- and Granger-picked candidates against references."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from terracast.benchmarks.drivers.peers import correlation_picked, granger_picked
from terracast.causal.graph.graph import Series
from terracast.causal.preprocessing.prepare import Prepared

NAMES = (Series("a", "x"), Series("a", "y"), Series("b", "z"))


def noise(rows: int = 400) -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(rows, 3))
    values[3:, 2] += 0.5 * values[:-3, 1]
    values[::37, 0] = np.nan
    return values


def test_the_lag_and_size_of_the_correlation_are_scipys() -> None:
    values = noise()
    found, = correlation_picked(Prepared(values, NAMES, "1h", np.arange(400)), NAMES[2], max_lag=5)
    assert (found.series, found.lag) == (NAMES[1], 3)
    assert found.strength == pytest.approx(stats.pearsonr(values[:-3, 1], values[3:, 2]).statistic)


def test_grangers_f_is_that_of_two_nested_regressions() -> None:
    values = noise()
    found, = granger_picked(Prepared(values, NAMES, "1h", np.arange(400)), NAMES[2], max_lag=3)
    assert (found.series, found.lag) == (NAMES[1], 3)
    rows = [row for row in range(3, 400) if np.isfinite(values[row - 3:row]).all()]
    full = np.array([[1.0, *values[row - 3:row].ravel()] for row in rows])
    bare = np.array([[1.0, *values[row - 3:row][:, [0, 2]].ravel()] for row in rows])
    effect = values[rows, 2]
    squares = [float(np.linalg.lstsq(table, effect, rcond=None)[1][0]) for table in (bare, full)]
    ratio = (squares[0] - squares[1]) / 3 / (squares[1] / (len(rows) - 10))
    assert found.reason == f"Granger's F {ratio:.1f}"
