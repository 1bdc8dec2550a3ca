"""Alarms in one series as its rows come: what neither the hour nor any earlier stretch of the series leads to expect.

NAB's labels are single anomalies within minutes or hours, which the monitor's blocks of a day are not made for. Each
row is looked at in three ways: how far it lies from the climatology of the first rows, from the nearest earlier value,
and, with the values just before it, from the nearest earlier stretch as long (Burnaev and Ishimtsev 2016 do so for
NAB). Each distance becomes a tail probability against the same distance in all earlier rows, so that one threshold
serves every series: conformal anomaly detection (Laxhammar and Falkman 2014) and the anomaly likelihood of Ahmad and
others (2017, "Unsupervised real-time anomaly detection for streaming data"), with a heavy tail in the place of ranks
and of a Gaussian. The log probabilities are summed (Fisher); they depend on each other, so their sum is no probability.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from terracast.benchmarks.drift.expectation import Expectation

# Chosen on the seen half of NAB's files (labelled.py); the score there is flat for SURE from 12 to 14. A stationary
# Gaussian series gets about one alarm in a thousand rows.
LENGTHS = (1, 8)  # rows of a stretch
TAIL = 0.02  # share of the earlier rows that the tail is fitted to
SURE = 13.0  # summed minus log probabilities that raise an alarm
PAUSE = 0.2  # rows that an alarm speaks for, as a share of the probation
QUIET = 0.01  # deviations: smaller distances are not told apart
EVERY = 50  # rows between fits of the tail


def series_alarms(values: np.ndarray, times: np.ndarray, probation: int) -> np.ndarray:
    """Rows with an alarm, rising; each is decided from the rows up to it alone.

    ``values``, finite, and rising ``times`` (time,); the first ``probation`` rows, at least some tens, are the
    reference. O(time²) additions.
    """
    alarms: list[int] = []
    for row in np.flatnonzero(surprises(values, times, probation) > SURE):
        if not alarms or row - alarms[-1] >= PAUSE * probation:
            alarms.append(int(row))
    return np.array(alarms, int)


def surprises(values: np.ndarray, times: np.ndarray, probation: int) -> np.ndarray:
    """Minus the log probabilities of the three distances, summed, (time,); 0 in the probation."""
    values = np.asarray(values, float)
    reference = values[:probation]
    expectation = Expectation.fit(reference[:, None], times[:probation])
    away = np.abs(expectation.residuals(values[:, None], times)[:, 0])
    # A reference that hardly varies would make everything after it far away.
    deviation = max(float(reference.std()), 0.01 * float(np.abs(reference).mean())) or 1.0
    ways = [away, *(nearest(values / deviation, length) for length in LENGTHS)]
    return np.sum([improbability(distance + QUIET, probation) for distance in ways], axis=0)


@njit(cache=True)
def nearest(values: np.ndarray, length: int) -> np.ndarray:
    """Root mean square distance (time,) of the ``length`` values that end at each row to the nearest such stretch
    that ended before they began; 0 where there is none. One lag after another, so that each stretch costs one step.

    >>> nearest(np.array([0.0, 1.0, 0.0, 1.0, 3.0]), 1).tolist()
    [0.0, 1.0, 0.0, 0.0, 2.0]
    """
    least = np.full(len(values), np.inf)
    for lag in range(length, len(values)):
        total = 0.0
        for row in range(lag, len(values)):
            total += (values[row] - values[row - lag]) ** 2
            if row - length >= lag:
                total -= (values[row - length] - values[row - length - lag]) ** 2
            if row - lag >= length - 1:
                least[row] = min(least[row], max(total, 0.0))
    return np.where(np.isfinite(least), np.sqrt(least / length), 0.0)


def improbability(distance: np.ndarray, probation: int) -> np.ndarray:
    """Minus the log of the chance of a ``distance`` (time,), all positive, as large, by the rows before it; 0 in the
    probation. By rank where earlier rows were as far away often enough, else by a Pareto tail (Hill 1975)."""
    told = np.zeros(len(distance))
    for start in range(probation, len(distance), EVERY):
        past, now = np.sort(distance[:start]), distance[start:start + EVERY]
        count = max(int(TAIL * start), 5)
        edge = past[-count - 1]
        weight = max(float(np.log(past[-count:] / edge).mean()), 0.02)
        rank = (start - np.searchsorted(past, now)) / start
        told[start:start + EVERY] = np.where(now > edge, np.log(start / count) + np.log(now / edge) / weight,
                                             -np.log(np.maximum(rank, 1 / start)))
    return told
