"""Other ways to pick drivers, to compare with: by lagged correlation and by Granger's test in a VAR."""

from __future__ import annotations

import numpy as np
from scipy import stats

from terracast.causal.graph.graph import Driver, Series
from terracast.causal.preprocessing.prepare import Prepared


def correlation_picked(prepared: Prepared, target: Series, *, max_lag: int, alpha: float = 0.01) -> tuple[Driver, ...]:
    """Series of other domains whose largest lagged correlation with ``target`` is significant, strongest first.

    The lag is that of the largest |correlation| in 1..``max_lag``; the p-value (Fisher) is multiplied by series ×
    lags (Bonferroni). Memory of the series is not accounted for, as in everyday use. O(series × lags × time).

    >>> noise = np.random.default_rng(0).normal(size=(300, 3))
    >>> noise[2:, 2] += noise[:-2, 0]
    >>> names = (Series("a", "x"), Series("a", "y"), Series("b", "z"))
    >>> [(str(one.series), one.lag) for one in
    ...  correlation_picked(Prepared(noise, names, "1h", np.arange(300)), names[2], max_lag=3)]
    [('a.x', 2)]
    """
    others = [one for one in prepared.series if one.domain != target.domain]
    effect = prepared.column(target)
    picked = []
    for series in others:
        cause = prepared.column(series)
        found = [_correlation(cause[:-lag], effect[lag:]) for lag in range(1, max_lag + 1)]
        place = int(np.argmax([abs(value) for value, _ in found]))
        value, rows = found[place]
        p_value = 2 * stats.norm.sf(abs(np.arctanh(value)) * np.sqrt(max(rows - 3, 1)))
        if p_value * len(others) * max_lag <= alpha:
            picked.append(Driver(series, target, place + 1, value, True, f"correlation {value:+.2f}"))
    return tuple(sorted(picked, key=lambda one: -abs(one.strength)))


def granger_picked(prepared: Prepared, target: Series, *, max_lag: int, alpha: float = 0.01) -> tuple[Driver, ...]:
    """Series of other domains whose lags together help to predict ``target`` beside all other lags (Granger 1969).

    One F test a series in the vector autoregression of all series at lags 1..``max_lag``, p-values multiplied by
    the number of series; ``lag`` and ``strength`` are those of the largest coefficient. Rows with a gap are left
    out. O(time × (series × lags)²).

    >>> noise = np.random.default_rng(0).normal(size=(300, 3))
    >>> noise[2:, 2] += noise[:-2, 0]
    >>> names = (Series("a", "x"), Series("a", "y"), Series("b", "z"))
    >>> [(str(one.series), one.lag) for one in
    ...  granger_picked(Prepared(noise, names, "1h", np.arange(300)), names[2], max_lag=3)]
    [('a.x', 2)]
    """
    values = prepared.values
    count = values.shape[1]
    design = np.concatenate([values[max_lag - lag:len(values) - lag] for lag in range(1, max_lag + 1)], axis=1)
    effect = values[max_lag:, prepared.series.index(target)]
    rows = np.isfinite(design).all(axis=1) & np.isfinite(effect)
    design = np.column_stack([design[rows], np.ones(int(rows.sum()))])
    effect = effect[rows]
    free = len(effect) - design.shape[1]
    if free < 10:
        return ()
    full, coefficients = _residual(design, effect)
    others = [one for one in prepared.series if one.domain != target.domain]
    picked = []
    for series in others:
        columns = prepared.series.index(series) + count * np.arange(max_lag)
        without, _ = _residual(np.delete(design, columns, axis=1), effect)
        ratio = (without - full) / max_lag / max(full / free, 1e-300)
        if stats.f.sf(ratio, max_lag, free) * len(others) <= alpha:
            place = int(np.argmax(np.abs(coefficients[columns])))
            picked.append(Driver(series, target, place + 1, float(coefficients[columns][place]), True,
                                 f"Granger's F {ratio:.1f}"))
    return tuple(sorted(picked, key=lambda one: -abs(one.strength)))


def _correlation(first: np.ndarray, second: np.ndarray) -> tuple[float, int]:
    there = np.isfinite(first) & np.isfinite(second)
    if there.sum() < 4 or np.ptp(first[there]) == 0 or np.ptp(second[there]) == 0:
        return 0.0, int(there.sum())
    return float(np.clip(np.corrcoef(first[there], second[there])[0, 1], -0.999999, 0.999999)), int(there.sum())


def _residual(design: np.ndarray, effect: np.ndarray) -> tuple[float, np.ndarray]:
    coefficients, *_ = np.linalg.lstsq(design, effect, rcond=None)
    rest = effect - design @ coefficients
    return float(rest @ rest), coefficients
