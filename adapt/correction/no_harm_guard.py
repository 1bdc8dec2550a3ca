"""NoHarmGuard: serve what corrections made of a base only as far as they have earned it, node by node."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from terracast.adapt.correction.loss_budget import LossBudget
from terracast.adapt.evaluation.scores import crps, level
from terracast.streams.stateful import Stateful


class NoHarmGuard(Stateful):
    """Holds a ``LossBudget`` over the quantiles that a node would get and those of its base.

    Whatever stands between the two (stacking, a mixture, tracked intervals), no node's CRPS or absolute error is ever
    above the base's by more than the budget's share. What is not finite is not served.

    >>> guard = NoHarmGuard((0.1, 0.5, 0.9), nodes=1)
    >>> base, better = np.array([[[-1.0, 0.0, 1.0]]]), np.array([[[4.0, 5.0, 6.0]]])
    >>> for _ in range(400):
    ...     served = guard.serve(base, better)
    ...     guard.settle(base, served, np.array([[5.0]]), np.array([[True]]))
    >>> served.ravel().tolist()
    [4.0, 5.0, 6.0]
    """

    def __init__(self, quantiles: Sequence[float], nodes: int) -> None:
        self.quantiles = tuple(quantiles)
        self.budget = LossBudget(2, nodes)

    def serve(self, base: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Quantiles (lead, node, quantile) between ``base`` and ``wanted``; the stake is taken. O(values)."""
        wanted = np.where(np.isfinite(wanted), wanted, base)
        weight = self.budget.spend(gaps(base, wanted, self.quantiles).sum(axis=1))
        return np.asarray(np.maximum.accumulate(base + weight[:, None] * (wanted - base), axis=-1))

    def settle(self, base: np.ndarray, served: np.ndarray, labels: np.ndarray, ended: np.ndarray) -> None:
        """What came of the cells ``ended`` (lead, node) that wait no longer; NaN labels lost nothing."""
        # Both losses grow evenly with the distance, so the stake is read off what was served.
        stake = np.where(ended, gaps(base, served, self.quantiles), 0.0).sum(axis=1)
        self.budget.settle(losses(base, labels, self.quantiles), losses(served, labels, self.quantiles), stake)

    def successor(self) -> NoHarmGuard:
        """For a successor that begins with nothing outstanding: what was earned and lost so far."""
        successor = NoHarmGuard(self.quantiles, 0)
        successor.budget = self.budget.successor()
        return successor


def gaps(base: np.ndarray, moved: np.ndarray, quantiles: Sequence[float]) -> np.ndarray:
    """The greatest differences of CRPS and absolute error that a label could make, (2, lead, node)."""
    steepest = 2 * np.maximum(quantiles, 1 - np.array(quantiles))
    apart = np.abs(moved - base)
    return np.stack([(steepest * apart).mean(axis=-1), level(apart, quantiles, 0.5)])


def losses(values: np.ndarray, labels: np.ndarray, quantiles: Sequence[float]) -> np.ndarray:
    """CRPS and absolute error of the median, (2, node), summed over the labels that there are."""
    error = np.abs(labels - level(values, quantiles, 0.5))
    return np.asarray(np.nansum(np.stack([crps(values, labels, quantiles), error]), axis=1))
