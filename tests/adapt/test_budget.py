"""The loss budget keeps its promise against any labels, and lets go where the mixture earns."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.adapt.correction.loss_budget import LossBudget


@given(st.integers(0, 10**6), st.integers(0, 4), st.sampled_from([-1.0, -0.2, 0.0, 0.5, 1.0]))
@settings(max_examples=60, deadline=None)
def test_no_node_ever_loses_more_than_its_share(seed: int, delay: int, leaning: float) -> None:
    """Labels choose, within what the gap allows, how much the mixture loses; they come ``delay`` issues late."""
    draws, share = np.random.default_rng(seed), 0.01
    budget, waiting = LossBudget(2, 3, share), []
    base_sum, served_sum = np.zeros((2, 3)), np.zeros((2, 3))
    for _ in range(80):
        base, gap = draws.uniform(0.0, 2.0, (2, 3)), draws.uniform(0.0, 1.0, (2, 3))
        weight = budget.spend(gap)
        assert ((weight >= 0) & (weight <= 1)).all()
        lost = weight * gap * np.clip(leaning + 0.3 * draws.normal(size=(2, 3)), -1.0, 1.0)
        waiting.append((base, base + lost, weight * gap))
        if len(waiting) > delay:
            one, served, stake = waiting.pop(0)
            budget.settle(one, served, stake)
            base_sum, served_sum = base_sum + one, served_sum + served
            assert (served_sum <= (1 + share) * base_sum + 1e-9).all()
    restored = LossBudget.restore(budget.state())
    np.testing.assert_array_equal(restored.spend(np.ones((2, 3))), budget.spend(np.ones((2, 3))))


def test_a_mixture_that_earns_is_trusted_wholly_and_one_that_loses_hardly() -> None:
    budget = LossBudget(1, 2)
    for _ in range(600):
        gap = np.array([[0.4, 0.4]])
        weight = budget.spend(gap)
        budget.settle(np.ones((1, 2)), 1 + weight * np.array([[-0.1, 0.1]]), weight * gap)
    assert weight[0] == 1.0 and weight[1] < 0.1
