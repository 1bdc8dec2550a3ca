"""Protocol "online": the shipped base on any panel, and beside it what is served: the mixture, its widths calibrated.

The base is zero-shot and reads the target alone; the mixture begins with experts that have learned the first part, of
which two also read the other variables that the file holds of the same nodes, as known at the issue. Values are
standardised by the first part, node by node. The base sees the row of the issue time, as the mixture does; labels are
learned at the first issue after their row. Issues at which nothing at all is known for as long as the base looks back
are left out.
"""

from __future__ import annotations

import math
import time as stopwatch
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.adapt.correction.experts.covariates import covariates_of
from terracast.adapt.correction.mixture import Mixture
from terracast.adapt.correction.quantile_tracking import QuantileTracker
from terracast.adapt.evaluation.scores import level
from terracast.benchmarks.adapt.base import base_forecasts_at
from terracast.benchmarks.adapt.cell import AdaptCell, BenchError, CellTally
from terracast.stfm.base.window import MEMORY
from terracast.stfm.forecaster import Request
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.streams.panel import step_of
from terracast.streams.readers import read

FIRST = 0.25  # of the rows: what the base is fitted on
FEWEST = 48  # values of a node in the first part; nodes with fewer are left out
FEWEST_ROWS = 60

Progress = Callable[[int], None]


@dataclass(frozen=True)
class OnlineBench:
    """One panel of standardised values with a single variable ``x``, and the variables beside it (time, variable,
    node) if it has company, which the base does not read; ``every``: rows between two issues."""

    panel: xr.Dataset
    beside: xr.DataArray | None
    fitted: int
    horizon: int
    every: int
    left_out: int

    @classmethod
    def of(cls, panel: xr.Dataset, target: str, horizon: int, every: int | None = None) -> OnlineBench:
        """Cut and standardise a panel; on average a month has 60 issues or more by default."""
        step = step_of(panel)
        clock = pd.date_range(panel["time"].values[0], panel["time"].values[-1], freq=pd.Timedelta(step))
        values = panel[target].transpose("time", "node").reindex(time=clock).values.astype("float64")
        fitted = int(FIRST * len(values))
        if fitted < FEWEST_ROWS:
            raise BenchError(f"{len(values)} rows", where=str(panel.attrs.get("domain", target)),
                             expected=f"{int(FEWEST_ROWS / FIRST)} or more", remedy="give a longer file")
        first = values[:fitted]
        there = np.isfinite(first).sum(axis=0) >= min(FEWEST, fitted // 2)
        there &= np.nan_to_num(np.nanstd(np.where(there, first, 0.0), axis=0)) > 0
        centre, width = np.nanmean(first[:, there], axis=0), np.nanstd(first[:, there], axis=0)
        whole = xr.Dataset({"x": (("time", "node"), (values[:, there] - centre) / width, {"units": "1"})},
                           {"time": clock, "node": panel["node"].values[there]}, {**panel.attrs, "kind": "sensor"})
        places = {name: ("node", panel[name].values[there]) for name in ("lat", "lon")
                  if name in panel.coords and panel[name].dims == ("node",)}
        whole = whole.assign_coords(places)
        beside = covariates_of(panel.isel(node=np.flatnonzero(there)), target)
        beside = None if beside is None else beside.reindex(time=clock)
        half_days = round(pd.Timedelta("12h") / pd.Timedelta(step))
        usual = max(1, min(half_days or horizon, horizon // 2))
        return cls(whole, beside, fitted, horizon, every or usual, int((~there).sum()))

    def rows(self, progress: Progress = lambda done: None, scratch: Path | None = None) -> list[dict[str, Any]]:
        """Rows of the mixture, the frozen base, and the naives."""
        step, values = step_of(self.panel), self.panel["x"].values
        times = self.panel["time"].values
        request = Request("x", times[self.fitted - 1], self.horizon, step)
        issues = np.arange(self.fitted - 1, len(values) - self.horizon, self.every)
        issues = issues[[np.isfinite(values[max(0, row + 1 - MEMORY):row + 1]).any() for row in issues]]
        told = base_forecasts_at(self.panel, request, issues, scratch)
        said = told.quantiles.astype("float64")
        scored = AdaptCell(values, self.fitted, self.fitted, SeasonalNaive().period(step), self.horizon, "online",
                            month=max(2, round(pd.Timedelta("30D") / pd.Timedelta(step))))
        ours, frozen, bare = (CellTally(name, scored) for name in ("terracast", "frozen", "mixture-uncalibrated"))
        frozen.seconds, frozen.steps = 1e-3 * told.ms_per_step, 1
        naives = {name: CellTally(name, scored) for name in ("last-value", "seasonal-naive")}
        filled, period = _filled(values), scored.season
        back = (np.arange(self.horizon) // period + 1) * period - np.arange(1, self.horizon + 1)
        mixture = Mixture.begin(self.panel["x"].isel(time=slice(self.fitted)), request, per_issue=self.every,
                                beside=self._covariates(0, self.fitted))
        interval = QuantileTracker(values.shape[1], self.horizon, request.quantiles)
        opened: dict[int, np.ndarray] = {}
        for number, row in enumerate(map(int, issues)):
            begun = stopwatch.process_time()
            before = int(issues[number - 1]) if number else row - self.every
            for issue, labels in self._matured(issues[:number], row, before):
                if issue not in opened:
                    continue
                mixture.learn(times[issue], labels)
                interval.learn(opened[issue], labels)
                if issue + self.horizon <= row:
                    mixture.close(times[issue])
                    opened.pop(issue)
            known = self.panel["x"].isel(time=slice(max(0, before - 1), row + 1))
            opened[row] = mixture.apply(known, request.at(times[row]), said[number],
                                        self._covariates(max(0, before - 1), row + 1))
            served = interval.apply(opened[row])
            ours.seconds += stopwatch.process_time() - begun
            ours.steps += 1
            for tally, told_quantiles in ((ours, served), (frozen, said[number]), (bare, opened[row])):
                tally.score(row + 1, level(told_quantiles, request.quantiles, 0.5)[None], told_quantiles)
            naives["last-value"].score(row + 1, np.repeat(filled[row][None], self.horizon, axis=0)[None])
            naives["seasonal-naive"].score(row + 1, filled[np.maximum(row - back, 0)][None])
            progress(1)
        return [one.row(frozen) for one in (ours, bare, frozen, *naives.values())]

    def _covariates(self, first: int, last: int) -> xr.DataArray | None:
        return None if self.beside is None else self.beside.isel(time=slice(first, last))

    def _matured(self, past: np.ndarray, row: int, before: int) -> Iterator[tuple[int, np.ndarray]]:
        """Issues and the labels (lead, node) of theirs that came after the row ``before``, NaN elsewhere."""
        values = self.panel["x"].values
        for issue in map(int, past[max(0, len(past) - math.ceil(self.horizon / self.every)):]):
            due = issue + 1 + np.arange(self.horizon)
            fresh = (due > before) & (due <= row)
            yield issue, np.where(fresh[:, None], values[np.minimum(due, row)], np.nan)


def _filled(values: np.ndarray) -> np.ndarray:
    """Gaps take the last value before them, or 0, the mean of the first part."""
    rows = np.maximum.accumulate(np.where(np.isfinite(values), np.arange(len(values))[:, None], 0), axis=0)
    return np.nan_to_num(np.take_along_axis(values, rows, axis=0))


def bench_online(path: Path, target: str | None, horizon: int, every: int | None = None,
                 progress: Progress = lambda done: None, scratch: Path | None = None) -> list[dict[str, Any]]:
    """Rows of one file's variable (default: its first)."""
    panel = read(path, domain=path.stem)
    return OnlineBench.of(panel, target or str(next(iter(panel.data_vars))), horizon, every).rows(progress, scratch)
