"""One labelled series at a time: alarms as the rows come (NAB), and change points in hindsight (TCPD)."""

from __future__ import annotations

import numpy as np

from adapt.monitoring.expectation import Expectation

FORGET = 0.995  # of the running scale of what surprises
SURE = 4.5  # scales of a surprise that raise an alarm
PAUSE = 0.1  # share of a series that an alarm speaks for


def series_alarms(values: np.ndarray, times: np.ndarray, probation: int) -> np.ndarray:
    """Rows with an alarm, each decided from the rows before it alone: what the series' own climatology and the last
    values do not expect, in units of the running size of such surprises.

    ``values`` and rising ``times`` (time,); the first ``probation`` rows are the reference. NAB's labels are single
    anomalies within minutes or hours, which the monitor's blocks of a day are not made for: this is the residual the
    monitor is fed, with a threshold fixed beforehand for all series.
    """
    grid = np.asarray(values, float)[:, None]
    expectation = Expectation.fit(grid[:probation], times[:probation])
    residual = expectation.residuals(grid, times)[:, 0]
    surprise = np.abs(np.diff(residual, prepend=residual[0]))
    level = np.abs(residual)
    alarms, last, scale = [], -len(values), max(float(np.nanmean(surprise[:probation])), 1e-6)
    usual = max(float(np.nanquantile(level[:probation], 0.99)), 1e-6)
    for row in range(probation, len(grid)):
        strange = surprise[row] / scale > 2.5 * SURE or level[row] > SURE * usual
        if strange and row - last >= PAUSE * len(grid):
            alarms.append(row)
            last = row
        scale = FORGET * scale + (1 - FORGET) * min(float(surprise[row]), 3 * scale)
    return np.array(alarms, int)


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
