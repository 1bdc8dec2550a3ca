"""Change points of one series in hindsight (TCPD), by optimal partitioning."""

from __future__ import annotations

import numpy as np


def change_points(values: np.ndarray) -> list[int]:
    """First rows of new segments of ``values`` (time, variable), by optimal partitioning.

    Each segment is a line plus noise of its own, cost: Gaussian likelihood; a change point costs what the Bayesian
    information criterion takes for its parameters, thrice, because neighbouring rows depend on each other (Jackson
    and others 2005). O(time²), so a few hundred rows.

    >>> change_points(np.repeat([0.0, 5.0], 30)[:, None] + np.random.default_rng(0).normal(size=(60, 1)))
    [30]
    """
    rows = np.array([np.interp(np.arange(len(values)), np.flatnonzero(np.isfinite(one)), one[np.isfinite(one)])
                     for one in values.T]).T
    deviation = rows.std(axis=0)
    rows = (rows - rows.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    length, shortest = len(rows), max(5, len(rows) // 40)
    penalty = 3.0 * (2 * rows.shape[1] + 1) * float(np.log(length))
    best, source = np.full(length + 1, np.inf), np.zeros(length + 1, int)
    best[0] = -penalty
    for end in range(shortest, length + 1):
        starts = np.array([one for one in range(0, end - shortest + 1) if np.isfinite(best[one])])
        costs = np.array([_cost(rows[start:end]) for start in starts])
        total = best[starts] + costs + penalty
        chosen = int(np.argmin(total))
        best[end], source[end] = total[chosen], starts[chosen]
    points, at = [], length
    while at > 0:
        at = int(source[at])
        points.append(at)
    return sorted(point for point in points if point > 0)


def _cost(rows: np.ndarray) -> float:
    """Minus twice the log likelihood of one line a variable, at its best; noise at least a hundredth of the series'."""
    time = np.arange(len(rows)) - (len(rows) - 1) / 2
    middle = rows - rows.mean(axis=0)
    left = (middle**2).sum(axis=0) - (time @ middle) ** 2 / max(float(time @ time), 1e-12)
    return float(len(rows) * np.log(np.maximum(left / len(rows), 1e-3)).sum())
