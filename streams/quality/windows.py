"""Columns at once: runs, trailing windows and medians over the time axis of (time, node) arrays.

Nothing here reads a row that comes after the one that it answers for.
"""

from __future__ import annotations

import numpy as np

NEVER = np.iinfo(np.int32).max


def run_length(held: np.ndarray) -> np.ndarray:
    """Length of the run of True that ends at each cell, 0 where False; (time, node) int32.

    >>> run_length(np.array([[True], [True], [False], [True]])).ravel().tolist()
    [1, 2, 0, 1]
    """
    rows = np.arange(1, len(held) + 1, dtype=np.int32)[:, None]
    return rows - np.maximum.accumulate(np.where(held, np.int32(0), rows), axis=0)


def filled_forward(values: np.ndarray) -> np.ndarray:
    """Each gap filled with the last value before it; NaN before the first.

    >>> filled_forward(np.array([[np.nan], [2.0], [np.nan]])).ravel().tolist()
    [nan, 2.0, 2.0]
    """
    return np.take_along_axis(values, np.maximum(last_row(~np.isnan(values)), 0), axis=0)


def last_row(held: np.ndarray) -> np.ndarray:
    """The newest row up to each cell in which ``held`` is True, -1 where there is none."""
    rows = np.arange(len(held), dtype=np.int32)[:, None]
    return np.maximum.accumulate(np.where(held, rows, np.int32(-1)), axis=0)


def next_row(held: np.ndarray) -> np.ndarray:
    """The first row from each cell on in which ``held`` is True, ``NEVER`` where there is none."""
    rows = np.arange(len(held), dtype=np.int32)[:, None]
    return np.minimum.accumulate(np.where(held, rows, np.int32(NEVER))[::-1], axis=0)[::-1]


def trailing_mean(values: np.ndarray, window: int, at_least: int = 1, first: int = 0) -> np.ndarray:
    """Mean of the valid values in the last ``window`` rows, NaN where fewer than ``at_least`` are valid.

    Rows before ``first`` are only looked back at: NaN there.

    >>> trailing_mean(np.array([[1.0], [np.nan], [3.0]]), 2).ravel().tolist()
    [1.0, 1.0, 3.0]
    """
    valid = ~np.isnan(values)
    total = _trailing(np.where(valid, values, values.dtype.type(0)), window, first)
    count = _trailing(valid, window, first)
    mean = np.full(values.shape, np.nan, np.float32)
    mean[first:] = np.where(count >= at_least, total / np.maximum(count, 1), np.nan)
    return mean


def trailing_count(held: np.ndarray, window: int) -> np.ndarray:
    """How many of the last ``window`` rows are True.

    >>> trailing_count(np.array([[True], [True], [False]]), 2).ravel().tolist()
    [1, 2, 1]
    """
    return _trailing(held, window, 0)


def _trailing(values: np.ndarray, window: int, first: int) -> np.ndarray:
    """Sums over the last ``window`` rows for the rows from ``first`` on."""
    exact = np.float64 if values.dtype.kind == "f" else np.int32
    sums: np.ndarray = values[first:].astype(exact)
    if len(sums):
        gone = values[max(0, first + 1 - window) : max(0, len(values) - window)].astype(exact)
        sums[len(sums) - len(gone) :] = sums[len(sums) - len(gone) :] - gone
        sums[0] = values[max(0, first + 1 - window) : first + 1].sum(axis=0, dtype=exact)
    return np.cumsum(sums, axis=0, out=sums)


def nan_median(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Median of the valid values; NaN where there is none. Sorts a copy: several times faster than nanmedian.

    >>> nan_median(np.array([[1.0], [np.nan], [4.0], [2.0]])).tolist()
    [2.0]
    """
    ordered = np.sort(values, axis=axis)  # NaN sorts last
    count = (~np.isnan(ordered)).sum(axis=axis, keepdims=True)
    last = np.maximum(count - 1, 0)
    low = np.take_along_axis(ordered, last // 2, axis=axis)
    high = np.take_along_axis(ordered, np.minimum(last // 2 + (count % 2 == 0), last), axis=axis)
    return np.squeeze((low + high) / 2, axis=axis)


def nan_quantile(values: np.ndarray, share: float) -> np.ndarray:
    """Quantile of the valid values of each column (the next valid value above), NaN where there is none.

    >>> nan_quantile(np.array([[1.0], [np.nan], [4.0], [2.0]]), 0.99).tolist()
    [4.0]
    """
    if not len(values):
        return np.full(values.shape[1:], np.nan, values.dtype)
    ordered = np.sort(values, axis=0)
    count = (~np.isnan(ordered)).sum(axis=0, keepdims=True)
    place = np.ceil(share * np.maximum(count - 1, 0)).astype(np.intp)
    return np.take_along_axis(ordered, place, axis=0)[0]


def shifted(values: np.ndarray, rows: int) -> np.ndarray:
    """Values ``rows`` (>= 0) earlier, NaN where there is none.

    >>> shifted(np.array([[1.0], [2.0]]), 1).ravel().tolist()
    [nan, 1.0]
    """
    if rows == 0:
        return values
    empty = np.full((min(rows, len(values)), *values.shape[1:]), np.nan, values.dtype)
    return np.concatenate([empty, values[:-rows]])
