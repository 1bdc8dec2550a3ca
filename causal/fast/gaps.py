"""Tests on data with gaps, exactly as tigramite reads them: each test on the rows where all its columns are seen.

Few rows lost: what they hold is taken out of sums over all rows. Most rows lost: the sums run over those left.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from terracast.causal.fast.bootstrap import times_read
from terracast.causal.fast.covariance import lagged_sums
from terracast.causal.fast.partial import SUMS, UNSURE, guard, last_two
from terracast.causal.fast.significance import p_values


class GapTest:
    """``values`` (time, series) with NaN gaps, read at the rows of ``blocks`` (number, 2), which may overlap.

    Memory 8 x columns^2 bytes, columns = series x (2 x max_lag + 1).
    """

    def __init__(self, values: np.ndarray, max_lag: int, blocks: np.ndarray) -> None:
        spread, seen = np.nanstd(values, axis=0), np.isfinite(values)
        scaled = np.where(seen, (values - np.nanmean(values, axis=0)) / np.where(spread > 0, spread, 1.0), 0.0)
        rows = np.concatenate([np.arange(start, stop) for start, stop in blocks])
        gap_times = [np.flatnonzero(~seen[:, place]) for place in range(values.shape[1])]
        gaps_at = np.concatenate([[0], np.cumsum([len(one) for one in gap_times])])
        sums = np.concatenate([scaled[rows - lag].sum(axis=0) for lag in range(2 * max_lag + 1)])
        self.series, self.samples = values.shape[1], len(rows)
        self.state = np.zeros(len(sums), dtype=np.int8)  # constant columns are found test by test
        self._data = (np.ascontiguousarray(scaled.T), times_read(len(values), blocks).astype(float),
                      np.concatenate(gap_times), gaps_at, lagged_sums(scaled, 2 * max_lag, blocks), sums)
        self._least = guard(len(rows))

    def __call__(self, columns: np.ndarray) -> tuple[float, float]:
        """Value and p-value of the last two columns given the others; value ``UNSURE`` where digits are lost.

        O(rows lost, or left if fewer, x columns^2 + columns^3).

        >>> noise = np.random.default_rng(0).normal(size=(400, 2))
        >>> noise[::7, 0] = np.nan
        >>> seen = np.isfinite(noise[:, 0])
        >>> value, p_value = GapTest(noise, 0, np.array([[0, 400]]))(np.array([0, 1]))
        >>> bool(abs(value - np.corrcoef(noise[seen].T)[0, 1]) < 1e-12), round(p_value, 2)
        (True, 0.97)
        """
        values, samples = _many(columns, np.array([0, len(columns)]), *self._data, self._least)
        if samples[0] == 0:
            raise ValueError("No valid samples")
        if values[0] == UNSURE:
            return UNSURE, math.nan
        return float(values[0]), float(p_values(values, samples - len(columns))[0])

    def level(self, targets: np.ndarray, columns: np.ndarray, offsets: np.ndarray,
              depth: int) -> tuple[np.ndarray, np.ndarray]:
        """One level of PC1 (see ``LaggedCorrelation.level``): values and samples of every test."""
        tests = np.empty((len(columns), depth + 2), dtype=np.int64)
        for place, target in enumerate(targets):
            mine = columns[offsets[place]:offsets[place + 1]]
            part = tests[offsets[place]:offsets[place + 1]]
            part[:, :depth] = mine[:depth]
            for test in range(min(depth, len(mine))):  # a candidate is no condition of its own test
                part[test, test:depth] = mine[test + 1:depth + 1]
            part[:, depth], part[:, depth + 1] = mine, target
        return _many(tests.ravel(), np.arange(len(tests) + 1) * (depth + 2), *self._data, self._least)


@nb.njit(cache=True)
def _lost(columns: np.ndarray, series: int, weights: np.ndarray, gap_times: np.ndarray, gaps_at: np.ndarray,
          marks: np.ndarray, mark: int, out: np.ndarray) -> int:
    """Rows at which any of the columns has a gap, into ``out``; their number."""
    count = 0
    for column in columns:
        lag, place = column // series, column % series
        for step in range(gaps_at[place], gaps_at[place + 1]):
            time = gap_times[step] + lag
            if time < len(weights) and weights[time] > 0.0 and marks[time] != mark:
                marks[time] = mark
                out[count] = time
                count += 1
    return count


@nb.njit(cache=True, fastmath=SUMS)
def _sums_over(values: np.ndarray, weights: np.ndarray, columns: np.ndarray, rows: np.ndarray,
               into: np.ndarray) -> None:
    """Weighted products of all pairs of columns over ``rows``; the last column of ``into`` holds plain sums."""
    count, series = len(columns), values.shape[0]
    table, weight = np.empty((count, len(rows))), weights[rows]
    for place in range(count):
        lag, source, mine = columns[place] // series, values[columns[place] % series], table[place]
        for step in range(len(rows)):
            mine[step] = source[rows[step] - lag]
    for row in range(count):
        weighted = table[row] * weight
        for column in range(row, count):
            other = table[column]
            total = 0.0
            for step in range(len(rows)):
                total += weighted[step] * other[step]
            into[row, column] = total
        into[row, count] = weighted.sum()
    into[count, count] = weight.sum()


@nb.njit(cache=True, nogil=True)
def _many(flat: np.ndarray, offsets: np.ndarray, values: np.ndarray, weights: np.ndarray, gap_times: np.ndarray,
          gaps_at: np.ndarray, products: np.ndarray, sums: np.ndarray,
          least: float) -> tuple[np.ndarray, np.ndarray]:
    """Values and samples of tests: the columns of test k are ``flat[offsets[k]:offsets[k + 1]]``, X and Y last."""
    found, samples = np.empty(len(offsets) - 1), np.empty(len(offsets) - 1)
    marks, lost = np.full(values.shape[1], -1), np.empty(values.shape[1], dtype=np.int64)
    read, total = np.flatnonzero(weights > 0.0), weights.sum()
    for test in range(len(offsets) - 1):
        columns = flat[offsets[test]:offsets[test + 1]]
        count = len(columns)
        gone = _lost(columns, values.shape[0], weights, gap_times, gaps_at, marks, test, lost)
        work = np.empty((count + 1, count + 1))
        if 2 * gone > len(read):
            _sums_over(values, weights, columns, read[marks[read] != test], work)
        else:
            _sums_over(values, weights, columns, np.sort(lost[:gone]), work)
            for row in range(count):
                source = products[columns[row]]
                for column in range(row, count):
                    work[row, column] = source[columns[column]] - work[row, column]
                work[row, count] = sums[columns[row]] - work[row, count]
            work[count, count] = total - work[count, count]
        samples[test] = work[count, count]
        found[test] = _value(work, count, least) if samples[test] > count + 2 else UNSURE
    return found, samples


@nb.njit(cache=True)
def _value(work: np.ndarray, count: int, least: float) -> float:
    """The partial correlation of the last two columns, from sums of products, sums and number."""
    samples = work[count, count]
    scale = np.empty(count)
    for row in range(count):
        variance = work[row, row] / samples - (work[row, count] / samples) ** 2
        if variance < 1e-4:  # of a series whose variance is 1: nearly constant on these rows
            return UNSURE
        scale[row] = 1.0 / math.sqrt(variance)
    for row in range(count):
        for column in range(row, count):
            shared = work[row, column] / samples - work[row, count] / samples * (work[column, count] / samples)
            work[row, column] = shared * scale[row] * scale[column]
    return last_two(work, count, least)
