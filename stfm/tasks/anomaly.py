"""Anomaly score: how far a value lies outside what the base, which knew only the past, held likely."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr

from terracast.stfm.forecaster import QUANTILES, Forecaster, ForecastError, Request

HISTORY = 1536
LOW, MEDIAN, HIGH = (QUANTILES.index(level) for level in (0.1, 0.5, 0.9))
NORMAL = 1.2816  # deviations of a normal law from its median to its 90 % quantile
FLOOR = 0.02  # least deviation, as a share of the values' usual one: a calm forecast must not cry at rounding


def anomaly_scores(panel: xr.Dataset, target: str, forecaster: Forecaster, *, start: int, every: int = 12,
                   looks: int = 4) -> np.ndarray:
    """Scores (time, node): 0 at the median, about 3 at one value in a thousand; NaN before ``start`` and where nothing
    was observed.

    From row ``start`` on a forecast is issued every ``every`` steps, from the rows up to its issue time alone; a
    value's score is its distance from the median in half-widths of its side of the 80 % interval, times 1.28, so that
    it is in standard deviations where the law is normal. Rows after a value never change its score. A call of the
    forecaster for every ``every`` steps.

    >>> from terracast.stfm.seasonal_naive import SeasonalNaive
    >>> values = np.random.default_rng(0).normal(size=(480, 1)) + np.tile(np.arange(24.0), 20)[:, None]
    >>> values[400] += 15
    >>> panel = xr.Dataset({"x": (("time", "node"), values)}, {"node": ["a"],
    ...                    "time": pd.date_range("2020-01-01", periods=480, freq="h")}, {"step": "1h"})
    >>> int(np.nanargmax(anomaly_scores(panel, "x", SeasonalNaive(), start=240)[:, 0]))
    400
    """
    values = panel[target].transpose("time", "node").values.astype("float64")
    if looks < 1 or every < 1:
        raise ForecastError(f"{looks} looks every {every} steps", where="anomaly scores", expected="at least one",
                            remedy="raise them")
    if not 1 <= start < len(values):
        raise ForecastError(f"start is row {start} of {len(values)}", where="anomaly scores",
                            expected="a row after the first", remedy="leave some history before it")
    step = pd.Timedelta(panel.attrs["step"]).to_timedelta64().astype("timedelta64[ns]")
    issues = np.arange(start - 1, len(values) - 1, every)
    request = Request(target, panel["time"].values[start - 1], every * looks, step)
    quantiles = _asked(panel, forecaster, request, issues)
    total, count = np.zeros(values.shape), np.zeros(values.shape)
    for issue, answer in zip(issues.tolist(), quantiles, strict=True):
        came = values[issue + 1:issue + 1 + every * looks]
        past = values[max(0, issue + 1 - HISTORY):issue + 1]
        distance = _distance(came, answer[:len(came)], _usual(past))
        total[issue + 1:issue + 1 + len(came)] += np.nan_to_num(distance)
        count[issue + 1:issue + 1 + len(came)] += np.isfinite(distance)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _usual(past: np.ndarray) -> np.ndarray:
    """Each node's usual deviation, (node,)."""
    known = np.isfinite(past)
    counts = np.maximum(known.sum(axis=0), 1)
    kept = np.where(known, past, 0.0)
    apart = np.where(known, kept - kept.sum(axis=0) / counts, 0.0)
    return np.asarray(np.sqrt(np.square(apart).sum(axis=0) / counts))


def _distance(values: np.ndarray, told: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Distances (lead, node) of values from quantiles (lead, node, quantile) in deviations of their side."""
    middle = told[..., MEDIAN]
    side = np.where(values > middle, told[..., HIGH] - middle, middle - told[..., LOW]) / NORMAL
    return np.asarray(np.abs(values - middle) / np.maximum(np.maximum(side, FLOOR * usual), 1e-12))


def _asked(panel: xr.Dataset, forecaster: Forecaster, request: Request, issues: np.ndarray) -> np.ndarray:
    """Quantiles (issue, lead, node, quantile), many at a time where the forecaster can."""
    many: Callable[..., xr.Dataset] | None = getattr(forecaster, "forecast_many", None)
    stamps = panel["time"].values
    if many is not None:
        answers = many(panel[[request.target]], request, stamps[issues])[request.target]
        return np.asarray(answers.transpose("issue_time", "lead", "node", "quantile").values)
    return np.concatenate([forecaster.forecast(panel[[request.target]].isel(time=slice(max(0, row + 1 - HISTORY),
                                                                                      row + 1)),
                                               request.at(stamps[row]))[request.target].values for row in issues])
