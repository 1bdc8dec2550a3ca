"""The loss budget: how far a mixture may depart from its base, so that no node ever ends much worse than the base.

Regret bounds speak of the long run; a node with a hundred labels never gets there. Here the mixture must first earn
what it may lose, node by node.
"""

from __future__ import annotations

import numpy as np

from terracast.streams.errors import TerracastError
from terracast.streams.stateful import Stateful


class BudgetError(TerracastError):
    """A budget that is none, or losses of another network."""


class LossBudget(Stateful):
    """Weights (node,) of a mixture over its base that keep each node's losses within 1 + ``share`` times the base's.

    For each loss (rows of ``gap``) and node, at every time: lost ≤ share × base, where ``base`` sums the base's losses
    over matured labels and ``lost`` what was served above it. A weight w at an issue can lose w × ``gap`` at most,
    ``gap`` being the greatest difference of losses that any label could make, which is known when the forecasts are;
    w is the largest in [0, 1] for which the promise holds even if that happens at every label still to come. So the
    mixture starts at the base, and what it gains it may later risk. Losses must be convex in the forecast.
    (Conservative bandits: Wu, Shariff, Lattimore and Szepesvári 2016; conservative online convex optimisation:
    Bernasconi de Luca et al. 2021.) O(nodes) an issue.

    >>> budget = LossBudget(losses=1, nodes=1, share=0.01)
    >>> weights = []
    >>> for _ in range(300):  # the mixture saves a tenth of a loss of 1, and might have lost 0.5
    ...     weights.append(float(budget.spend(np.array([[0.5]]))[0]))
    ...     budget.settle(np.array([[1.0]]), np.array([[1.0 - 0.1 * weights[-1]]]), weights[-1] * np.array([[0.5]]))
    >>> weights[0], weights[-1]
    (0.0, 1.0)
    """

    def __init__(self, losses: int, nodes: int, share: float = 0.008) -> None:
        if share <= 0:
            raise BudgetError(f"share is {share}", where="loss budget", expected="above 0", remedy="give 0.01 or so")
        self.share = share
        self._base = np.zeros((losses, nodes))
        self._lost = np.zeros((losses, nodes))
        self._staked = np.zeros((losses, nodes))

    def spend(self, gap: np.ndarray) -> np.ndarray:
        """The weight (node,) of an issue whose losses may differ by ``gap`` (loss, node) in all; it is staked."""
        if np.shape(gap) != self._base.shape or not np.isfinite(gap).all():
            raise BudgetError(f"gaps of shape {np.shape(gap)}", where="loss budget", remedy="give what could be lost",
                              expected=f"finite (loss, node) = {self._base.shape}")
        free = np.maximum(self.share * self._base - self._lost - self._staked, 0.0)
        with np.errstate(over="ignore"):  # of gaps next to nothing, which are not looked at
            weight: np.ndarray = np.where(gap > free, free / np.maximum(gap, 1e-300), 1.0).min(axis=0)
        self._staked = self._staked + weight * gap
        return weight

    def settle(self, base: np.ndarray, served: np.ndarray, stake: np.ndarray) -> None:
        """Losses (loss, node) of labels that came, the base's and those of what was served, and the stake they end."""
        self._base = self._base + base
        self._lost = self._lost + served - base
        self._staked = np.maximum(self._staked - stake, 0.0)

    def successor(self) -> LossBudget:
        """The same sums, nothing staked."""
        successor = LossBudget(*self._base.shape, self.share)
        successor._base, successor._lost = self._base.copy(), self._lost.copy()
        return successor
