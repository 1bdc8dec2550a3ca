"""The network mean per day of observation and forecast, over the same cells in both."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from terracast.flows.reporting.content import VALUE_COLUMNS

MOST_ROWS = 4500
SHORT = pd.Timedelta("14D")
LONGER = ("1D", "7D", "28D")


def network_daily(observed: xr.DataArray, low: xr.DataArray, median: xr.DataArray,
                  high: xr.DataArray, step: np.timedelta64 | None = None) -> pd.DataFrame:
    """Columns time, observed, median, low, high: means over all nodes, a row per day without holes; a row per
    ``step``, if given, where all is shorter than two weeks.

    All arguments have dims (time, node) on the same clock. A day's means run over the cells where both an
    observation and a forecast exist, so that a silent station cannot make the two lines differ; a day that
    has only one of them shows that one alone. low and high are the means of the nodes' own limits: an
    interval for a typical node, not for the network mean. More than 4,500 days become 7-day, then 28-day
    means. O(values).

    >>> clock = pd.date_range("2020-01-01", periods=48, freq="h")
    >>> one = xr.DataArray(np.ones((48, 2)), {"time": clock, "node": ["a", "b"]}, ("time", "node"))
    >>> network_daily(one, one - 1, one, one + 1).to_numpy()[:, 1:].astype(float).tolist()
    [[1.0, 1.0, 0.0, 2.0], [1.0, 1.0, 0.0, 2.0]]
    """
    seen, low, median, high = (part.transpose("time", "node") for part in (observed, low, median, high))
    parts = {"observed": seen, "low": low, "median": median, "high": high}
    columns = {name: part.to_numpy() for name, part in parts.items()}
    both = np.isfinite(columns["observed"]) & np.isfinite(columns["median"])
    clock = pd.DatetimeIndex(seen["time"].to_numpy())
    length = _length(clock, step)
    means = {name: _means(clock, np.where(both, values, np.nan), length) for name, values in columns.items()}
    alone = {name: _means(clock, values, length) for name, values in columns.items()}
    empty = means["observed"].isna()
    table = pd.DataFrame({name: means[name].where(~empty, alone[name]) for name in columns})
    table.insert(0, "time", table.index)
    return table.reset_index(drop=True)[list(VALUE_COLUMNS)]


def _length(clock: pd.DatetimeIndex, step: np.timedelta64 | None) -> str | pd.Timedelta:
    """The shortest length of a row that keeps the table under ``MOST_ROWS``."""
    span = clock[-1] - clock[0] if len(clock) else pd.Timedelta(0)
    if step is not None and span < SHORT and span / step < MOST_ROWS:
        return pd.Timedelta(step)
    return next((length for length in LONGER if span / pd.Timedelta(length) < MOST_ROWS), LONGER[-1])


def _means(clock: pd.DatetimeIndex, values: np.ndarray, length: str | pd.Timedelta) -> pd.Series:
    finite = np.isfinite(values)
    totals = np.where(finite, values, 0.0).sum(axis=1)
    sums = pd.DataFrame({"total": totals, "count": finite.sum(axis=1)}, clock).resample(length).sum()
    return sums["total"] / sums["count"].where(sums["count"] > 0)
