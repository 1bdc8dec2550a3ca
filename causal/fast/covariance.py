"""Correlations of all lagged columns at once, from one product per lag and a shift.

Column ``lag * series + place`` is series ``place`` at ``t - lag``. Every test of PCMCI with tigramite's default
cut-off reads the same rows t, so one matrix serves them all. Shifting both lags by one drops the last row and
takes in an earlier one: only the blocks against lag 0 need a product over time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.causal.fast.partial import guard, level

VARIES, CONSTANT, DOUBTFUL = 0, 1, 2  # what can be said of a column
_NEARLY_CONSTANT = 1e-8  # variance within the rows, in units of the series' variance
_SAME = 1e-9


@dataclass(frozen=True, eq=False)
class LaggedCorrelation:
    """``matrix`` (columns, columns) over ``rows`` (times t, repeats allowed) of ``values`` (time, series).

    ``state`` says per column whether it varies, is constant in the sense of tigramite (its standard
    deviation is exactly 0), or varies too little for its correlations to be trusted.
    """

    values: np.ndarray
    rows: np.ndarray
    max_lag: int
    matrix: np.ndarray
    state: np.ndarray

    @property
    def series(self) -> int:
        """Number of series."""
        return int(self.values.shape[1])

    @property
    def samples(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def level(self, targets: np.ndarray, columns: np.ndarray, offsets: np.ndarray,
              depth: int) -> tuple[np.ndarray, np.ndarray]:
        """One level of PC1: each candidate given the ``depth`` strongest others; values and samples.

        The candidates of target k are ``columns[offsets[k]:offsets[k + 1]]``, strongest first.
        """
        values = level(self.matrix, targets, columns, offsets, depth, guard(self.samples))
        return values, np.full(len(values), float(self.samples))

    def column(self, column: int) -> np.ndarray:
        """The samples of one column, shape (rows,)."""
        lag, place = divmod(column, self.series)
        return np.asarray(self.values[self.rows - lag, place])


def lagged_correlation(values: np.ndarray, max_lag: int, blocks: np.ndarray | None = None) -> LaggedCorrelation:
    """Correlations of all columns up to ``2 * max_lag`` on the rows that tigramite's tests read.

    ``values`` is (time, series), float64 and without gaps; ``blocks`` (number, 2) gives row ranges [start,
    stop) drawn by a block bootstrap (default: all rows from ``2 * max_lag`` on). Time O(series^2 x lags x
    rows + series^2 x lags^2 x blocks), memory 8 x (series x (2 x max_lag + 1))^2 bytes.

    >>> values = np.random.default_rng(0).normal(size=(50, 2))
    >>> found = lagged_correlation(values, 1)
    >>> by_hand = np.corrcoef(values[2:, 0], values[1:-1, 1])[0, 1]
    >>> found.samples, found.matrix.shape, bool(abs(found.matrix[0, 3] - by_hand) < 1e-12)
    (48, (6, 6), True)
    """
    deepest = 2 * max_lag
    if blocks is None:
        blocks = np.array([[deepest, len(values)]])
    rows = np.concatenate([np.arange(start, stop) for start, stop in blocks])
    spread = values.std(axis=0)
    scaled = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    gram = lagged_sums(scaled, deepest, blocks)
    means = np.concatenate([scaled[rows - lag].mean(axis=0) for lag in range(deepest + 1)])
    gram /= len(rows)
    for start in range(0, len(means), 512):  # in strips: no second matrix
        gram[start:start + 512] -= means[start:start + 512, None] * means
    variance = gram.diagonal().copy()
    doubtful = variance < _NEARLY_CONSTANT
    scale = 1.0 / np.sqrt(np.where(doubtful, 1.0, variance))
    for start in range(0, len(means), 512):
        gram[start:start + 512] *= scale[start:start + 512, None] * scale
    gram[doubtful] = gram[:, doubtful] = 0.0
    np.fill_diagonal(gram, 1.0)
    found = LaggedCorrelation(values, rows, max_lag, gram, np.where(doubtful, DOUBTFUL, VARIES).astype(np.int8))
    for column in np.flatnonzero(doubtful):
        if found.column(int(column)).std() == 0.0:
            found.state[column] = CONSTANT
    _twins(found)
    return found


def lagged_sums(scaled: np.ndarray, deepest: int, blocks: np.ndarray) -> np.ndarray:
    """Sums over the rows of ``blocks`` of products of all pairs of columns up to lag ``deepest``.

    Shape (columns, columns), exact to rounding.

    >>> lagged_sums(np.array([[1.0], [2.0], [3.0]]), 1, np.array([[1, 3]])).tolist()
    [[13.0, 8.0], [8.0, 5.0]]
    """
    series = scaled.shape[1]
    rows = np.concatenate([np.arange(start, stop) for start, stop in blocks])
    gram = np.empty((deepest + 1, series, deepest + 1, series))
    now = scaled[rows]
    for lag in range(deepest + 1):
        block = now.T @ scaled[rows - lag]
        gram[0, :, lag, :] = block = block if lag else _mirrored(block)
        gram[lag, :, 0, :] = block.T
    starts, stops = blocks[:, 0], blocks[:, 1]
    for lag in range(1, deepest + 1):
        entering, leaving = scaled[starts - lag], scaled[stops - lag]
        for other in range(lag, deepest + 1):
            block = gram[lag - 1, :, other - 1, :] + entering.T @ scaled[starts - other]
            block -= leaving.T @ scaled[stops - other]
            gram[lag, :, other, :] = block = _mirrored(block) if other == lag else block
            gram[other, :, lag, :] = block.T
    return gram.reshape((deepest + 1) * series, (deepest + 1) * series)


def _mirrored(block: np.ndarray) -> np.ndarray:
    """Symmetric to the bit, which a matrix product is not."""
    return np.asarray(np.triu(block) + np.triu(block, 1).T)


def _twins(found: LaggedCorrelation) -> None:
    """Columns with the very same samples (up to sign) get the very same correlations, so that ties stay ties."""
    series, matrix = found.series, found.matrix
    near = np.argwhere(np.abs(matrix[:series]) > 1 - _SAME)
    for place, column in near[near[:, 0] < near[:, 1]]:
        lag, other = divmod(int(column), series)
        for shift in range(2 * found.max_lag + 1 - lag):
            first, second = shift * series + int(place), (shift + lag) * series + other
            sign = np.sign(matrix[first, second])
            if np.array_equal(found.column(first), sign * found.column(second)):
                matrix[second] = sign * matrix[first]
                matrix[:, second] = matrix[second]
                matrix[second, second], matrix[first, second], matrix[second, first] = 1.0, sign, sign
