"""What corrections made is served only as far as they earned it: by simulation against the worst there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.adapt.correction.no_harm_guard import NoHarmGuard, gaps, losses

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.floats(0.1, 30.0))
def test_no_node_is_ever_worse_by_more_than_the_share(seed: int, delay: int, harm: float) -> None:
    draws = np.random.default_rng(seed)
    guard, waiting = NoHarmGuard(QUANTILES, nodes=3), []
    base_sum = served_sum = np.zeros((2, 3))
    for step in range(60):
        labels = draws.normal(size=(2, 3))
        base = np.sort(draws.normal(size=(2, 3, 5)), axis=-1)
        wanted = base + harm * draws.normal(size=(2, 3, 1)) * np.array([0.0, 1.0, 1.0])[:, None]  # the first: nothing
        served = guard.serve(base, wanted)
        waiting.append((base, served, labels))
        if step >= delay:
            old = waiting.pop(0)
            late = np.where(draws.random((2, 3)) < 0.2, np.nan, old[2])  # some labels never come
            guard.settle(old[0], old[1], late, np.ones((2, 3), bool))
            base_sum = base_sum + losses(old[0], late, QUANTILES)
            served_sum = served_sum + losses(old[1], late, QUANTILES)
            assert (served_sum <= (1 + guard.budget.share) * base_sum + 1e-9).all()
    assert np.array_equal(waiting[0][0][:, 0], waiting[0][1][:, 0])


def test_gaps_bound_what_any_label_can_cost() -> None:
    draws = np.random.default_rng(1)
    base, moved = (np.sort(draws.normal(size=(1, 50, 5)), axis=-1) for _ in range(2))
    most = gaps(base, moved, QUANTILES)[:, 0]
    worst = np.max([losses(moved, np.full((1, 50), label), QUANTILES) - losses(base, np.full((1, 50), label), QUANTILES)
                    for label in np.linspace(-6, 6, 200)], axis=0)
    assert (worst <= most + 1e-9).all() and (worst[1] > 0.99 * most[1]).mean() > 0.9


def test_what_is_not_finite_is_not_served_and_the_state_is_exact() -> None:
    guard = NoHarmGuard(QUANTILES, nodes=2)
    base = np.sort(np.random.default_rng(2).normal(size=(3, 2, 5)), axis=-1)
    broken = np.full_like(base, np.nan)
    assert np.array_equal(guard.serve(base, broken), base)
    for _ in range(30):
        served = guard.serve(base, base + 1.0)
        guard.settle(base, served, base[..., 2] + 1.0, np.ones((3, 2), bool))
    again = NoHarmGuard.restore(guard.state())
    assert np.array_equal(again.serve(base, base + 1.0), guard.serve(base, base + 1.0))
    successor = guard.successor()
    assert successor.budget.state()["_base"] == pytest.approx(guard.budget.state()["_base"])
    assert not np.any(successor.budget.state()["_staked"]) and np.any(guard.budget.state()["_staked"])
