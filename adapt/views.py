"""What the monitor looks at: each node by itself, each node against its neighbours, and all nodes together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from adapt.reference import Reference

QUIET = 0.05  # added before the logarithm, so that a stuck stream has a scale too


@dataclass(frozen=True)
class Views:
    """Turns residuals (time, node) into views (time, 2 × node + 1), all frozen at ``fit``.

    In this order: own = z of the node; local = z minus what its neighbours' z make one expect (ridge regression on
    the best correlated nodes: blind to what is common, sharp for one drifting sensor); common = median over the
    nodes, where at least half report.

    >>> draws = np.random.default_rng(0)
    >>> views = Views.fit(draws.normal(size=(500, 1)) + 0.1 * draws.normal(size=(500, 4)))
    >>> own, local = views.of(np.array([[2.0, 0.0, 0.0, 0.0]]))[0, [0, 4]]
    >>> bool(own > 1.5 and abs(local) > 1.5)
    True
    """

    reference: Reference
    weights: np.ndarray

    @classmethod
    def fit(cls, residuals: np.ndarray, neighbours: int = 5, ridge: float = 1e-2) -> Views:
        """Reference scale and neighbour weights from ``residuals`` (time, node); O(time × node²)."""
        reference = Reference.fit(residuals)
        z = _filled(reference.standardise(residuals))
        nodes, count = z.shape[1], min(neighbours, z.shape[1] - 1)
        products = z.T @ z / len(z)
        deviation = np.sqrt(np.maximum(np.diag(products), 1e-12))
        alike = products / np.outer(deviation, deviation) - 10 * np.eye(nodes)
        weights = np.zeros((nodes, nodes))
        for node in range(nodes if count else 0):
            best = np.argsort(-alike[node], kind="stable")[:count]
            gram = products[np.ix_(best, best)] + ridge * np.eye(count)
            weights[node, best] = np.linalg.solve(gram, products[best, node])
        return cls(reference, weights)

    def of(self, residuals: np.ndarray) -> np.ndarray:
        """The views of ``residuals`` (time, node); NaN where a node did not report."""
        z = self.reference.standardise(residuals)
        local, common = np.full(z.shape, np.nan), np.full((len(z), 1), np.nan)
        if z.shape[1] > 1:
            # A missing neighbour is taken to do what all do, so that one gap does not silence five nodes.
            local = z - _filled(z) @ self.weights.T
            enough = 2 * np.isfinite(z).sum(axis=1) >= z.shape[1]
            if enough.any():
                common[enough, 0] = np.nanmedian(z[enough], axis=1)
        return np.concatenate([z, local, common], axis=1)

    def state(self) -> dict[str, object]:
        """Arrays from which ``restore`` rebuilds the views."""
        return {"reference": self.reference.state(), "weights": self.weights.copy()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Views:
        """What ``state`` described."""
        return cls(Reference.restore(state["reference"]), np.array(state["weights"], float))


def block_streams(rows: np.ndarray, block: int) -> np.ndarray:
    """Mean, then log of the mean absolute deviation, of each view over one block of ``rows`` (time, view).

    Shape (2 × view,). A view with less than half a ``block`` of values is NaN: no evidence. A block of one row has no
    deviation within itself; its distance from normal takes the place.
    """
    seen = np.isfinite(rows)
    count = seen.sum(axis=0)
    enough = 2 * count >= block
    mean = np.where(seen, rows, 0.0).sum(axis=0) / np.maximum(count, 1)
    middle = np.zeros(rows.shape[1])
    if block > 1 and enough.any():
        middle[enough] = np.nanmedian(rows[:, enough], axis=0)
    spread = np.where(seen, np.abs(rows - middle), 0.0).sum(axis=0) / np.maximum(count, 1)
    return np.where(np.tile(enough, 2), np.concatenate([mean, np.log(spread + QUIET)]), np.nan)


def _filled(z: np.ndarray) -> np.ndarray:
    """Gaps filled by the median of the nodes that report; 0 (normal) where none does."""
    seen = np.isfinite(z)
    some = seen.any(axis=1)
    middle = np.zeros(len(z))
    if some.any():
        middle[some] = np.nanmedian(z[some], axis=1)
    return np.where(seen, z, middle[:, None])
