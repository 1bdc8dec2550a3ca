"""Series that hold nothing of their own: copies, shifted copies and exact sums of others.

Conditioning on one of them leaves no residual: tests then return noise or fail. They leave before the search.
"""

from __future__ import annotations

import numpy as np

from terracast.causal.graph.graph import Series
from terracast.causal.preprocessing.prepare import DroppedSeries

_SAME = 1e-9


def lagged_correlation(values: np.ndarray, lag: int) -> np.ndarray:
    """Correlation of column i at t - lag with column j at t, on rows that have both: (series, series).

    >>> x = np.arange(9.0)[:, None] ** 2
    >>> lagged_correlation(x, 0).tolist()
    [[1.0]]
    """
    cause, effect = values[: len(values) - lag], values[lag:]
    seen_cause, seen_effect = np.isfinite(cause).astype(float), np.isfinite(effect).astype(float)
    x, y = np.nan_to_num(cause), np.nan_to_num(effect)
    count = np.maximum(seen_cause.T @ seen_effect, 1.0)
    mean_x, mean_y = x.T @ seen_effect / count, seen_cause.T @ y / count
    spread_x = (x**2).T @ seen_effect / count - mean_x**2
    spread_y = seen_cause.T @ (y**2) / count - mean_y**2
    product = x.T @ y / count - mean_x * mean_y
    scale = np.sqrt(np.maximum(spread_x * spread_y, np.finfo(float).tiny))
    return np.asarray(np.clip(product / scale, -1.0, 1.0))


def redundant(values: np.ndarray, series: tuple[Series, ...], max_lag: int) -> tuple[DroppedSeries, ...]:
    """The series to leave out, each with its reason: of two copies the later one goes, of a shifted pair the
    follower. ``values`` has shape (time, series). O(time x series^2 x lags)."""
    ranges = np.nanmax(values, axis=0, initial=-np.inf) - np.nanmin(values, axis=0, initial=np.inf)
    gone = {int(place): "constant or never observed" for place in np.flatnonzero(~(ranges > 0))}
    for lag in range(max_lag + 1):
        same = np.abs(lagged_correlation(values, lag)) > 1 - _SAME
        for cause, effect in zip(*np.nonzero(same), strict=True):
            first, last = int(cause), int(effect)
            if first in gone or last in gone or (lag == 0 and first >= last):
                continue
            if first == last:
                gone[last] = f"repeats itself exactly every {lag} steps"
            else:
                shifted = f" shifted by {lag} steps" if lag else ""
                gone[last] = f"a copy of {series[first]}{shifted}"
    left = [place for place in range(len(series)) if place not in gone]
    gone |= {left[place]: reason for place, reason in _exact_sums(values[:, left]).items()}
    return tuple(DroppedSeries(series[place], reason) for place, reason in sorted(gone.items()))


def _exact_sums(values: np.ndarray) -> dict[int, str]:
    """Columns that are a linear combination of earlier ones, on the rows without gaps."""
    rows = values[np.isfinite(values).all(axis=1)]
    if len(rows) <= values.shape[1]:
        return {}
    rows = rows - rows.mean(axis=0)
    kept: list[int] = []
    found: dict[int, str] = {}
    for place in range(rows.shape[1]):
        column = rows[:, place]
        rest = column
        if kept:
            rest = column - rows[:, kept] @ np.linalg.lstsq(rows[:, kept], column, rcond=None)[0]
        if float(rest @ rest) <= 10 * _SAME * float(column @ column):
            found[place] = "an exact linear combination of other series"
        else:
            kept.append(place)
    return found
