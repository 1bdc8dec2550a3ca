"""What a node looks like, as a row of numbers: the interface of a frozen base, and plain statistics beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
import xarray as xr

from terracast.stfm.forecaster import ForecastError
from terracast.stfm.seasonal_naive import SeasonalNaive

TINY = 1e-9
LAGS = (1, 2, 3, 6)


@runtime_checkable
class Embedder(Protocol):
    """Anything that turns each node of a panel, as known at a time, into a row of numbers."""

    def embed(self, panel: xr.Dataset, issue_time: np.datetime64) -> np.ndarray:
        """Shape (node, width), finite; of the panel's first variable; rows after ``issue_time`` are not read."""
        ...


@dataclass(frozen=True)
class PlainFeatures:
    """Nineteen statistics of the newest ``history`` steps: what every embedding has to beat.

    Autocorrelations of values and of steps (short lags, a season and its half), size of the steps, skew, tails,
    shares of gaps, zeros and repeats. None depends on units or level, as those of a base do not. O(values).

    >>> stamps = pd.date_range("2020-01-01", periods=96, freq="h")
    >>> values = np.stack([np.sin(np.arange(96) / 24 * 2 * np.pi), np.random.default_rng(0).normal(size=96)], axis=1)
    >>> panel = xr.Dataset({"x": (("time", "node"), values)}, {"time": stamps, "node": ["wave", "noise"]},
    ...                    {"step": "1h"})
    >>> features = PlainFeatures().embed(panel, stamps[-1].to_datetime64())
    >>> features.shape, bool(features[0, 0] > 0.9), bool(abs(features[1, 0]) < 0.3)
    ((2, 19), True, True)
    """

    history: int = 512

    def embed(self, panel: xr.Dataset, issue_time: np.datetime64) -> np.ndarray:
        """Shape (node, 19). Raises ``ForecastError`` where fewer than eight rows are known."""
        name = str(next(iter(panel.data_vars)))
        past = panel[name].transpose("time", "node").values[panel["time"].values <= issue_time]
        past = past[-self.history:].astype("float64")
        if len(past) < 8:
            raise ForecastError(f"{len(past)} rows", where=f"features of {name}", expected="at least eight",
                                remedy="wait for more history")
        season = SeasonalNaive().period(pd.Timedelta(panel.attrs["step"]).to_timedelta64())
        known = np.isfinite(past)
        counts = np.maximum(known.sum(axis=0), 1)
        z = np.where(known, past, 0.0)
        z = np.where(known, z - z.sum(axis=0) / counts, 0.0)
        z = z / np.maximum(np.sqrt(np.square(z).sum(axis=0) / counts), TINY)
        steps = np.diff(z, axis=0) * (known[1:] & known[:-1])
        lags = (*LAGS, max(1, season // 2), season)
        parts = [_autocorrelation(series, lag) for series in (z, steps) for lag in lags]
        size = np.sqrt(np.square(steps).mean(axis=0))
        parts += [size, (z**3).sum(axis=0) / counts, (z**4).sum(axis=0) / counts, known.mean(axis=0),
                  (known & (past == 0)).mean(axis=0), ((steps == 0) & known[1:]).mean(axis=0),
                  np.abs(steps).max(axis=0) / np.maximum(size, TINY)]
        return np.nan_to_num(np.stack(parts, axis=1))


def _autocorrelation(series: np.ndarray, lag: int) -> np.ndarray:
    if lag >= len(series):
        return np.zeros(series.shape[1])
    power = np.maximum(np.square(series).mean(axis=0), TINY)
    return np.asarray((series[lag:] * series[:-lag]).mean(axis=0) / power)


def embed_steadily(embedder: Embedder, panel: xr.Dataset, issue_time: np.datetime64, *, looks: int = 4,
                   span: int = 48) -> np.ndarray:
    """The mean of the embeddings at ``issue_time`` and at ``looks`` - 1 times in the ``span`` steps before it.

    One look tells much of the hour and the weather of the moment; the mean tells of the place. Shape (node, width);
    earlier looks that the panel is too short for (under a quarter of its rows) are left out.

    >>> stamps = pd.date_range("2020-01-01", periods=96, freq="h")
    >>> panel = xr.Dataset({"x": (("time", "node"), np.random.default_rng(0).normal(size=(96, 1)))},
    ...                    {"time": stamps, "node": ["a"]}, {"step": "1h"})
    >>> embed_steadily(PlainFeatures(), panel, stamps[-1].to_datetime64()).shape
    (1, 19)
    """
    stamps = panel["time"].values
    last = int(np.searchsorted(stamps, issue_time, side="right")) - 1
    rows = np.unique(last - np.round(np.arange(looks) * span / max(1, looks)).astype(int))
    rows = rows[(rows >= last // 4) | (rows == last)]
    seen = [embedder.embed(panel.isel(time=slice(0, row + 1)), stamps[row]) for row in rows]
    return np.asarray(np.mean(seen, axis=0))


def standardised(embeddings: np.ndarray) -> np.ndarray:
    """Each column with mean 0 and deviation 1; columns that do not vary become 0.

    >>> standardised(np.array([[1.0, 5.0], [3.0, 5.0]])).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    width = embeddings.std(axis=0)
    return np.asarray((embeddings - embeddings.mean(axis=0)) / np.where(width > TINY, width, 1.0))
