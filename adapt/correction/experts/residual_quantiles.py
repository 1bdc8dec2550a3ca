"""Quantiles for points: offsets learned from a point forecast's own matured errors, for each lead and node."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from terracast.streams.errors import TerracastError
from terracast.streams.stateful import Stateful

MOST_UNDERWAY = 0.3  # how far a level may move by misses whose effect is not seen yet, in running mean errors
USUAL = 0.798  # mean absolute value of a standard normal


class ResidualQuantiles(Stateful):
    """Offsets (lead, node, quantile) = running mean absolute error × a shape.

    The size forgets with ``memory`` for each label; the shape starts normal, and each of its levels moves by ``rate``
    against every miss of the quantiles that were said, so that in the long run labels fall below a level as often as
    it says, whatever the errors' law and however late the label (Gibbs and Candès 2021). ``delays`` (lead,): updates
    until a label is there, by default the lead; the rate falls with it, else late misses would make levels swing.
    ``size`` is what one starts from, in the stream's units. Zero width where errors are.

    >>> widths = ResidualQuantiles(leads=1, nodes=1, quantiles=(0.1, 0.5, 0.9), size=1.0)
    >>> draws = np.random.default_rng(0)
    >>> for _ in range(2000):
    ...     label, point = 3 + 2 * draws.normal(size=(1, 1)), np.zeros((1, 1))
    ...     widths.learn(label, point, widths.around(point))
    >>> bool(np.abs(widths.around(np.zeros((1, 1)))[0, 0] - [3 - 2.56, 3, 3 + 2.56]).max() < 0.8)
    True
    """

    def __init__(self, leads: int, nodes: int, quantiles: Sequence[float], size: float | np.ndarray, *,
                 delays: np.ndarray | None = None, memory: float = 0.99, rate: float = 0.03) -> None:
        self.quantiles, self.memory, self.rate = tuple(float(one) for one in quantiles), memory, rate
        levels = np.array(self.quantiles)
        if not len(levels) or levels.min() <= 0 or levels.max() >= 1 or (np.diff(levels) <= 0).any():
            raise TerracastError(f"quantiles are {self.quantiles}", where="residual quantiles",
                                 expected="rising numbers between 0 and 1", remedy="sort them and drop doubles")
        self._levels = levels
        self.delays = np.arange(1.0, leads + 1) if delays is None else np.asarray(delays, dtype="float64")
        self._size = np.broadcast_to(np.asarray(size, dtype="float64"), (leads, nodes)).copy()
        self._shape = np.broadcast_to(ndtri(levels) / USUAL, (leads, nodes, len(levels))).copy()

    def around(self, points: np.ndarray) -> np.ndarray:
        """Quantiles (lead, node, quantile) around points (lead, node), never crossing."""
        return np.asarray(points[..., None] + self._size[..., None] * np.sort(self._shape, axis=-1))

    def learn(self, labels: np.ndarray, points: np.ndarray, said: np.ndarray) -> None:
        """Take in labels (lead, node), NaN where not matured or matured before, and what was said then: the points
        and the quantiles (lead, node, quantile) around them."""
        errors = labels - points
        there = np.isfinite(errors)
        missed = self._levels - (labels[..., None] <= said)
        rates = np.minimum(self.rate, MOST_UNDERWAY / np.maximum(self.delays, 1.0))[:, None, None]
        self._shape = self._shape + rates * np.where(there[..., None], missed, 0.0)
        size = self.memory * self._size + (1 - self.memory) * np.abs(np.where(there, errors, 0.0))
        self._size = np.where(there, size, self._size)
