"""One stream as it would have been seen live: history, issue times, labels, and what a base said at each issue.

A value is known from its own stamp on. What a base says depends on the past alone, so it is asked once for each issue
and every policy goes on from the same answers.
"""

from __future__ import annotations

import time as stopwatch
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from terracast.adapt.correction.experts.covariates import covariates_of
from terracast.benchmarks.base.files import panel_of
from terracast.benchmarks.policies.streams import Stream
from terracast.stfm.base.window import MEMORY
from terracast.stfm.bases import fit_base
from terracast.stfm.forecaster import Capabilities, Request, as_forecast
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.streams.errors import TerracastError

HINDCASTS = 480  # issues before the start that corrections begin with
REPORTS = 0.5  # share of the scored span that a node must be known


class PolicyBenchError(TerracastError):
    """A stream that the bench cannot be run on."""


@dataclass(frozen=True)
class Recited:
    """A base that says again what it said: quantiles (issue, lead, node, quantile) at ``issue_times``."""

    issue_times: np.ndarray
    quantiles: np.ndarray
    name: str
    seconds: float

    @property
    def capabilities(self) -> Capabilities:
        """It reads nothing."""
        return Capabilities(history=1)

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        """What was said at the request's issue time."""
        number = int(np.searchsorted(self.issue_times, request.issue_time))
        return as_forecast(self.quantiles[number], context, request)


@dataclass(frozen=True)
class LiveStream:
    """``panel`` (time, node) has the target and what is measured beside it, on an even clock; ``start`` and ``stop``
    are its rows that bound what is scored."""

    stream: Stream
    panel: xr.Dataset
    start: int
    stop: int

    @classmethod
    def of(cls, stream: Stream, path: Path) -> LiveStream:
        """Cut the stream out of its file. Raises ``PolicyBenchError`` where the span holds nothing to score."""
        whole = panel_of(path)
        step = pd.Timedelta(whole.attrs["step"])
        times = whole["time"].values
        first, last = (int(np.searchsorted(times, np.datetime64(at, "ns"))) for at in (stream.start, stream.stop))
        begin = max(0, first - int(pd.Timedelta(stream.history, "D") / step))
        known = whole[stream.target].transpose("time", "node").isel(time=slice(first, last)).notnull().mean("time")
        nodes = np.flatnonzero(known.values >= REPORTS)[:stream.nodes]
        if not len(nodes) or first - begin < stream.horizon + 2 or last - first <= stream.horizon:
            raise PolicyBenchError(f"{len(nodes)} nodes that report from {stream.start} to {stream.stop}",
                                   where=f"{stream.data}: {stream.target}", expected="a node and a past",
                                   remedy="give the file that the table of streams means")
        return cls(stream, whole.isel(time=slice(begin, last), node=nodes), first - begin, last - begin)

    @cached_property
    def values(self) -> np.ndarray:
        """The target (time, node), NaN where not observed."""
        return self.panel[self.stream.target].transpose("time", "node").values.astype("float64")

    @cached_property
    def target(self) -> xr.DataArray:
        """The target (time, node) as an array with its coordinates and attributes."""
        held = self.panel[self.stream.target].transpose("time", "node")
        return held.copy(data=self.values).astype("float64")

    @cached_property
    def covariates(self) -> xr.DataArray | None:
        """The target's company (time, variable, node), chosen by what is known at the start."""
        before = covariates_of(self.panel.isel(time=slice(0, self.start)), self.stream.target)
        if before is None:
            return None
        names = [str(name) for name in before["variable"].values]
        return self.panel[names].to_dataarray("variable").transpose("time", "variable", "node").astype("float64")

    @property
    def step(self) -> np.timedelta64:
        """Of the clock."""
        return pd.Timedelta(self.panel.attrs["step"]).to_timedelta64().astype("timedelta64[ns]")

    @cached_property
    def issues(self) -> np.ndarray:
        """Rows at which forecasts are issued and scored."""
        rows = np.arange(self.start, self.stop - self.stream.horizon, self.stream.every)
        return rows[[np.isfinite(self.values[max(0, row + 1 - MEMORY):row + 1]).any() for row in rows]]

    @cached_property
    def hindcasts(self) -> np.ndarray:
        """Rows before the start from which forecasts are made too, so that corrections and widths begin learned."""
        every, horizon = self.stream.every, self.stream.horizon
        least = max(2 * SeasonalNaive().period(self.step), 2 * horizon)
        rows = self.start - every * np.arange(1, HINDCASTS + 1)[::-1]
        rows = rows[rows >= least]
        return rows[[np.isfinite(self.values[max(0, row + 1 - MEMORY):row + 1]).any() for row in rows]]

    def request(self) -> Request:
        """What is asked, at the start."""
        return Request(self.stream.target, self.panel["time"].values[self.start], self.stream.horizon, self.step)

    @cached_property
    def labels(self) -> np.ndarray:
        """What came (issue, lead, node), NaN where not observed."""
        return self.labels_of(self.issues)

    def labels_of(self, rows: np.ndarray) -> np.ndarray:
        """What came (issue, lead, node) after the issue ``rows``; NaN where not observed, and beyond the span."""
        due = rows[:, None] + np.arange(1, self.stream.horizon + 1)
        inside = (due < len(self.values))[..., None]
        return np.where(inside, self.values[np.minimum(due, len(self.values) - 1)], np.nan)

    def forecasts_of(self, base: str) -> Recited:
        """What the base of this name says at all hindcasts and issues; one that is fitted reads what lies before the
        first of the issues, and says nothing before it."""
        request, target = self.request(), self.target.to_dataset(name=self.stream.target)
        target.attrs |= {"kind": "sensor", "domain": "stream", "step": self.panel.attrs["step"]}
        begun = stopwatch.process_time()
        model = fit_base(base, target.isel(time=slice(0, self.start + 1)), request, seed=0)
        rows = np.concatenate([self.hindcasts, self.issues]) if base == "shipped" else self.issues
        times = target["time"].values[rows]
        many = getattr(model, "forecast_many", None)
        if many is not None:
            first = max(0, int(rows[0]) - MEMORY - 24)
            answer = many(target.isel(time=slice(first, None)), request, times)
            said = answer[request.target].values
        else:
            said = np.concatenate([model.forecast(target.isel(time=slice(max(0, row + 1 - MEMORY), row + 1)),
                                                  request.at(time))[request.target].values
                                   for row, time in zip(rows, times, strict=True)])
        return Recited(times, said.astype("float64"), base, stopwatch.process_time() - begun)
