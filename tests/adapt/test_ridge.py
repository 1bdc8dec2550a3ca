"""Online ridge against batch least squares, and what it must not learn from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terracast.adapt.correction.experts.ridge import Moments, Ridge, RidgeError


def _batch(x: np.ndarray, y: np.ndarray, weights: np.ndarray, pull: np.ndarray) -> np.ndarray:
    """Independent reference: augmented least squares, rows √w x and √pull e_i."""
    root = np.sqrt(weights)[:, None]
    rows = np.concatenate([root * x, np.diag(np.sqrt(pull))])
    aim = np.concatenate([root * y, np.zeros((len(pull), y.shape[1]))])
    return np.linalg.lstsq(rows, aim, rcond=None)[0]


@given(seed=st.integers(0, 10_000), cut=st.integers(1, 39), forgetting=st.sampled_from([1.0, 0.99, 0.9]))
def test_blocks_give_what_batch_least_squares_gives(seed: int, cut: int, forgetting: float) -> None:
    draws = np.random.default_rng(seed)
    x, y, worth = draws.normal(size=(40, 1, 4)), draws.normal(size=(40, 1, 3)), draws.uniform(0, 2, (40, 1))
    moments = Moments(1, 4, 3, forgetting)
    moments.add(x[:cut], y[:cut], worth[:cut], rows=cut)
    moments.add(x[cut:], y[cut:], worth[cut:], rows=40 - cut)
    weights = worth[:, 0] * forgetting ** np.arange(39, -1, -1)
    gram = (x[:, 0] * weights[:, None]).T @ x[:, 0]
    pull = (3.0 + 2.0 * 2.0) * np.trace(gram) / 4 / weights.sum() * np.ones(4)  # one block of three leads: middle 2
    solved = Ridge(pooling=0.0, strength=3.0, slope=2.0).solve(moments, np.ones(4))
    assert solved is not None
    np.testing.assert_allclose(solved[0], _batch(x[:, 0], y[:, 0], weights, pull), rtol=1e-7, atol=1e-9)


def test_pooling_counts_pairs_of_others_as_told() -> None:
    draws = np.random.default_rng(1)
    x, y = draws.normal(size=(30, 2, 3)), draws.normal(size=(30, 2, 1))
    moments = Moments(2, 3, 1, 1.0)
    moments.add(x, y, np.ones((30, 2)), rows=30)
    solved = Ridge(pooling=0.25, strength=1e-9, slope=0.0).solve(moments, np.ones(3))
    assert solved is not None
    both, counts = np.concatenate([x[:, 0], x[:, 1]]), np.repeat([1.0, 0.25], 30)
    expected = _batch(both, np.concatenate([y[:, 0], y[:, 1]]), counts, np.full(3, 1e-9))
    np.testing.assert_allclose(solved[0], expected, rtol=1e-6)


def test_shared_sums_equal_full_pooling() -> None:
    draws = np.random.default_rng(2)
    x, y, worth = draws.normal(size=(30, 3, 4)), draws.normal(size=(30, 3, 2)), draws.uniform(0, 1, (30, 3))
    apart, shared = Moments(3, 4, 2, 0.99), Moments(3, 4, 2, 0.99, apart=False)
    for moments in (apart, shared):
        moments.add(x, y, worth, rows=30)
    one, two = (Ridge(pooling=1.0).solve(moments, np.ones(4)) for moments in (apart, shared))
    np.testing.assert_allclose(one, two, rtol=1e-9)


def test_pairs_worth_nothing_leave_no_trace() -> None:
    clean, dirty = Moments(1, 2, 1, 1.0), Moments(1, 2, 1, 1.0)
    x = np.array([[[1.0, 1.0]], [[2.0, 1.0]]])
    clean.add(x, x[..., :1], np.array([[1.0], [0.0]]), rows=2)
    x[1] = np.nan
    dirty.add(x, np.where(np.isnan(x[..., :1]), np.inf, x[..., :1]), np.array([[1.0], [0.0]]), rows=2)
    np.testing.assert_array_equal(clean.gram, dirty.gram)
    np.testing.assert_array_equal(clean.cross, dirty.cross)


def test_nothing_learned_and_constant_inputs_give_zero() -> None:
    moments = Moments(1, 3, 2, 1.0)
    assert not Ridge(0.0).solve(moments, np.ones(3)).any()  # type: ignore[union-attr]
    moments.add(np.zeros((5, 1, 3)), np.zeros((5, 1, 2)), np.ones((5, 1)), rows=5)
    assert not Ridge(0.0).solve(moments, np.ones(3)).any()  # type: ignore[union-attr]


def test_state_goes_on_to_the_bit(same_trees: Callable[[object, object], None]) -> None:
    draws = np.random.default_rng(3)
    moments = Moments(2, 3, 2, 0.99)
    moments.add(draws.normal(size=(9, 2, 3)), draws.normal(size=(9, 2, 2)), np.ones((9, 2)), rows=9)
    twin = Moments.restore(moments.state())
    x, y = draws.normal(size=(4, 2, 3)), draws.normal(size=(4, 2, 2))
    for one in (moments, twin):
        one.add(x, y, np.ones((4, 2)), rows=4)
    same_trees(moments.state(), twin.state())


def test_wrong_shapes_are_told() -> None:
    with pytest.raises(RidgeError, match="pairs of shape"):
        Moments(2, 3, 2, 1.0).add(np.ones((1, 2, 4)), np.ones((1, 2, 2)), np.ones((1, 2)), rows=1)
    with pytest.raises(RidgeError, match="forgetting"):
        Moments(2, 3, 2, 1.5)
