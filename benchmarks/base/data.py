"""Cases of the base bench: one variable of one dataset, with its training part, issue times, horizon and season."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from terracast.benchmarks.base.files import panel_of
from terracast.stfm.forecaster import QUANTILES, Request
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.streams.errors import TerracastError

TRAINED, TESTED = 0.65, 0.2  # first and last share of the rows; what lies between belongs to neither
NODES, ISSUES = 24, 60  # nodes and issue times of a case, at most
WINDOWS = 900  # issue times x nodes of a case, at most, but no fewer than 24 issue times
HISTORY = 1536  # rows up to an issue time that a zero-shot forecaster is given
GOLDEN = 0.6180339887498949
# horizon by step: up to this step, so many steps ahead
HORIZONS = ((pd.Timedelta("10min"), 12), (pd.Timedelta("3h"), 24), (pd.Timedelta("12h"), 28),
            (pd.Timedelta("3D"), 14), (pd.Timedelta("14D"), 4), (pd.Timedelta("60D"), 12))
LONGEST = 10


class CaseError(TerracastError):
    """Data that the bench cannot be run on."""


@dataclass(frozen=True)
class Case:
    """One variable of one dataset: ``panel`` has it alone, on an even clock.

    Rows before ``trained`` may be fitted on; ``issues`` are rows of the test part: the value at an issue time is
    known, the ``horizon`` rows after it are asked for.
    """

    data: str
    variable: str
    panel: xr.Dataset
    trained: int
    issues: np.ndarray
    horizon: int
    season: int

    @cached_property
    def values(self) -> np.ndarray:
        """Values (time, node), NaN where not observed."""
        return self.panel[self.variable].transpose("time", "node").values.astype("float64")

    @property
    def step(self) -> np.timedelta64:
        """The clock's step."""
        return pd.Timedelta(self.panel.attrs["step"]).to_timedelta64().astype("timedelta64[ns]")

    @property
    def issue_times(self) -> np.ndarray:
        """Stamps of the issue rows."""
        return self.panel["time"].values[self.issues]

    def request(self) -> Request:
        """What is asked, at the first issue time."""
        return Request(self.variable, self.issue_times[0], self.horizon, self.step, QUANTILES)

    def labels(self) -> np.ndarray:
        """What came: (issue, lead, node), NaN where not observed."""
        return self.values[self.issues[:, None] + np.arange(1, self.horizon + 1)]

    @cached_property
    def scale(self) -> np.ndarray:
        """Mean absolute error of the seasonal naive rule within the training part, by node (Hyndman & Koehler 2006)."""
        past = self.values[:self.trained]
        return np.nanmean(np.abs(past[self.season:] - past[:-self.season]), axis=0)

    def training(self) -> xr.Dataset:
        """The training part."""
        return self.panel.isel(time=slice(0, self.trained))


def horizon_of(step: pd.Timedelta) -> int:
    """How many steps ahead a bench looks: an hour of 5-minute steps, a day of hours, a week of 6-hour steps, …

    >>> horizon_of(pd.Timedelta("5min")), horizon_of(pd.Timedelta("1D")), horizon_of(pd.Timedelta("366D"))
    (12, 14, 10)
    """
    return next((horizon for longest, horizon in HORIZONS if step <= longest), LONGEST)


def spread_issues(first: int, last: int, most: int) -> np.ndarray:
    """Up to ``most`` rows from ``first`` to ``last``, spread evenly, but falling on all phases of any season.

    >>> spread_issues(0, 3, 10).tolist(), len(spread_issues(100, 4100, 40))
    ([0, 1, 2, 3], 40)
    """
    if last - first + 1 < 2 * most:  # too dense for the places between to differ
        return np.unique(np.linspace(first, last, min(most, last - first + 1)).round().astype(int))
    places = np.arange(most)
    return np.unique(first + np.floor((places + places * GOLDEN % 1) * (last - first + 1) / most).astype(int))


def cases_of(path: Path, *, nodes: int = NODES, issues: int = ISSUES,
             variables: int | None = None) -> tuple[list[Case], dict[str, str]]:
    """The cases of a file and, by variable, why others were left out; the first ``variables`` if given.

    Raises ``ReadError`` for a file that cannot be read.
    """
    panel = panel_of(path)
    cases: list[Case] = []
    left_out: dict[str, str] = {}
    for variable in map(str, panel.data_vars):
        if variables is not None and len(cases) == variables:
            break
        try:
            cases.append(case_of(panel, variable, path.stem, nodes=nodes, issues=issues))
        except CaseError as wrong:
            left_out[f"{path.stem}: {variable}"] = wrong.what
    return cases, left_out


def case_of(panel: xr.Dataset, variable: str, data: str, *, nodes: int = NODES, issues: int = ISSUES,
            horizon: int | None = None) -> Case:
    """One variable of a panel on an even clock, with at most ``nodes`` nodes spread over those that can be scored.

    A node is scored where its training part tells a seasonal error above zero and its test part has values. Raises
    ``CaseError`` for flags (fewer than three distinct values) and for too short a series.

    >>> wave = np.sin(np.arange(480) / 24 * 2 * np.pi)[:, None] + np.random.default_rng(0).normal(size=(480, 2))
    >>> stamps = pd.date_range("2020-01-01", periods=480, freq="h")
    >>> panel = xr.Dataset({"x": (("time", "node"), wave)}, {"time": stamps, "node": ["a", "b"]}, {"step": "1h"})
    >>> case = case_of(panel, "x", "waves", issues=5)
    >>> case.horizon, case.season, case.trained, case.labels().shape
    (24, 24, 312, (5, 24, 2))
    """
    step = pd.Timedelta(panel.attrs["step"])
    season = SeasonalNaive().period(step.to_timedelta64())
    values = panel[variable].transpose("time", "node").values.astype("float64")
    rows = len(values)
    tested = rows - round(TESTED * rows)
    trained = int(TRAINED * rows)
    asked = horizon or min(horizon_of(step), (rows - tested) // 2)
    if asked < 1 or trained < 2 * max(season, asked):
        raise _refused(f"{rows} rows are too few", data, variable)
    if len(np.unique(values[:trained][np.isfinite(values[:trained])])) < 3:
        raise _refused("a flag or a constant: fewer than three distinct values", data, variable)
    error = np.abs(values[season:trained] - values[:trained - season])
    known = np.isfinite(error).sum(axis=0)
    told = np.where(known >= max(asked, 10), np.nansum(error, axis=0) / np.maximum(known, 1), 0.0)
    good = np.flatnonzero((told > 0) & (np.isfinite(values[tested:]).sum(axis=0) >= 2 * asked))
    if not len(good):
        raise _refused("no node with a seasonal error above zero and values to be scored on", data, variable)
    chosen = good[np.unique(np.linspace(0, len(good) - 1, min(nodes, len(good))).astype(int))]
    most = min(issues, max(24, WINDOWS // len(chosen)))
    rows_of_issue = spread_issues(tested - 1, rows - 1 - asked, most)
    case = Case(data, variable, panel[[variable]].isel(node=chosen), trained, rows_of_issue, asked, season)
    labels = case.labels()
    if not np.isfinite(labels).any() or np.nanmin(labels) == np.nanmax(labels):
        raise _refused("one and the same value at all that is asked for: nothing to forecast", data, variable)
    return case


def _refused(what: str, data: str, variable: str) -> CaseError:
    return CaseError(what, where=f"{data}: {variable}", expected="a series that can be forecast and scored",
                     remedy="leave it out")


def windows_of(case: Case, history: int = HISTORY) -> Iterator[tuple[xr.Dataset, Request]]:
    """For each issue time the panel as known then (at most ``history`` rows) and the request."""
    request = case.request()
    for row, stamp in zip(case.issues, case.issue_times, strict=True):
        yield case.panel.isel(time=slice(max(0, row + 1 - history), row + 1)), request.at(stamp)
