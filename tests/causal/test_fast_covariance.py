"""The lagged covariance and its kernels against sums written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.causal.fast.bootstrap import drawn_blocks, times_read
from terracast.causal.fast.covariance import CONSTANT, lagged_correlation
from terracast.causal.fast.exact import ExactTest
from terracast.causal.fast.gaps import GapTest
from terracast.causal.fast.partial import UNSURE, guard, partial_correlation
from terracast.causal.fast.significance import Thresholds, p_values


def columns_by_hand(values: np.ndarray, rows: np.ndarray, deepest: int) -> np.ndarray:
    return np.stack([values[rows - lag, place] for lag in range(deepest + 1) for place in range(values.shape[1])])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(0, 4), st.integers(30, 90), st.integers(0, 2**31), st.booleans())
def test_every_correlation_is_that_of_its_rows(series: int, max_lag: int, length: int, seed: int,
                                               draw: bool) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(length, series)).cumsum(axis=0) + 1e3
    blocks = drawn_blocks(length, 2 * max_lag, 5, rng) if draw else None
    found = lagged_correlation(values, max_lag, blocks)
    by_hand = np.atleast_2d(np.corrcoef(columns_by_hand(values, found.rows, 2 * max_lag)))
    assert np.abs(found.matrix - by_hand).max() < 1e-10
    assert found.samples == length - 2 * max_lag


def test_a_draw_reads_as_many_rows_and_counts_them() -> None:
    blocks = drawn_blocks(100, 6, 7, np.random.default_rng(1))
    rows = np.concatenate([np.arange(*one) for one in blocks])
    assert len(rows) == 94 and rows.min() >= 6 and rows.max() < 100
    assert (times_read(100, blocks) == np.bincount(rows, minlength=100)).all()
    with pytest.raises(ValueError, match="block"):
        drawn_blocks(20, 2, 18, np.random.default_rng(1))


def test_constants_are_told_and_twins_stay_twins() -> None:
    rng = np.random.default_rng(2)
    one = rng.normal(size=300)
    values = np.column_stack([one, rng.normal(size=300), np.full(300, 2.0), -one, np.roll(one, 2)])
    found = lagged_correlation(values, 2)
    assert (found.state.reshape(5, 5)[:, 2] == CONSTANT).all() and not found.state.reshape(5, 5)[:, [0, 1, 3]].any()
    assert (found.matrix[3, [1, 6]] == -found.matrix[0, [1, 6]]).all()  # to the bit: ties stay ties
    assert (found.matrix[1, 2 * 5] == found.matrix[1, 4]) and found.matrix[0, 3] == -1.0


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 9), st.integers(0, 2**31), st.floats(0.0, 3.0))
def test_partial_correlations_are_those_of_residuals(count: int, seed: int, common: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(400, count)) + common * rng.normal(size=(400, 1))
    found = lagged_correlation(values, 0)
    given_, pair = values[:, :-2] - values[:, :-2].mean(0), values[:, -2:] - values[:, -2:].mean(0)
    rest = pair - given_ @ np.linalg.lstsq(given_, pair, rcond=None)[0]
    value = partial_correlation(found.matrix, np.arange(count), guard(400), np.empty((count, count)))
    assert value == pytest.approx(np.corrcoef(rest.T)[0, 1], abs=1e-11)
    assert GapTest(values, 0, np.array([[0, 400]]))(np.arange(count))[0] == pytest.approx(value, abs=1e-11)


@pytest.mark.parametrize("depth", [0, 1, 2, 5, 8])
@pytest.mark.parametrize("twin", [0.0, 1e-4])
def test_a_level_holds_the_same_tests_one_by_one(depth: int, twin: float) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(500, 5))
    values[1:, 0] += values[:-1, 1] - 0.5 * values[:-1, 2]
    if twin:
        values[:, 3] = values[:, 1] + twin * rng.normal(size=500)
    found = lagged_correlation(values, 2)
    exact = ExactTest(values, found.rows)
    order = rng.permutation(np.arange(5, 15))
    got, samples = found.level(np.array([0]), order, np.array([0, 10]), depth)
    gaps, _ = GapTest(values, 2, np.array([[4, 500]])).level(np.array([0]), order, np.array([0, 10]), depth)
    for place, column in enumerate(order):
        others = [int(one) for one in order if one != column][:depth]
        wanted, p_wanted = exact(int(column), 0, others)
        for value in (got[place], gaps[place]):
            if value != UNSURE:
                assert value == pytest.approx(wanted, abs=1e-9)
                assert p_values(np.array(value), samples[place] - depth - 2) == pytest.approx(p_wanted, abs=1e-8)
    assert twin or (got != UNSURE).all()
    assert not twin or depth < 5 or (got == UNSURE).any()


def test_thresholds_part_the_p_values() -> None:
    limits = Thresholds.of(0.01, 1000, 30)
    freedom = 1000 - np.arange(2, 31)
    assert (p_values(limits.significant[2:], freedom) <= 0.01).all()
    assert (p_values(limits.significant[2:] - 1e-9, freedom) > 0.01).all()
    assert (p_values(limits.vanishing[2:], freedom) == 0).all()
    assert (p_values(limits.vanishing[2:] - 1e-3, freedom) > 0).all()
    assert np.isnan(p_values(np.array(0.5), 0))
