"""Losses of quantile forecasts: absolute error of the median, CRPS, hits of the 80 % interval; where labels fell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from terracast.stats.robust_scale import DECILE_RANGE


def crps(values: np.ndarray, labels: np.ndarray, quantiles: Sequence[float]) -> np.ndarray:
    """CRPS from quantiles: twice the mean pinball loss over the levels (Laio & Tamea 2007).

    ``values`` (..., quantile), ``labels`` (...); NaN labels give NaN. Same definition as
    ``scoringrules.crps_quantile``.

    >>> crps(np.array([[1.0, 2.0, 3.0]]), np.array([2.0]), (0.25, 0.5, 0.75)).round(3).tolist()
    [0.333]
    """
    levels = np.asarray(quantiles, dtype="float64")
    error = labels[..., None] - values
    return 2.0 * np.maximum(levels * error, (levels - 1.0) * error).mean(axis=-1)


def level(values: np.ndarray, quantiles: Sequence[float], wanted: float) -> np.ndarray:
    """The quantile ``wanted`` of ``values`` (..., quantile), interpolated between the levels given."""
    levels = np.asarray(quantiles, dtype="float64")
    upper = int(np.clip(np.searchsorted(levels, wanted - 1e-9), 0, len(levels) - 1))
    if abs(levels[upper] - wanted) < 1e-9 or upper == 0:
        return values[..., upper]
    share = (wanted - levels[upper - 1]) / (levels[upper] - levels[upper - 1])
    return (1.0 - share) * values[..., upper - 1] + share * values[..., upper]


def inside(values: np.ndarray, labels: np.ndarray, quantiles: Sequence[float], mass: float = 0.8) -> np.ndarray:
    """1.0 where the label lies in the central interval of ``mass``, 0.0 where not, NaN where it is unknown."""
    low = level(values, quantiles, (1.0 - mass) / 2)
    high = level(values, quantiles, (1.0 + mass) / 2)
    return np.where(np.isnan(labels), np.nan, ((labels >= low) & (labels <= high)).astype("float64"))


def pit(values: np.ndarray, labels: np.ndarray, quantiles: Sequence[float]) -> np.ndarray:
    """Probability integral transform of ``labels`` (...) by the rising quantiles ``values`` (..., quantile): where in
    the forecast each label fell, from 0 to 1, interpolated between the levels; NaN labels give NaN.

    Beyond the outermost level it is halfway to 0 or 1; where several quantiles equal the label, the middle of them.

    >>> pit(np.array([[1.0, 2.0, 3.0]] * 3), np.array([1.5, 9.0, np.nan]), (0.1, 0.5, 0.9)).round(2).tolist()
    [0.3, 0.95, nan]
    """
    levels = np.asarray(quantiles, dtype="float64")
    last = len(levels) - 1
    middle = np.zeros(labels.shape)
    for below in (values < labels[..., None], values <= labels[..., None]):
        count = below.sum(axis=-1)
        at = np.clip(count, 1, max(last, 1))  # between the levels at - 1 and at, where it is between two
        low, high = (np.take_along_axis(values, np.minimum(one, last)[..., None], axis=-1)[..., 0]
                     for one in (at - 1, at))
        share = (labels - low) / np.where(high > low, high - low, 1.0)
        inner = levels[at - 1] + share * (levels[np.minimum(at, last)] - levels[at - 1])
        middle += np.where(count == 0, levels[0] / 2, np.where(count > last, (1.0 + levels[-1]) / 2, inner)) / 2
    return np.where(np.isnan(labels), np.nan, middle)


def spread_of(values: np.ndarray, quantiles: Sequence[float]) -> np.ndarray:
    """The standard deviation of a normal law with the 10 % and 90 % quantiles of ``values`` (..., quantile).

    >>> spread_of(np.array([[0.0, 1.0, 2.563]]), (0.1, 0.5, 0.9)).tolist()
    [1.0]
    """
    return np.asarray((level(values, quantiles, 0.9) - level(values, quantiles, 0.1)) / DECILE_RANGE)


def residual(values: np.ndarray, labels: np.ndarray, quantiles: Sequence[float]) -> np.ndarray:
    """Residuals divided by the forecast's own spread: (label - median) / ((q90 - q10) / 2.563).

    2.563 standard deviations lie between the 10 % and the 90 % quantile of a normal law, so a well calibrated
    normal forecast gives standard normal residuals at every lead and hour.
    """
    spread = spread_of(values, quantiles)
    floor = 1e-3 * (np.nanmedian(spread) if np.isfinite(spread).any() else 1.0) + 1e-9
    return (labels - level(values, quantiles, 0.5)) / np.maximum(spread, floor)
