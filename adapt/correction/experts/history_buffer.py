"""The tape: the newest rows of a stream on its clock, gaps filled from the past alone, in the units of each node."""

from __future__ import annotations

import numpy as np

from terracast.streams.stateful import Stateful

ENOUGH = 8  # known values from which a node's own centre and width are taken


class HistoryBuffer(Stateful):
    """The newest ``length`` rows (row, node), newest last, of a clock without holes.

    ``scaled``: (value - centre) / width, or the inverse hyperbolic sine of that if ``squash``, which makes the least
    squared error of skewed values one about their median; never a gap: for a quarter of a season a gap holds the last
    value, after that the value one season earlier. ``known``: where a value was seen. ``centre`` and ``width``
    (node,) are measured once, on ``history``; a node that is not in it borrows the network's.

    >>> tape = HistoryBuffer(length=8, season=4, history=np.array([[1.0], [3.0]] * 8))
    >>> tape.append(np.array([3.0]))
    >>> tape.append(np.array([np.nan]))
    >>> tape.scaled[-2:, 0].tolist(), tape.known[-2:, 0].tolist()
    ([1.0, 1.0], [True, False])
    """

    def __init__(self, length: int, season: int, history: np.ndarray, *, squash: bool = False) -> None:
        self.length, self.season, self.squash = length, season, squash
        nodes = history.shape[1]
        self.centre, self.width = measured(history)
        self.scaled = np.zeros((length, nodes))
        self.known = np.zeros((length, nodes), bool)
        self._silent = np.full(nodes, length + 1)
        self._lowest, self._highest = np.zeros(nodes), np.zeros(nodes)

    def append(self, values: np.ndarray) -> None:
        """One more row (node,), NaN where nothing is known."""
        there = np.isfinite(values)
        scaled = self.rescaled(np.where(there, values, 0.0))
        self._silent = np.where(there, 0, np.minimum(self._silent + 1, self.length + 1))
        held = np.where(self._silent <= self.season // 4, self.scaled[-1], self.scaled[-self.season])
        scaled = np.where(there, scaled, held)
        self.scaled = np.concatenate([self.scaled[1:], scaled[None]])
        self.known = np.concatenate([self.known[1:], there[None]])
        self._lowest, self._highest = np.minimum(self._lowest, scaled), np.maximum(self._highest, scaled)

    def correct(self, values: np.ndarray) -> np.ndarray:
        """Values (row, node) of the newest rows that have come since; what was known before stays as it was. Answers
        which of them came only now, of at most ``length`` rows."""
        rows = min(len(values), self.length)
        values = values[len(values) - rows:]
        fresh = np.isfinite(values) & ~self.known[self.length - rows:]
        if not fresh.any():
            return fresh
        scaled = self.rescaled(np.where(fresh, values, 0.0))
        self.scaled, self.known = self.scaled.copy(), self.known.copy()
        self.scaled[self.length - rows:][fresh] = scaled[fresh]
        self.known[self.length - rows:] |= fresh
        return fresh

    def unscaled(self, scaled: np.ndarray) -> np.ndarray:
        """Values (…, node) in the stream's units, at most half of the range ever seen beyond that range."""
        beyond = (0.1 if self.squash else 0.5) * (self._highest - self._lowest)
        within = np.clip(scaled, self._lowest - beyond, self._highest + beyond)
        return np.asarray((np.sinh(within) if self.squash else within) * self.width + self.centre)

    def rescaled(self, values: np.ndarray) -> np.ndarray:
        """Values (…, node) of the stream in the tape's scale."""
        scaled = (values - self.centre) / self.width
        return np.asarray(np.arcsinh(scaled) if self.squash else scaled)

    def volatility(self) -> np.ndarray:
        """Root mean square step (node,) over the newest seven seasons, 24 rows at least; 0 where the newest season
        (eight rows at least) never moved."""
        steps = np.diff(self.scaled[-max(7 * self.season, 24) - 1:], axis=0)
        moved = np.ptp(self.scaled[-max(self.season, 8):], axis=0) > 0
        return np.asarray(np.where(moved, np.sqrt((steps**2).mean(axis=0)), 0.0))


def measured(history: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each node; the network's where a node has few values; 1 where nothing moves."""
    counts = np.isfinite(history).sum(axis=0)
    known = np.where(np.isfinite(history), history, 0.0)
    centre = known.sum(axis=0) / np.maximum(counts, 1)
    width = np.sqrt((np.where(np.isfinite(history), history - centre, 0.0) ** 2).sum(axis=0) / np.maximum(counts, 1))
    good = (counts >= ENOUGH) & (width > 1e-9 * (1.0 + np.abs(centre)))
    usual = (float(np.median(centre[good])), float(np.median(width[good]))) if good.any() else (0.0, 1.0)
    centre = np.where(counts >= ENOUGH, centre, usual[0])
    return centre, np.where(good, width, usual[1])
