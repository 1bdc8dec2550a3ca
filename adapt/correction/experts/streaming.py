"""The experts of one stream, fed from its panel: rows on its clock, gaps left open, and when a young stream outgrows
them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from terracast.adapt.correction.experts.expert_config import ExpertConfig
from terracast.adapt.correction.experts.experts import Experts, ExpertsError
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

    >>> stamps = np.datetime64("2020-01-01", "ns") + np.arange(24 * 30) * np.timedelta64(1, "h")
    >>> known = xr.DataArray(np.zeros((24 * 30, 2)), dims=("time", "node"), coords={"time": stamps})
    >>> stream = StreamingExperts.begin(known, Request("x", stamps[-3], 6, np.timedelta64(1, "h")))
    >>> stream.catch_up(known, stamps[-1], None), stream.has_outgrown
    (0, False)
    """

    def __init__(self, experts: Experts, step: np.timedelta64, outgrown_at: int | None = None) -> None:
        self.experts, self.step, self.outgrown_at = experts, step.astype("timedelta64[ns]"), outgrown_at

    @classmethod
    def begin(cls, known: xr.DataArray, request: Request, beside: xr.DataArray | None = None,
              rows: int | None = None) -> StreamingExperts:
        """Experts that have learned all of ``known`` (time, node) and ``beside`` (time, variable, node) up to the issue
        time, chosen for a past of so many ``rows`` (default: what is known)."""
        values, first = rows_on_clock(known, request.step, request.issue_time)
        season, rows = SeasonalNaive().period(request.step), rows or len(values)
        config = ExpertConfig.usual(season, request.horizon, rows, values.shape[1], MOST_LATE,
                                    squash=_skewness(values) > SKEWED, covariates=beside is not None,
                                    trees=nanoseconds(request.step))
        others = None if beside is None else _covariate_rows(beside, request.step, first, len(values))
        experts = Experts.begin(values, first, request.horizon, config, others)
        return cls(experts, request.step, first + min(2 * rows, FULL * season) if rows < FULL * season else None)

    @property
    def has_outgrown(self) -> bool:
        """Whether twice the rows that the experts began with have come, and more would change what they read."""
        return self.outgrown_at is not None and self.experts.newest >= self.outgrown_at

    @property
    def reads(self) -> tuple[tuple[str, ...], int]:
        """The names of the experts, and how many columns of covariates they read."""
        covariates = self.experts.covariates
        return self.experts.names, 0 if covariates is None else covariates.columns

    def catch_up(self, known: xr.DataArray, issue_time: np.datetime64, beside: xr.DataArray | None) -> int:
        """Feed the rows that have come since; returns how many rows before the issue the newest fed one lies.

        ``known`` (time, node) must reach back to the last issue; older rows tell what came late. ``beside`` (time,
        variable, node): the rows of the covariates since the last issue, where the experts began with some.
        """
        issue, newest = stamp(issue_time) // nanoseconds(self.step), self.experts.newest
        values, first = rows_on_clock(known, self.step, issue_time)
        if issue < newest:
            raise ExpertsError(f"issue time {issue_time} lies before the newest row learned", where="experts",
                               expected="rising issue times", remedy="restore an older state")
        reported = _newest_reported(values)
        last = max(newest, issue - self.experts.config.slack, newest if reported is None else first + reported)
        self.experts.correct(values[:max(0, newest + 1 - first)])
        silent = np.full(values.shape[1], np.nan)
        others = None if beside is None else _covariate_rows(beside, self.step, newest + 1, last - newest)
        for number, row in enumerate(range(newest + 1, last + 1)):
            self.experts.observe(values[row - first] if 0 <= row - first < len(values) else silent,
                                 None if others is None else others[number])
        return issue - last


def rows_on_clock(known: xr.DataArray, step: np.timedelta64, until: np.datetime64) -> tuple[np.ndarray, int]:
    """Rows (row, node) up to ``until`` on the step's clock, NaN in holes, and the first row's number on it."""
    numbers = known["time"].values.astype("datetime64[ns]").astype(np.int64) // nanoseconds(step)
    past = numbers <= stamp(until) // nanoseconds(step)
    values = known.transpose("time", "node").values[past].astype("float64")
    if not len(values):
        return np.full((0, known.sizes["node"]), np.nan), stamp(until) // nanoseconds(step) + 1
    numbers = numbers[past]
    rows = np.full((int(numbers[-1] - numbers[0]) + 1, values.shape[1]), np.nan)
    rows[numbers - numbers[0]] = np.where(np.isfinite(values), values, np.nan)
    return rows, int(numbers[0])


def stamp(time: np.datetime64) -> int:
    """Nanoseconds since 1970."""
    return int(time.astype("datetime64[ns]").astype(np.int64))


def _covariate_rows(beside: xr.DataArray, step: np.timedelta64, first: int, rows: int) -> np.ndarray:
    """The covariates (row, variable, node) of so many rows of the clock from ``first`` on, NaN in holes."""
    numbers = beside["time"].values.astype("datetime64[ns]").astype(np.int64) // nanoseconds(step) - first
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
