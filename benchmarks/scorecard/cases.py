"""What the scorecard asks: each case again earlier, at a coarser step, on coarser cells; and simulated worlds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from terracast.benchmarks.base.data import Case, CaseError, case_of, spread_issues
from terracast.benchmarks.base.files import on_even_clock
from terracast.stfm.prior.mixture import sample_world
from terracast.streams.errors import TerracastError

COARSER = ((pd.Timedelta("10min"), 3), (pd.Timedelta("2h"), 6), (pd.Timedelta("12h"), 4), (pd.Timedelta("2D"), 7),
           (pd.Timedelta("10D"), 4))
GROUP = 3  # nodes whose mean is one coarse cell
WORLDS_FROM = 77 * 10**8  # seeds of worlds that pre-training does not draw
DAY = (7, 19)


def earlier(case: Case) -> Case:
    """The same forecaster and node scales, asked in the rows that follow the training part directly."""
    last = int(case.issues.min()) - 1 - case.horizon
    first = case.trained - 1
    if last - first < 2 * case.horizon:
        raise CaseError("too little lies between training and test part", where=f"{case.data}: {case.variable}",
                        expected=f"{3 * case.horizon} rows", remedy="give a longer file")
    return replace(case, issues=spread_issues(first, last, len(case.issues)))


def coarser_step(case: Case) -> Case:
    """The case aggregated in time: means of whole blocks, which must be known by half (hours become 6 hours, …)."""
    step = pd.Timedelta(case.panel.attrs["step"])
    factor = next((factor for longest, factor in COARSER if step <= longest), None)
    if factor is None:
        raise CaseError(f"no coarser step than {step}", where=case.data, expected="a step below ten days",
                        remedy="leave it out")
    rows = len(case.values) // factor * factor
    blocks = case.values[-rows:].reshape(-1, factor, case.values.shape[1])
    known = np.isfinite(blocks).sum(axis=1)
    means = np.where(known * 2 >= factor, np.nansum(blocks, axis=1) / np.maximum(known, 1), np.nan)
    stamps = case.panel["time"].values[-rows:][::factor]
    return _with_values(case, means, stamps, case.panel["node"].values, step * factor)


def coarser_space(case: Case) -> Case:
    """The case with every three neighbours replaced by their mean: a grid, or a network, of lower resolution."""
    count = case.values.shape[1] // GROUP
    if count < 2:
        raise CaseError(f"{case.values.shape[1]} nodes", where=case.data, expected=f"{2 * GROUP} or more",
                        remedy="leave it out")
    order = np.arange(case.values.shape[1])
    if "lat" in case.panel.coords and case.panel["lat"].dims == ("node",):
        order = np.lexsort((case.panel["lon"].values, np.round(case.panel["lat"].values, 0)))
    groups = case.values[:, order[:count * GROUP]].reshape(len(case.values), count, GROUP)
    known = np.isfinite(groups).sum(axis=2)
    means = np.where(known * 2 >= GROUP, np.nansum(groups, axis=2) / np.maximum(known, 1), np.nan)
    return _with_values(case, means, case.panel["time"].values, np.array([f"cell {one}" for one in range(count)]),
                        pd.Timedelta(case.panel.attrs["step"]))


def _with_values(case: Case, values: np.ndarray, stamps: np.ndarray, nodes: np.ndarray, step: pd.Timedelta) -> Case:
    panel = xr.Dataset({case.variable: (("time", "node"), values, case.panel[case.variable].attrs)},
                       {"time": stamps, "node": nodes}, {**case.panel.attrs, "step": str(step)})
    return case_of(panel, case.variable, case.data, nodes=values.shape[1], issues=len(case.issues))


def half_of_nodes(case: Case) -> np.ndarray:
    """True for the nodes that may be taught on: every other one."""
    return np.asarray(np.arange(case.values.shape[1]) % 2 == 0)


def valid_hours(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """By (issue, lead): is it day (7 to 19 o'clock of the panel's clock), is it a working day?"""
    ahead = np.arange(1, case.horizon + 1) * case.step
    stamps = pd.DatetimeIndex((case.issue_times[:, None] + ahead).ravel())
    shape = len(case.issues), case.horizon
    day = ((stamps.hour >= DAY[0]) & (stamps.hour < DAY[1])).reshape(shape)
    return np.asarray(day), np.asarray((stamps.day_of_week < 5).reshape(shape))


def worlds(count: int, nodes: int, issues: int) -> Iterator[Case]:
    """Simulated panels of the kind that the base is pre-trained on, of seeds that it never saw."""
    for number in range(count):
        world = sample_world(WORLDS_FROM + number, steps=1536, nodes=nodes)
        panel = world.panel[[world.target]]
        try:
            even = on_even_clock(panel.drop_vars("known_time", errors="ignore"), f"world {number}")
            yield case_of(even, world.target, f"world {number}", nodes=nodes, issues=issues)
        except TerracastError:
            continue
