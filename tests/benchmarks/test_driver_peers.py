"""Correlation- and Granger-picked candidates against references, and the three conditions in simulated worlds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.drivers.bench import Ridge, bench_drivers
from benchmarks.drivers.peers import correlation_picked, granger_picked
from benchmarks.drivers.worlds import TARGET, world
from causal.graph import Series
from causal.prepare import Prepared

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


def test_the_ridge_reads_nothing_after_its_issue_time() -> None:
    made = world(3, steps=900)
    model, fit, test = Ridge(made.published, 3), slice(0, 600), slice(600, 800)
    used = sorted(made.useful)
    clean = model.losses(made.prepared, TARGET, used, fit, test)
    values = made.prepared.values.copy()
    late = [made.prepared.series.index(one) for one in used]
    values[700:, late] = 1e6  # published one step late: issue times up to 700 have not seen it
    poisoned = Prepared(values, made.prepared.series, "1h", made.prepared.time)
    again = model.losses(poisoned, TARGET, used, fit, test)
    np.testing.assert_array_equal(again[:101], clean[:101])
    assert again[101] > 100


def test_used_drivers_are_true_ones_and_most_true_ones_are_used() -> None:
    """Three worlds with decoys, siblings, effects, a fickle cause and a late feed (twelve in the bench)."""
    answer = bench_drivers(worlds=3)
    assert answer["summary"]["precision"] >= 0.9 and answer["summary"]["recall"] >= 0.7
    rows = {row["method"]: row for row in answer["rows"]}
    assert rows["correlation-picked"]["precision"] < 0.6 and rows["all"]["precision"] < 0.5
    assert rows["terracast"]["mae_ratio"] < 0.9
