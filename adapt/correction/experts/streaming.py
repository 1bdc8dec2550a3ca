"""The experts of one stream, fed from its panel: rows on its clock, gaps left open, and when a young stream outgrows
them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from terracast.adapt.correction.experts.expert_config import ExpertConfig
from terracast.adapt.correction.experts.experts import Experts, ExpertsError
from terracast.stats.calendar import HOUR
from terracast.stats.summer_time import summer_time
from terracast.stfm.forecaster import Request
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.streams.instant import nanoseconds
from terracast.streams.stateful import Stateful

FULL = 4 * 14  # seasons from which on the experts read as far back as they ever do
MOST_LATE = 6  # rows before the issue that may be missing before gaps are filled instead
SKEWED = 1.0  # skewness of a network's values above which experts learn on a squashed scale


class StreamingExperts(Stateful):
    """``Experts`` and the clock of their stream: panels go in, rows are counted here.

    ``outgrown_at``: the row at which experts of a short past should begin anew; None where they read all they ever do.
    ``zone``: whose clocks count the rows where the stream follows them (``Request.clock_zone``): a row is an hour that
    clocks show. The hour that comes twice in autumn counts once, the one that is left out in spring is a gap.

    >>> stamps = np.datetime64("2020-01-01", "ns") + np.arange(24 * 30) * np.timedelta64(1, "h")
    >>> known = xr.DataArray(np.zeros((24 * 30, 2)), dims=("time", "node"), coords={"time": stamps})
    >>> stream = StreamingExperts.begin(known, Request("x", stamps[-3], 6, np.timedelta64(1, "h")))
    >>> stream.catch_up(known, stamps[-1], None)
    >>> stream.rows_ahead(Request("x", stamps[-1], 3, np.timedelta64(1, "h"))).tolist(), stream.has_outgrown
    ([1, 2, 3], False)
    """

    def __init__(self, experts: Experts, step: np.timedelta64, outgrown_at: int | None = None,
                 zone: str | None = None) -> None:
        self.experts, self.step, self.outgrown_at = experts, step.astype("timedelta64[ns]"), outgrown_at
        self.zone = zone

    @classmethod
    def begin(cls, known: xr.DataArray, request: Request, beside: xr.DataArray | None = None,
              rows: int | None = None) -> StreamingExperts:
        """Experts that have learned all of ``known`` (time, node) and ``beside`` (time, variable, node) up to the issue
        time, chosen for a past of so many ``rows`` (default: what is known)."""
        zone = request.clock_zone
        values, first = rows_on_clock(known, request.step, request.issue_time, zone)
        season, rows = SeasonalNaive().period(request.step), rows or len(values)
        config = ExpertConfig.usual(season, request.horizon, rows, values.shape[1], MOST_LATE,
                                    squash=_skewness(values) > SKEWED, covariates=beside is not None,
                                    trees=nanoseconds(request.step))
        others = None if beside is None else _covariate_rows(beside, request.step, first, len(values), zone)
        experts = Experts.begin(values, first, request.horizon, config, others)
        outgrown_at = first + min(2 * rows, FULL * season) if rows < FULL * season else None
        return cls(experts, request.step, outgrown_at, zone)

    @property
    def has_outgrown(self) -> bool:
        """Whether twice the rows that the experts began with have come, and more would change what they read."""
        return self.outgrown_at is not None and self.experts.newest >= self.outgrown_at

    @property
    def reads(self) -> tuple[tuple[str, ...], int]:
        """The names of the experts, and how many columns of covariates they read."""
        covariates = self.experts.covariates
        return self.experts.names, 0 if covariates is None else covariates.columns

    def rows_ahead(self, request: Request) -> np.ndarray:
        """How many rows after the newest one that was fed each lead (lead,) of a request lies."""
        ahead = _rows(request.valid_times, self.step, self.zone) - self.experts.newest
        return np.asarray(np.clip(ahead, 1, self.experts.ridges.leads))

    def catch_up(self, known: xr.DataArray, issue_time: np.datetime64, beside: xr.DataArray | None) -> None:
        """Feed the rows that have come since.

        ``known`` (time, node) must reach back to the last issue; older rows tell what came late. ``beside`` (time,
        variable, node): the rows of the covariates since the last issue, where the experts began with some.
        """
        issue, newest = int(_rows(np.array([issue_time]), self.step, self.zone)[0]), self.experts.newest
        values, first = rows_on_clock(known, self.step, issue_time, self.zone)
        twice = 0 if self.zone is None else HOUR // nanoseconds(self.step)  # clocks go back
        if issue + twice < newest:
            raise ExpertsError(f"issue time {issue_time} lies before the newest row learned", where="experts",
                               expected="rising issue times", remedy="restore an older state")
        reported = _newest_reported(values)
        last = max(newest, issue - self.experts.config.slack, newest if reported is None else first + reported)
        self.experts.correct(values[:max(0, newest + 1 - first)])
        silent = np.full(values.shape[1], np.nan)
        others = None if beside is None else _covariate_rows(
            beside, self.step, newest + 1, last - newest, self.zone)
        for number, row in enumerate(range(newest + 1, last + 1)):
            self.experts.observe(values[row - first] if 0 <= row - first < len(values) else silent,
                                 None if others is None else others[number])


def rows_on_clock(known: xr.DataArray, step: np.timedelta64, until: np.datetime64,
                  zone: str | None = None) -> tuple[np.ndarray, int]:
    """Rows (row, node) up to ``until`` on the step's clock, which clocks of a ``zone`` may show, NaN in holes, and the
    first row's number on it. Of two values in one row the first counts."""
    times = known["time"].values.astype("datetime64[ns]")
    past = times.astype(np.int64) // nanoseconds(step) <= stamp(until) // nanoseconds(step)
    values = known.transpose("time", "node").values[past].astype("float64")
    if not len(values):
        return np.full((0, known.sizes["node"]), np.nan), int(_rows(np.array([until]), step, zone)[0]) + 1
    numbers = _rows(times[past], step, zone)
    first = int(numbers.min())
    rows = np.full((int(numbers.max()) - first + 1, values.shape[1]), np.nan)
    at, node = (one[::-1] for one in np.nonzero(np.isfinite(values)))  # of several, numpy keeps the last one set
    rows[numbers[at] - first, node] = values[at, node]
    return rows, first


def _rows(times: np.ndarray, step: np.timedelta64, zone: str | None) -> np.ndarray:
    """Numbers of the rows (time,) in which instants lie, counted from 1970."""
    stamps = times.astype("datetime64[ns]")
    if zone is not None:
        stamps = stamps + summer_time(stamps, zone)
    return np.asarray(stamps.astype(np.int64) // nanoseconds(step))


def stamp(time: np.datetime64) -> int:
    """Nanoseconds since 1970."""
    return int(time.astype("datetime64[ns]").astype(np.int64))


def _covariate_rows(beside: xr.DataArray, step: np.timedelta64, first: int, rows: int, zone: str | None) -> np.ndarray:
    """The covariates (row, variable, node) of so many rows of the clock from ``first`` on, NaN in holes."""
    numbers = _rows(beside["time"].values, step, zone) - first
    found = np.full((rows, beside.sizes["variable"], beside.sizes["node"]), np.nan)
    within = (numbers >= 0) & (numbers < rows)
    found[numbers[within]] = beside.transpose("time", "variable", "node").values[within]
    return found


def _newest_reported(values: np.ndarray) -> int | None:
    """The newest row of which half of the nodes reported, or the most that ever did; None where none did."""
    seen = np.isfinite(values).mean(axis=1)
    reported = np.flatnonzero((seen >= 0.5 * min(1.0, 2 * float(seen.max(initial=0.0)))) & (seen > 0))
    return int(reported[-1]) if len(reported) else None


def _skewness(values: np.ndarray) -> float:
    """Median over nodes of the skewness of what is known; 0 where nothing moves."""
    values = values[:, np.isfinite(values).any(axis=0)]
    if not values.size:
        return 0.0
    centred = values - np.nanmean(values, axis=0)
    with np.errstate(all="ignore"):
        skew = np.nanmean(centred**3, axis=0) / np.nanmean(centred**2, axis=0) ** 1.5
    return float(np.median(skew[np.isfinite(skew)])) if np.isfinite(skew).any() else 0.0
