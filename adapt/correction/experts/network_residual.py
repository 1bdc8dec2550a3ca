"""One more expert, of the others: what a network of forecasts leaves, learned from all that was said at each issue."""

from __future__ import annotations

import numpy as np

from terracast.streams.errors import TerracastError
from terracast.streams.stateful import Stateful

MOST_READ = 8  # leads at which the others are read
SMALLEST_MISS = 0.15  # widths: issues met better than that do not count for more
FRESH = 5  # issues learned between two solutions


class NetworkResidual(Stateful):
    """A ridge for the whole network, on the way between the base and the mean of the ridges, for each issue one pair.

    It reads, at eight leads, how the base and each ridge stand to that middle, how wide and how lopsided the base is,
    where the network stands, and the target's company; and says what is left at each lead. All in the tape's scale.
    Pairs weigh by their absolute, not squared errors (iteratively reweighted: Schlossmacher 1973), for points near the
    median. ``strength``: pulled to the middle as if by so many issues. Safe only under convex weights with others.
    O(nodes × width²) an issue, the network shares width × (width + leads) numbers.

    >>> draws = np.random.default_rng(0)
    >>> corrector = NetworkResidual(leads=2, width=network_residual_width(ridges=1, leads=2, covariates=0))
    >>> for _ in range(600):  # the base is right, the ridge is noise
    ...     truth, ridge = draws.normal(size=(2, 2, 3))
    ...     read, middle = reading(ridge[None], np.stack([truth - 1, truth, truth + 1]), np.zeros((2, 3)), None)
    ...     corrector.learn(read, middle, truth)
    >>> bool(np.abs(corrector.predict(read, middle) - truth).mean() < 0.3 * np.abs(middle - truth).mean())
    True
    """

    def __init__(self, leads: int, width: int, *, strength: float = 200.0) -> None:
        self.strength = strength
        self._gram = np.zeros((width, width))
        self._cross = np.zeros((width, leads))
        self._experience, self._since = 0.0, 0
        self._solved = np.zeros((width, leads))

    def predict(self, read: np.ndarray, middle: np.ndarray) -> np.ndarray:
        """Points (lead, node) from what was read (node, width) and the middle (lead, node)."""
        return np.asarray(middle + (read @ self._solved).T)

    def learn(self, read: np.ndarray, middle: np.ndarray, labels: np.ndarray) -> None:
        """Take in the labels (lead, node) of an issue. Missing ones teach nothing; a node with less than half is left
        out."""
        known = np.isfinite(labels)
        taught = known.mean(axis=0) >= 0.5
        if not taught.any():
            return
        x, there = read[taught], known[:, taught].T
        told = x @ self._solved
        left = np.where(there, np.where(there, labels[:, taught].T, 0.0) - middle[:, taught].T, told)
        missed = np.abs(left - told).sum(axis=1) / there.sum(axis=1)
        each = (1.0 / (missed + SMALLEST_MISS))[:, None]
        self._gram = self._gram + (x * each).T @ x
        self._cross = self._cross + (x * each).T @ left
        self._experience += float(each.sum())
        self._since += 1
        if self._since >= FRESH:
            self._since = 0
            size = float(np.trace(self._gram)) / len(self._gram)
            pull = self.strength * labels.shape[1] * size / self._experience
            solved = np.linalg.solve(self._gram + (pull + 1e-12) * np.eye(len(self._gram)), self._cross)
            if np.isfinite(solved).all():
                self._solved = solved


def reading(ridges: np.ndarray, base: np.ndarray, newest: np.ndarray,
            covariates: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """What a corrector reads (node, width), and the middle (lead, node).

    ``ridges`` (ridge, lead, node); ``base`` (3, lead, node): its 10 %, 50 % and 90 % quantiles; ``newest`` (2, node):
    the newest values, the last one last; ``covariates`` (node, ·). All scaled.
    """
    low, median, high = base
    mean = ridges.mean(axis=0)
    middle = 0.5 * (mean + median)
    at = _read_at(len(middle))
    last = np.stack([newest[1] - middle.mean(axis=0), newest[1] - newest[0]]).mean(axis=1)
    parts = [(median - middle)[at], *((ridge - mean)[at] for ridge in ridges), (high - low)[at],
             (high + low - 2 * median)[at], np.repeat(last[:, None], middle.shape[1], axis=1),
             np.ones((1, middle.shape[1]))]
    read = np.concatenate(parts).T
    return (read if covariates is None else np.concatenate([covariates, read], axis=1)), middle


def network_residual_width(ridges: int, leads: int, covariates: int) -> int:
    """The width of what ``reading`` gives; ``covariates``: its columns."""
    if ridges < 1 or leads < 1:
        raise TerracastError(f"{ridges} ridges, {leads} leads", where="corrector", expected="one or more of each",
                             remedy="give a recipe with ridges")
    return len(_read_at(leads)) * (3 + ridges) + 3 + covariates


def _read_at(leads: int) -> np.ndarray:
    return np.unique(np.linspace(0, leads - 1, min(leads, MOST_READ)).astype(int))
