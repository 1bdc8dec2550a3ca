"""Second-order online mixing: the convex weights that would have made the least squared error so far, in closed form.

Where exponential weights only compare experts, this sees how their errors go together (Bates and Granger 1969), so two
unlike experts are worth more than one twice. Weights stay on the simplex: free coefficients blow up when the world
changes.
"""

from __future__ import annotations

import numpy as np

from terracast.adapt.correction.experts.ridge import blocks_of
from terracast.streams.errors import TerracastError
from terracast.streams.stateful import Stateful

SURE_SUM = 1e3  # how much dearer than the mean squared error it is that weights do not sum to 1
SLACK = 1e-10  # of the aim: a slope that small is none
MOST_STEPS = 6  # for each expert, before the search ends as it is


class StackError(TerracastError):
    """Errors of another shape than the stack was made for."""


class ConvexStack(Stateful):
    """Convex weights of experts for each block of leads and node, from discounted sums of products of their errors.

    Minimises w'Cw / size + pull · K Σ (w - 1/K)² over the simplex: C the mean of e e' over the matured labels of a
    block, size its mean diagonal, pull = ``caution`` × ``head_start`` / labels' count (in updates), so that the plain
    mean of the K experts is where it starts. No regret bound: put it under ``RegretBoundedMixture`` for that.
    ``memory``: the discount of each update; ``fresh``: weights are made anew when the count has grown by one in that
    many. Memory of a node: 8 × K² × blocks bytes; an update O(K² × leads × nodes).

    >>> draws = np.random.default_rng(0)
    >>> stack = ConvexStack(experts=3, leads=1, nodes=1)
    >>> for _ in range(2000):  # two that err apart, one that errs like the first, only more
    ...     one, other = draws.normal(size=2)
    ...     stack.learn(np.array([one, other, 1.1 * one])[:, None, None])
    >>> bool(stack.weights()[2, 0, 0] < 0.1 < 0.4 < stack.weights()[1, 0, 0])
    True
    """

    def __init__(self, experts: int, leads: int, nodes: int, *, memory: float = 0.9995, caution: float = 0.1,
                 head_start: float = 480.0, fresh: int = 50) -> None:
        self.memory, self.caution, self.head_start, self.fresh = memory, caution, head_start, int(fresh)
        self._blocks = blocks_of(leads)
        self._products = np.zeros((len(self._blocks), nodes, experts, experts))
        self._count = np.zeros((len(self._blocks), nodes))
        self._since = 0.0
        self._weights = np.full((experts, leads, nodes), 1.0 / experts)

    def learn(self, errors: np.ndarray) -> None:
        """Take in errors (expert, lead, node): label - point; NaN where a cell's label has not matured."""
        if np.shape(errors) != self._weights.shape:
            raise StackError(f"errors of shape {np.shape(errors)}", where="stack",
                             expected=f"(expert, lead, node) = {self._weights.shape}",
                             remedy="give NaN where no label came")
        there = np.isfinite(errors).all(axis=0)
        if not there.any():
            return
        known = np.where(there, errors, 0.0)
        for block, (first, last) in enumerate(self._blocks):
            part, share = known[:, first:last].transpose(2, 0, 1), there[first:last].mean(axis=0)
            keep = self.memory**share
            self._products[block] = keep[:, None, None] * self._products[block] + part @ part.transpose(0, 2, 1)
            self._count[block] = keep * self._count[block] + share
        self._since += 1.0
        if self._since * self.fresh >= self._count.max():
            self._solve()

    def weights(self) -> np.ndarray:
        """Weights (expert, lead, node), each cell's sum is 1."""
        return self._weights

    def _solve(self) -> None:
        """All cells at once; a cell that has no label yet stays as it is."""
        self._since, weights = 0.0, self._weights.copy()
        size = np.trace(self._products, axis1=2, axis2=3) / self._products.shape[2]
        for block, (first, last) in enumerate(self._blocks):
            found = np.flatnonzero((self._count[block] > 0) & np.isfinite(size[block]) & (size[block] > 0))
            if len(found):
                pull = self.caution * self.head_start / self._count[block, found]
                solved = least(self._products[block, found] / size[block, found, None, None], pull)
                weights[:, first:last, found] = solved.T[:, None]
        self._weights = weights


def least(matrices: np.ndarray, pulls: np.ndarray) -> np.ndarray:
    """The minimisers (cell, K) over the simplex of w'Mw + pull · K |w - 1/K|², for ``matrices`` (cell, K, K).

    An active set for every cell, all cells a step (Lawson and Hanson 1974 for w'Aw / 2 - b'w, w ≥ 0, where A holds the
    sum of the weights with a heavy spring); a step is one batch of K × K systems, and few more than K are needed.

    >>> least(np.diag([1.0, 4.0])[None], np.zeros(1)).round(2).tolist()
    [[0.8, 0.2]]
    """
    cells, number = matrices.shape[:2]
    ridge = pulls * number + 1e-9
    whole = matrices + ridge[:, None, None] * np.eye(number) + SURE_SUM
    aim = np.repeat((ridge / number + SURE_SUM)[:, None], number, axis=1)
    used, weights = np.zeros((cells, number), bool), np.zeros((cells, number))
    for _ in range(MOST_STEPS * number):
        slope = np.where(used, -np.inf, aim - (whole @ weights[..., None])[..., 0])
        enters = slope.max(axis=1) > SLACK * aim[:, 0]
        if not enters.any():
            break
        used[enters, slope[enters].argmax(axis=1)] = True
        wanting = enters
        while wanting.any():
            weights[wanting], used[wanting], stays = _towards(whole[wanting], aim[wanting], weights[wanting],
                                                              used[wanting])
            wanting[wanting] = ~stays
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _towards(whole: np.ndarray, aim: np.ndarray, weights: np.ndarray,
             used: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One inner step: to the least on the used coordinates, or as far as none turns negative, which then leaves."""
    number = whole.shape[1]
    both = used[:, :, None] & used[:, None, :]
    system = np.where(both, whole, 0.0) + np.where(used, 0.0, 1.0)[..., None] * np.eye(number)
    goal = np.linalg.solve(system, np.where(used, aim, 0.0)[..., None])[..., 0]
    below = used & (goal <= 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(below, weights / (weights - goal), np.inf)
    stays = np.asarray(~below.any(axis=1))
    part = np.where(stays, 1.0, np.minimum(reach.min(axis=1), 1.0))[:, None]
    moved = np.where(used, weights + part * (goal - weights), 0.0)
    leaves = below & (reach <= part + 1e-15)
    moved[leaves] = 0.0
    return moved, used & ~leaves, stays
