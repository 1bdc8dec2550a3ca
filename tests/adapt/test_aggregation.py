"""The mixtures: against closed forms, the stated bound under hostile losses and delay, and the simplex optimum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import cholesky
from scipy.optimize import minimize, nnls

from terracast.adapt.correction.experts.aggregation import (
    AggregationError,
    RegretBoundedMixture,
    crps_gradient,
    squared_gradient,
)
from terracast.adapt.correction.experts.convex_stack import SURE_SUM, ConvexStack, least
from terracast.adapt.evaluation.scores import crps


def _hostile(kind: str, rounds: int, experts: int, seed: int) -> np.ndarray:
    """Losses (round, expert): random, alternating leader, a leader that turns, heavy tails, a late shock."""
    draws = np.random.default_rng(seed)
    if kind == "alternating":
        return np.stack([np.arange(rounds) % experts == one for one in range(experts)], axis=1).astype(float)
    if kind == "turning":
        first = np.arange(rounds)[:, None] < rounds // 2
        return np.where(first, np.arange(experts), np.arange(experts)[::-1]).astype(float)
    if kind == "heavy":
        return draws.standard_t(1.5, size=(rounds, experts))
    if kind == "shock":
        losses = 0.01 * draws.uniform(size=(rounds, experts))
        losses[-rounds // 4:, 0] += 100.0
        losses[: rounds // 2, 1] += 0.01
        return losses
    return draws.uniform(size=(rounds, experts))


@settings(max_examples=60)
@given(kind=st.sampled_from(["random", "alternating", "turning", "heavy", "shock"]), delay=st.integers(0, 20),
       seed=st.integers(0, 1000), experts=st.integers(2, 5))
def test_regret_stays_under_the_stated_bound(kind: str, delay: int, seed: int, experts: int) -> None:
    losses = _hostile(kind, 300, experts, seed)
    mixture = RegretBoundedMixture(1, 1, np.full(experts, 1 / experts).tolist(), delay)
    played, waiting = 0.0, []
    for row in losses:
        played += float(mixture.weights()[:, 0, 0] @ row)
        waiting.append(row)
        if len(waiting) > delay:
            mixture.learn(waiting.pop(0)[:, None, None])
    for row in waiting:
        mixture.learn(row[:, None, None])
    assert played - losses.sum(axis=0).min() <= mixture.bound()[0, 0] + 1e-9


@pytest.mark.parametrize("delay", [0, 12])
def test_bound_holds_against_an_adversary_that_sees_the_weights(delay: int) -> None:
    mixture = RegretBoundedMixture(1, 1, (0.5, 0.5), delay)
    played, sums, waiting = 0.0, np.zeros(2), []
    for _ in range(500):
        weights = mixture.weights()[:, 0, 0]
        loss = (np.arange(2) == weights.argmax()).astype(float)  # always hits the favourite
        played, sums = played + float(weights @ loss), sums + loss
        waiting.append(loss)
        if len(waiting) > delay:
            mixture.learn(waiting.pop(0)[:, None, None])
    assert played - sums.min() <= mixture.bound()[0, 0]


def test_weights_are_the_softmax_of_summed_losses() -> None:
    draws = np.random.default_rng(0)
    losses = draws.normal(size=(50, 3, 2, 2))
    mixture = RegretBoundedMixture(2, 2, (0.5, 0.3, 0.2), delay=3)
    for row in losses:
        mixture.learn(row)
    span = np.ptp(losses, axis=1)
    variance = 7 / 8 * ((span**2).sum(axis=0) + 16 * span.max(axis=0) ** 2)
    raw = np.array([0.5, 0.3, 0.2])[:, None, None] * np.exp(-np.sqrt(np.log(5) / (2 * variance)) * losses.sum(axis=0))
    np.testing.assert_allclose(mixture.weights(), raw / raw.sum(axis=0), rtol=1e-9)


def test_labels_that_never_come_leave_the_priors() -> None:
    mixture = RegretBoundedMixture(1, 1, (0.7, 0.3), delay=2)
    for _ in range(10):
        mixture.learn(np.full((2, 1, 1), np.nan))
    assert mixture.weights()[:, 0, 0].tolist() == pytest.approx([0.7, 0.3])
    assert mixture.bound()[0, 0] == 0.0


def test_gradients_are_slopes_of_the_losses() -> None:
    draws = np.random.default_rng(1)
    levels, label = (0.1, 0.5, 0.9), np.array([0.3])
    experts = np.sort(draws.normal(size=(2, 1, 3)), axis=-1)
    weights, small = np.array([0.4, 0.6]), 1e-6

    def loss(at: np.ndarray) -> float:
        return float(crps((at[:, None, None] * experts).sum(axis=0), label, levels)[0])

    mixed = (weights[:, None, None] * experts).sum(axis=0)
    linear = crps_gradient(mixed, experts, label, levels)[:, 0]
    aside = np.array([small, -small])
    slope = (loss(weights + aside) - loss(weights - aside)) / (2 * small)
    assert linear[0] - linear[1] == pytest.approx(slope, rel=1e-4)
    assert squared_gradient(np.array(1.0), np.array([2.0, 3.0]), np.array(0.5)).tolist() == [1.0, 2.0]


@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_stack_is_the_simplex_optimum(seed: int) -> None:
    draws = np.random.default_rng(seed)
    errors = draws.normal(size=(200, 4)) @ draws.normal(size=(4, 4))
    stack = ConvexStack(4, 1, 1, memory=1.0, caution=0.5, head_start=20.0, fresh=10**9)
    for row in errors:
        stack.learn(row[:, None, None])
    products = errors.T @ errors
    matrix = products / (np.trace(products) / 4)

    def cost(weights: np.ndarray) -> float:
        return float(weights @ matrix @ weights + 0.5 * 20 / 200 * 4 * ((weights - 0.25) ** 2).sum())

    sums_to_one = {"type": "eq", "fun": lambda weights: weights.sum() - 1}
    best = minimize(cost, np.full(4, 0.25), bounds=[(0, 1)] * 4, constraints=sums_to_one)
    assert cost(stack.weights()[:, 0, 0]) <= best.fun + 1e-3
    assert stack.weights()[:, 0, 0].sum() == pytest.approx(1.0)


def test_all_cells_at_once_are_what_each_alone_would_be() -> None:
    """The reference solves one cell at a time: a Cholesky factor and the non-negative least squares of scipy."""
    draws = np.random.default_rng(5)
    errors = draws.normal(size=(60, 6, 40)) + draws.uniform(0, 3, (60, 6, 1)) * draws.normal(size=(60, 1, 40))
    matrices = errors @ errors.transpose(0, 2, 1)
    matrices /= np.trace(matrices, axis1=1, axis2=2)[:, None, None] / 6
    pulls = draws.choice([0.0, 1e-3, 0.1], 60)
    found = least(matrices, pulls)
    for matrix, pull, weights in zip(matrices, pulls, found, strict=True):
        ridge = pull * 6 + 1e-9
        upper = cholesky(matrix + ridge * np.eye(6) + SURE_SUM)
        alone, _ = nnls(upper, np.linalg.solve(upper.T, np.full(6, ridge / 6 + SURE_SUM)))
        np.testing.assert_allclose(weights, alone / alone.sum(), atol=1e-9)


def test_stack_and_mixture_go_on_to_the_bit(same_trees: Callable[[object, object], None]) -> None:
    draws = np.random.default_rng(2)
    stack, sure = ConvexStack(3, 4, 2), RegretBoundedMixture(4, 2, (0.5, 0.3, 0.2), 3)
    rows = draws.normal(size=(40, 3, 4, 2))
    rows[5:9, :, 1] = np.nan
    for row in rows[:20]:
        stack.learn(row)
        sure.learn(row)
    twins = ConvexStack.restore(stack.state()), RegretBoundedMixture.restore(sure.state())
    for row in rows[20:]:
        for one in (stack, sure, *twins):
            one.learn(row)
    same_trees(stack.state(), twins[0].state())
    same_trees(sure.state(), twins[1].state())
    assert np.allclose(stack.weights().sum(axis=0), 1.0)


def test_wrong_shapes_are_told() -> None:
    with pytest.raises(AggregationError, match="losses of shape"):
        RegretBoundedMixture(2, 2, (0.5, 0.5), 0).learn(np.zeros((2, 1, 2)))
    with pytest.raises(AggregationError, match="priors"):
        RegretBoundedMixture(2, 2, (0.5, 0.6), 0)
