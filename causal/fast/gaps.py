"""Tests on data with gaps, exactly as tigramite reads them: each test on the rows where all its columns are seen."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from causal.fast.partial import UNSURE, guard, last_two
from causal.fast.significance import p_values

_SUMS = {"reassoc", "nsz", "contract"}


class GapTest:
    """``values`` (time, series) with NaN gaps; ``weights`` says how often each time t is read (0: not)."""

    def __init__(self, values: np.ndarray, weights: np.ndarray) -> None:
        spread = np.nanstd(values, axis=0)
        scaled = (values - np.nanmean(values, axis=0)) / np.where(spread > 0, spread, 1.0)
        self._seen = np.ascontiguousarray(np.isfinite(values).T)
        self._values = np.ascontiguousarray(np.where(np.isfinite(scaled), scaled, 0.0).T)
        self._weights = weights.astype(float)

    def __call__(self, columns: np.ndarray) -> tuple[float, float]:
        """Value and p-value of the last two columns given the others; value ``UNSURE`` where digits are lost.

        O(rows x columns^2).

        >>> noise = np.random.default_rng(0).normal(size=(400, 2))
        >>> noise[::7, 0] = np.nan
        >>> seen = np.isfinite(noise[:, 0])
        >>> value, p_value = GapTest(noise, np.ones(400))(np.array([0, 1]))
        >>> bool(abs(value - np.corrcoef(noise[seen].T)[0, 1]) < 1e-12), round(p_value, 2)
        (True, 0.16)
        """
        value, samples = _on_seen(self._values, self._seen, self._weights, columns, guard(len(self._weights)))
        if samples == 0:
            raise ValueError("No valid samples")
        if value == UNSURE:
            return UNSURE, math.nan
        return value, float(p_values(np.array(value), int(samples) - len(columns)))


@nb.njit(cache=True, fastmath=_SUMS)
def _on_seen(values: np.ndarray, seen: np.ndarray, weights: np.ndarray, columns: np.ndarray,
             least: float) -> tuple[float, float]:
    series, length = values.shape
    count = len(columns)
    alive = weights > 0.0
    for column in columns:
        lag, place = column // series, column % series
        mine = seen[place]
        alive[:lag] = False
        for time in range(lag, length):
            alive[time] &= mine[time - lag]
    rows = np.flatnonzero(alive)
    weight = weights[rows]
    samples = weight.sum()
    if samples < count + 3:
        return UNSURE, samples
    table, means = np.empty((count, len(rows))), np.empty(count)
    for place in range(count):
        lag, source, into = columns[place] // series, values[columns[place] % series], table[place]
        total = 0.0
        for step in range(len(rows)):
            into[step] = source[rows[step] - lag]
            total += weight[step] * into[step]
        means[place] = total / samples
        for step in range(len(rows)):
            into[step] -= means[place]
    work = np.empty((count, count))
    for row in range(count):
        weighted = table[row] * weight
        for column in range(row, count):
            other = table[column]
            total = 0.0
            for step in range(len(rows)):
                total += weighted[step] * other[step]
            work[row, column] = total / samples
    scale = np.empty(count)
    for row in range(count):
        if work[row, row] < 1e-8:
            return UNSURE, samples
        scale[row] = 1.0 / math.sqrt(work[row, row])
    for row in range(count):
        for column in range(row, count):
            work[row, column] *= scale[row] * scale[column]
    return last_two(work, count, least), samples
