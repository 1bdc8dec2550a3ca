"""The ridge peer: one linear map from a window of lags to all leads, fitted on the training part of a dataset.

Plain, but a strong peer: Zeng et al. 2023 and Toner & Darlow 2024 found such maps level with deep models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from terracast.streams.errors import TerracastError

LONGEST = 512  # lags, at most
WINDOWS = 6000  # windows fitted on, at most
HELD_OUT = 0.25  # the newest share of the windows: chooses lags and penalty and tells the quantiles
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
ENOUGH = 50  # residuals from which a node has quantiles of its own


class RidgePeerError(TerracastError):
    """Too little to fit the ridge peer to."""


@dataclass(frozen=True)
class RidgePeer:
    """``coefficients`` (lags + 1, lead) shared by all nodes; ``width`` (node,); ``offsets`` (lead, node, quantile).

    A window is read relative to its own mean over the newest season, in units of the node's standard deviation;
    gaps are filled with the value before, a window without any value with the node's ``usual`` one. Quantiles are
    those of the residuals on the newest quarter of the training part, by a map that was not fitted on them, by lead
    and node.

    >>> hours = np.arange(600)
    >>> values = np.sin(hours / 24 * 2 * np.pi)[:, None] * [1.0, 5.0] + 10
    >>> peer = RidgePeer.fit(values[:500], 24, 6, (0.1, 0.5, 0.9), seed=0)
    >>> forecast = peer.forecast(values, np.array([550]))
    >>> forecast.shape, bool(np.abs(forecast[0, :, :, 1] - values[551:557]).max() < 0.1)
    ((1, 6, 2, 3), True)
    """

    coefficients: np.ndarray
    width: np.ndarray
    usual: np.ndarray
    offsets: np.ndarray
    lags: int
    season: int

    @classmethod
    def fit(cls, values: np.ndarray, season: int, horizon: int, quantiles: Sequence[float], *,
            seed: int, longest: int = LONGEST) -> RidgePeer:
        """Fit to ``values`` (time, node), all of it the training part; NaN where not observed.

        Lags (the longest that the part allows, or about two seasons) and penalty are those that do best on the
        newest quarter. O(windows × lags²). Raises ``RidgePeerError`` where no window has all its labels.
        """
        width = np.nanstd(values, axis=0)
        width = np.where(width > 0, width, 1.0)
        usual = np.nan_to_num(np.nanmedian(values, axis=0))
        scale = _Scale(width, usual)
        most = max(1, min(longest, (len(values) - horizon) // 3))
        trials = sorted({most, max(1, min(most, max(2 * season, 32)))})
        random = np.random.default_rng(seed)
        best: tuple[float, int, float, np.ndarray] | None = None
        for lags in trials:
            rows, nodes = _windows(values, lags, horizon, random)
            x, y = _inputs(values, scale, rows, nodes, lags, season), _labels(values, width, rows, nodes, horizon)
            y = y - x.level[:, None]
            newest = rows >= np.quantile(rows, 1 - HELD_OUT)
            older = rows <= rows[newest].min() - horizon
            if older.sum() < 10:
                older = ~newest
            for penalty in PENALTIES:
                map_ = _solved(x.columns[older], y[older], penalty)
                residuals = y[newest] - x.columns[newest] @ map_
                loss = float(np.abs(residuals).mean())
                if best is None or loss < best[0]:
                    offsets = _offsets(residuals, nodes[newest], values.shape[1], quantiles)
                    best = loss, lags, penalty, offsets
        if best is None:
            raise AssertionError("there is always a trial")
        _, lags, penalty, offsets = best
        rows, nodes = _windows(values, lags, horizon, random)
        x = _inputs(values, scale, rows, nodes, lags, season)
        y = _labels(values, width, rows, nodes, horizon) - x.level[:, None]
        return cls(_solved(x.columns, y, penalty), width, usual, offsets, lags, season)

    def forecast(self, values: np.ndarray, issues: np.ndarray) -> np.ndarray:
        """Quantiles (issue, lead, node, quantile) from ``values`` (time, node) up to and with each issue row."""
        count = values.shape[1]
        rows, nodes = np.repeat(issues, count), np.tile(np.arange(count), len(issues))
        x = _inputs(values, _Scale(self.width, self.usual), rows, nodes, self.lags, self.season)
        z = (x.columns @ self.coefficients + x.level[:, None]).reshape(len(issues), count, -1)
        spread = z.transpose(0, 2, 1)[..., None] + self.offsets
        return np.asarray(np.sort(spread, axis=-1) * self.width[:, None])


@dataclass(frozen=True)
class _Scale:
    width: np.ndarray
    usual: np.ndarray


@dataclass(frozen=True)
class _Inputs:
    """``columns`` (window, lags + 1), the last one ones; ``level`` (window,)."""

    columns: np.ndarray
    level: np.ndarray


def _windows(values: np.ndarray, lags: int, horizon: int,
             random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Issue rows and nodes of windows whose labels are all known and whose lags are known by half."""
    known = np.isfinite(values)
    sums = np.concatenate([np.zeros((1, known.shape[1])), np.cumsum(known, axis=0)])
    issues = np.arange(min(lags, len(values) // 3) - 1, len(values) - horizon)
    seen = sums[issues + 1] - sums[np.maximum(issues + 1 - lags, 0)]
    told = sums[issues + 1 + horizon] - sums[issues + 1]
    there = (seen >= lags / 2) & (told == horizon)
    if there.sum() < 50:
        there = (seen >= 1) & (told >= max(1, horizon / 2))
    row, node = np.nonzero(there)
    if len(row) < 5:
        raise RidgePeerError(f"{len(row)} windows", where="ridge peer", expected="at least 5 with known labels",
                             remedy="give a longer training part")
    picked = np.sort(random.choice(len(row), min(WINDOWS, len(row)), replace=False))
    return issues[row[picked]], node[picked]


def _inputs(values: np.ndarray, scale: _Scale, rows: np.ndarray, nodes: np.ndarray, lags: int,
            season: int) -> _Inputs:
    filled, has = _filled(values)
    back = np.maximum(rows[:, None] + np.arange(1 - lags, 1), 0)
    window = np.where(has[rows, nodes][:, None], filled[back, nodes[:, None]], scale.usual[nodes][:, None])
    z = window / scale.width[nodes][:, None]
    level = z[:, -min(season, lags):].mean(axis=1)
    return _Inputs(np.concatenate([z - level[:, None], np.ones((len(z), 1))], axis=1), level)


def _labels(values: np.ndarray, width: np.ndarray, rows: np.ndarray, nodes: np.ndarray,
            horizon: int) -> np.ndarray:
    ahead = rows[:, None] + np.arange(1, horizon + 1)
    labels = values[ahead, nodes[:, None]]
    if np.isnan(labels).any():
        labels = np.where(np.isnan(labels), _filled(values)[0][ahead, nodes[:, None]], labels)
    return np.asarray(labels / width[nodes][:, None])


def _filled(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaps take the value before, what precedes the first value takes that; and where a value has been known."""
    known = np.isfinite(values)
    last = np.maximum.accumulate(np.where(known, np.arange(len(values))[:, None], -1), axis=0)
    source = np.where(last >= 0, last, known.argmax(axis=0))
    return np.nan_to_num(np.take_along_axis(values, source, axis=0)), last >= 0


def _solved(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """Coefficients of the ridge with ``penalty`` for each window; the constant is hardly pulled."""
    gram = x.T @ x
    pull = np.full(len(gram), penalty * len(x) * 1e-1)
    pull[-1] = 1e-6 * len(x)
    gram[np.diag_indices_from(gram)] += pull
    return np.linalg.solve(gram, x.T @ y)


def _offsets(residuals: np.ndarray, nodes: np.ndarray, count: int, quantiles: Sequence[float]) -> np.ndarray:
    """Quantiles of residuals (window, lead) by lead and node: (lead, node, quantile), pooled where a node has few."""
    pooled = np.quantile(residuals, quantiles, axis=0).T
    offsets = np.repeat(pooled[:, None], count, axis=1)
    for node in range(count):
        own = residuals[nodes == node]
        if len(own) >= ENOUGH:
            offsets[:, node] = np.quantile(own, quantiles, axis=0).T
    return offsets
