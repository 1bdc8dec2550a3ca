"""Seasonal naive, honestly probabilistic: the last known value a whole number of seasons ago, and how far such
values were off lately. The plain rule that every other forecaster has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import stdtrit  # scipy.stats takes half a second to import

from terracast.stfm.forecaster import Capabilities, ForecastError, Request, as_forecast
from terracast.stfm.regular_grid import on_clock, slots_from

SEASONS = 28  # seasons of history the widths are learnt from
FEWEST = 2  # values that tell a level and a width
ENOUGH = 10  # past errors from which an empirical quantile is taken


@dataclass(frozen=True)
class SeasonalNaive:
    """Median = the last known value a whole number of seasons before the valid time.

    The other quantiles add the node's own recent errors of the same rule (that many seasons back), centred; a node
    with few errors borrows the network's, and where those are few too a Student-t of their size stands in. A node
    without such a value answers with its median and its values' spread; one without any history with the network's.
    A constant series gets zero width. Nothing after the issue time is read. O(nodes × 28 seasons) a forecast.

    Attributes
    ----------
    season : Timedelta, optional
        None chooses a day for steps under a day, a week for steps under a week, else a year.

    Examples
    --------
    >>> wave = np.tile([1.0, 5.0, 3.0], 9)[:, None]
    >>> panel = xr.Dataset({"x": (("time", "node"), wave)},
    ...                    {"time": pd.date_range("2020-01-01", periods=27, freq="8h"), "node": ["a"]})
    >>> request = Request("x", np.datetime64("2020-01-08"), 4, np.timedelta64(8, "h"), (0.1, 0.5, 0.9))
    >>> SeasonalNaive().forecast(panel, request).x.values[0, :, 0, 1].tolist()
    [5.0, 3.0, 1.0, 5.0]
    >>> poisoned = panel.copy(deep=True)
    >>> poisoned["x"][22:] = 1e9  # everything after the issue time
    >>> SeasonalNaive().forecast(poisoned, request).identical(SeasonalNaive().forecast(panel, request))
    True
    """

    season: pd.Timedelta | None = None
    name: ClassVar[str] = "seasonal-naive"

    @property
    def capabilities(self) -> Capabilities:
        """History: 28 seasons of a day of hours; with longer or finer seasons give more, with less it still works."""
        return Capabilities(history=SEASONS * 24)

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        """Forecast every node; ``ForecastError`` where no past error tells any width."""
        if request.target not in context.data_vars:
            raise ForecastError(f"no variable {request.target!r}", where="context given to seasonal naive",
                                expected="one of " + ", ".join(map(str, context.data_vars)),
                                remedy="name a variable of the panel")
        period = self.period(request.step)
        _check_quantiles(request)
        known = _known(context, request, period)
        widths: dict[int, np.ndarray] = {}
        values = np.full((request.horizon, known.shape[1], len(request.quantiles)), np.nan)
        last = len(known) - 1  # the row of the issue time
        for lead in range(1, request.horizon + 1):
            least = -(-lead // period)
            for back in range(least, (last + lead) // period + 1):
                row = known[last + lead - back * period]
                due = np.isnan(values[lead - 1, :, 0]) & np.isfinite(row)
                if due.any():
                    if back not in widths:
                        widths[back] = _widths(known, back * period, period, request)
                    values[lead - 1, due] = row[due, None] + widths[back][due]
                if np.isfinite(values[lead - 1, :, 0]).all():
                    break
        values = _with_fallback(values, known, request)
        return as_forecast(np.maximum.accumulate(values, axis=2), context, request)  # rounding must not cross

    def period(self, step: np.timedelta64) -> int:
        """The season in steps.

        >>> SeasonalNaive().period(np.timedelta64(1, "h")), SeasonalNaive().period(np.timedelta64(1, "D"))
        (24, 7)
        """
        length = pd.Timedelta(step)
        day, week = pd.Timedelta("1D"), pd.Timedelta("7D")
        season = self.season or (day if length < day else week if length < week else pd.Timedelta("365.25D"))
        steps: int = round(season / length)
        return max(1, steps)

    def config(self) -> dict[str, object]:
        """JSON-ready: the season."""
        return {"forecaster": self.name, "season": None if self.season is None else str(self.season)}

    def weights(self) -> Mapping[str, np.ndarray]:
        """None: a rule has nothing to learn."""
        return {}

    @classmethod
    def build(cls, config: Mapping[str, object], weights: Mapping[str, np.ndarray]) -> SeasonalNaive:
        """Rebuild what ``config`` describes."""
        season = config["season"]
        return cls(None if season is None else pd.Timedelta(str(season)))


def _check_quantiles(request: Request) -> None:
    levels = np.array(request.quantiles)
    if not len(levels) or levels.min() <= 0 or levels.max() >= 1 or (np.diff(levels) <= 0).any():
        raise ForecastError(f"quantiles are {request.quantiles}", where=request.target,
                            expected="rising numbers between 0 and 1", remedy="sort them and drop doubles")


def _known(context: xr.Dataset, request: Request, period: int) -> np.ndarray:
    """Rows (time, node) up to the issue time, which is the last row; NaN where not known.

    As many as the widths want, more where the context holds more (an older season may be the last one known), all
    where next to nothing is known of those; at least one.
    """
    step = request.step.astype("timedelta64[ns]")
    slots = slots_from(context["time"].values, request.issue_time.astype("datetime64[ns]"), step)
    oldest = int(slots.min()) if len(slots) else 0
    for first in (max(oldest, -2 * SEASONS * period), oldest):
        length = max(1, 1 - first)
        rows = on_clock(context, request.target, slots + length - 1, length)
        if np.isfinite(rows).sum() >= FEWEST:
            break
    return np.where(np.isfinite(rows), rows, np.nan)


def _widths(known: np.ndarray, lag: int, period: int, request: Request) -> np.ndarray:
    """Offsets from the median (node, quantile): the centred quantiles of past errors at ``lag`` steps."""
    errors = known[lag:] - known[:-lag] if lag < len(known) else known[:0]
    return _offsets(errors[-SEASONS * period:], request)


def _offsets(errors: np.ndarray, request: Request) -> np.ndarray:
    """Centred quantiles of ``errors`` (time, node) per node, from the network where a node has few; NaN if none."""
    levels = np.array(request.quantiles)
    counts = np.isfinite(errors).sum(axis=0)
    offsets = np.full((errors.shape[1], len(levels)), np.nan)
    own = counts >= ENOUGH
    if own.any():
        found = _quantiles(errors[:, own], np.array([*levels, 0.5]))
        offsets[own] = found[:, :-1] - found[:, -1:]
    if not own.all():
        pooled = errors[np.isfinite(errors)]
        if len(pooled) >= ENOUGH:
            offsets[~own] = np.quantile(pooled, levels) - np.median(pooled)
        elif len(pooled):
            size = np.sqrt(np.mean(pooled**2))
            offsets[~own] = size * stdtrit(len(pooled), levels)
    return offsets


def _quantiles(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """``np.nanquantile(values, levels, axis=0).T`` without its loop over columns: (node, level)."""
    ordered = np.sort(values, axis=0)  # NaN last
    place = (np.isfinite(values).sum(axis=0) - 1)[:, None] * levels
    low = np.floor(place).astype(int)
    below = np.take_along_axis(ordered.T, low, axis=1)
    above = np.take_along_axis(ordered.T, np.ceil(place).astype(int), axis=1)
    between: np.ndarray = below + (above - below) * (place - low)
    return between


def _with_fallback(values: np.ndarray, known: np.ndarray, request: Request) -> np.ndarray:
    """Fill what the rule left: the node's median and spread, else the network's; refuse where nothing tells a width."""
    missing = ~np.isfinite(values).all(axis=2)  # (lead, node)
    if not missing.any():
        return values
    pooled = known[np.isfinite(known)]
    if len(pooled) < FEWEST:
        raise ForecastError(f"{len(pooled)} known values in the context", where=request.target,
                            expected="at least two up to the issue time", remedy="wait for more history")
    everywhere = _offsets((pooled - np.median(pooled))[:, None], request)[0]
    counts = np.isfinite(known).sum(axis=0)
    for node in np.flatnonzero(missing.any(axis=0)):
        own = known[np.isfinite(known[:, node]), node]
        enough = counts[node] >= ENOUGH
        middle = np.median(own) if len(own) else np.median(pooled)
        offsets = _offsets((own - middle)[:, None], request)[0] if enough else everywhere
        values[missing[:, node], node] = middle + offsets
    return values
