"""What a node is expected to show at an hour, by its own past: the residual of that is what a monitor can watch.

A monitor fed raw values alarms at every season. This expectation is smooth and small, so that a few days (traffic) or
months (air) of reference are enough, and it can be cross-fitted: residuals of the reference itself come from fits that
have not seen them, without which every threshold set on them is too tight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

DAY = 86_400e9  # ns
YEAR = 365.2425 * DAY
DAILY, YEARLY = 6, 2  # harmonics
QUIET = 0.05  # share of a node's deviation below which a residual is not told from none when its spread is fitted


@dataclass(frozen=True)
class Expectation:
    """Mean and spread of each node by hour, weekday or weekend, and day of year; frozen at ``fit``.

    ``weights`` and ``spreads`` (feature, node) are the coefficients of the mean and of the log spread; ``parts`` says
    which cycles the reference was long enough for.

    >>> times = np.datetime64("2024-01-01", "ns") + np.arange(24 * 60) * np.timedelta64(1, "h")
    >>> hour = np.arange(len(times)) % 24
    >>> values = 10 + 3 * np.cos(hour / 24 * 2 * np.pi) + np.random.default_rng(0).normal(size=len(times))
    >>> residuals = Expectation.fit(values[:, None], times).residuals(values[:, None], times)
    >>> bool(abs(residuals.mean()) < 0.05 and abs(residuals.std() - 1) < 0.1)
    True
    """

    parts: tuple[str, ...]
    weights: np.ndarray
    spreads: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray, times: np.ndarray, penalty: float = 3.0) -> Expectation:
        """Ridge regression of ``values`` (time, node), NaN left out, on cycles of ``times`` (time,).

        ``penalty``: in values, how many of them each coefficient but the mean must be worth. O(time × node × 40²).
        """
        values = np.asarray(values, float)
        parts = _parts(np.asarray(times, "datetime64[ns]"))
        features = _features(times, parts)
        weights = _ridge(features, values, penalty)
        off = np.abs(values - features @ weights)
        typical = np.nanmean(np.where(np.isfinite(off), off, np.nan), axis=0) if len(off) else np.ones(values.shape[1])
        typical = np.where(np.isfinite(typical) & (typical > 0), typical, 1.0)
        spreads = _ridge(features, np.log(off / typical + QUIET), 30.0)
        shape = np.exp(features @ spreads)
        seen = np.isfinite(off)
        size = np.sqrt(np.where(seen, off / shape, 0.0) ** 2).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        spreads[0] += np.log(np.where(size > 0, size, 1.0) * 1.2533)  # mean absolute to standard deviation, if normal
        return cls(parts, weights, spreads)

    @classmethod
    def crossed(cls, values: np.ndarray, times: np.ndarray, folds: int = 5) -> np.ndarray:
        """Residuals (time, node) of a reference, each from a fit on the other ``folds`` - 1 runs of it; O(folds)."""
        values = np.asarray(values, float)
        residuals = np.full(values.shape, np.nan)
        for out in np.array_split(np.arange(len(values)), folds):
            kept = np.ones(len(values), bool)
            kept[out] = False
            fit = cls.fit(values[kept], times[kept])
            residuals[out] = fit.residuals(values[out], times[out])
        return residuals

    def mean(self, times: np.ndarray) -> np.ndarray:
        """The expected values (time, node)."""
        return _features(times, self.parts) @ self.weights

    def residuals(self, values: np.ndarray, times: np.ndarray) -> np.ndarray:
        """(value - mean) / spread, (time, node); NaN where there is no value."""
        features = _features(times, self.parts)
        return (np.asarray(values, float) - features @ self.weights) / np.exp(features @ self.spreads)

    def state(self) -> dict[str, object]:
        """Parts and coefficients."""
        return {"parts": list(self.parts), "weights": self.weights.copy(), "spreads": self.spreads.copy()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Expectation:
        """What ``state`` described."""
        return cls(tuple(state["parts"]), np.array(state["weights"], float), np.array(state["spreads"], float))


def _parts(times: np.ndarray) -> tuple[str, ...]:
    """The cycles that fit often enough into the reference, and that its step can show."""
    stamps = times.astype(np.int64)
    length, step = float(stamps[-1] - stamps[0]), float(np.median(np.diff(stamps)))
    parts = ["day"] if step <= DAY / 4 else []
    if length >= 27 * DAY and step <= DAY:
        parts.append("week")
    if length >= 1.9 * YEAR:
        parts.append("year")
    return tuple(parts)


def _features(times: np.ndarray, parts: tuple[str, ...]) -> np.ndarray:
    """Columns (time, feature): one, harmonics of the day, the same on weekends, harmonics of the year."""
    stamps = np.asarray(times, "datetime64[ns]").astype(np.int64).astype(float)
    columns = [np.ones(len(stamps))]
    daily: list[np.ndarray] = []
    for wave in range(1, DAILY + 1) if "day" in parts else ():
        angle = 2 * np.pi * wave * (stamps / DAY % 1.0)
        daily += [np.cos(angle), np.sin(angle)]
    columns += daily
    if "week" in parts:
        weekend = ((np.floor(stamps / DAY) + 3) % 7 >= 5).astype(float)  # 1970-01-01 was a Thursday
        columns += [weekend, *(weekend * one for one in daily)]
    for wave in range(1, YEARLY + 1) if "year" in parts else ():
        angle = 2 * np.pi * wave * (stamps / YEAR % 1.0)
        columns += [np.cos(angle), np.sin(angle)]
    return np.stack(columns, axis=1)


def _ridge(features: np.ndarray, values: np.ndarray, penalty: float) -> np.ndarray:
    """Coefficients (feature, node); a node without values gets zeros."""
    seen = np.isfinite(values)
    count = features.shape[1]
    shrink = penalty * np.eye(count)
    shrink[0, 0] = 1e-9
    weights = np.zeros((count, values.shape[1]))
    whole = seen.all(axis=0)
    if whole.any():
        weights[:, whole] = np.linalg.solve(features.T @ features + shrink, features.T @ values[:, whole])
    for node in np.flatnonzero(~whole & seen.any(axis=0)):
        rows = features[seen[:, node]]
        weights[:, node] = np.linalg.solve(rows.T @ rows + shrink, rows.T @ values[seen[:, node], node])
    return weights
