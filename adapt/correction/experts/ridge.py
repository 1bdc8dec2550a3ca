"""Online ridge regression in closed form, from sufficient statistics that forget: exact, cheap, and never refitted.

The statistics of all nodes are kept once for each forgetting factor; experts are ways to solve them (how much a node
hears of the others).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from terracast.streams.errors import TerracastError
from terracast.streams.stateful import Stateful

STRENGTH, SLOPE = 50.0, 10.0  # pairs of zero, and how many more for each lead
BLOCKS = (12, 48, 192)  # leads at which a block of equal strength ends


class RidgeError(TerracastError):
    """Pairs of another shape than the statistics were made for."""


class Moments(Stateful):
    """Weighted, discounted sums of x xᵀ and x yᵀ for each node, and of the weights.

    ``forgetting``: factor for each row that passes, 1 keeps everything. ``gram`` (node, width, width), ``cross``
    (node, width, lead), ``experience`` (node,): the sum of weights. ``apart`` False sums over nodes too (first
    dimension 1), for networks too large to keep each node's. Memory of each: 8 × width × (width + leads) bytes.

    >>> moments = Moments(nodes=1, width=2, leads=1, forgetting=1.0)
    >>> x = np.array([[[1.0, 1.0]], [[2.0, 1.0]], [[3.0, 1.0]]])
    >>> moments.add(x, 2 * x[..., :1] + 1, np.ones((3, 1)), rows=3)
    >>> Ridge(pooling=0.0, strength=1e-9, slope=0.0).solve(moments, np.ones(2))[0].round(4).tolist()
    [[2.0], [1.0]]
    """

    def __init__(self, nodes: int, width: int, leads: int, forgetting: float, *, apart: bool = True) -> None:
        if not 0.0 < forgetting <= 1.0:
            raise RidgeError(f"forgetting is {forgetting}", where="ridge", expected="above 0, at most 1",
                             remedy="give 1 to keep everything")
        self.forgetting, self.nodes, self.apart = forgetting, nodes, apart
        kept = nodes if apart else 1
        self.gram = np.zeros((kept, width, width))
        self.cross = np.zeros((kept, width, leads))
        self.experience = np.zeros(kept)

    def add(self, features: np.ndarray, targets: np.ndarray, weights: np.ndarray, rows: int) -> None:
        """Learn pairs in order of time: (pair, node, width), (pair, node, lead), (pair, node); ``rows`` have passed.

        A weight of 0 leaves a pair out, whatever it holds. Within the block the last pair is the newest.
        O(pairs × nodes × width × (width + leads)).
        """
        wanted = (self.nodes, self.gram.shape[1]), (self.nodes, self.cross.shape[2])
        if features.shape[1:] != wanted[0] or targets.shape[1:] != wanted[1] or weights.shape != features.shape[:2]:
            raise RidgeError(f"pairs of shape {features.shape} and {targets.shape}", where="ridge",
                             expected=f"(pair, node, ·) = (·, {wanted[0]}) and (·, {wanted[1]})",
                             remedy="make moments of their own")
        self.gram *= self.forgetting**rows
        self.cross *= self.forgetting**rows
        self.experience *= self.forgetting**rows
        if not len(features):
            return
        ages = np.arange(len(features) - 1, -1, -1)
        each = weights * self.forgetting ** ages[:, None]
        taught = each > 0  # garbage × 0 would stay garbage, so pairs that are left out are never multiplied
        if not self.apart:
            root = np.sqrt(each[taught])[:, None]
            rows_taught = features[taught] * root  # one matrix of all nodes: x'x of it is a single symmetric product
            self.gram[0] += rows_taught.T @ rows_taught
            self.cross[0] += rows_taught.T @ (targets[taught] * root)
            self.experience += each.sum()
            return
        x = np.where(taught[..., None], features, 0.0).transpose(1, 2, 0)
        y = np.where(taught[..., None], targets, 0.0).transpose(1, 0, 2)
        weighted = x * each.T[:, None, :]
        self.gram += weighted @ x.transpose(0, 2, 1)
        self.cross += weighted @ y
        self.experience += each.sum(axis=0)


@dataclass(frozen=True)
class Ridge:
    """One way to solve the moments.

    ``pooling``: what a pair of another node counts; 1 makes one expert for all nodes, 0 one for each, between them a
    node leans on the others as long as it knows little itself (empirical Bayes by shared sums). Coefficients are
    pulled to zero as if by ``strength`` + ``slope`` × lead average pairs of each node: errors of neighbouring origins
    are alike over about a lead, so that a long lead has fewer pairs that tell something new. Solved for blocks of
    leads that end at ``BLOCKS``.
    """

    pooling: float
    strength: float = STRENGTH
    slope: float = SLOPE

    def solve(self, moments: Moments, penalty: np.ndarray, leads: slice = slice(None)) -> np.ndarray | None:
        """Coefficients (node, width, lead), or (1, width, lead) where the nodes share them; None if unsolvable.

        ``penalty`` (width,): how hard each column is pulled; ``leads``: which columns of the targets are meant, where
        several targets are learned from the same features. Zero where nothing was learned.
        O(nodes × width² × (blocks × width / 3 + 2 leads)).
        """
        gram, cross, experience = self._pooled(moments, leads)
        solved = np.zeros(cross.shape)
        for node, (whole, sums, count) in enumerate(zip(gram, cross, experience, strict=True)):
            size = float(np.trace(whole)) / len(whole)
            if count <= 0 or size <= 0:
                continue
            for first, last in blocks_of(cross.shape[2]):
                pairs = self.strength + self.slope * (first + last + 1) / 2
                pull = max(pairs * self._nodes(moments) * size / float(count), 1e-9 * size)
                try:
                    solved[node, :, first:last] = _solution(whole, sums[:, first:last], pull * penalty)
                except LinAlgError:
                    return None
        return solved if np.isfinite(solved).all() else None

    def _nodes(self, moments: Moments) -> float:
        return 1.0 + self.pooling * (moments.nodes - 1)

    def _pooled(self, moments: Moments, leads: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        parts = (moments.gram, moments.cross[:, :, leads], moments.experience)
        if self.pooling == 0.0 or len(moments.gram) == 1:
            return parts
        wholes = [part.sum(axis=0, keepdims=True) for part in parts]
        if self.pooling == 1.0:
            return wholes[0], wholes[1], wholes[2]
        one, two, three = (part + self.pooling * (whole - part) for part, whole in zip(parts, wholes, strict=True))
        return one, two, three


def blocks_of(leads: int) -> list[tuple[int, int]]:
    """Leads [first, last) that are treated alike.

    >>> blocks_of(24)
    [(0, 12), (12, 24)]
    """
    ends = [end for end in BLOCKS if end < leads] + [leads]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _solution(gram: np.ndarray, cross: np.ndarray, pull: np.ndarray) -> np.ndarray:
    matrix = gram.copy()
    matrix[np.diag_indices_from(matrix)] += pull
    factor = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
    return np.asarray(cho_solve(factor, cross, check_finite=False))
