"""Drivers chosen before the last fifth of a span, as ``terracast discover`` does, and judged on that fifth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr

from terracast.adapt.clock import Moment
from terracast.adapt.task import ForecastTask
from terracast.benchmarks.drivers.peers import correlation_picked, granger_picked
from terracast.causal.graph.graph import Driver, Series
from terracast.causal.knowledge import Knowledge
from terracast.causal.preprocessing.prepare import Preparation, Prepared, prepare
from terracast.causal.search.robust_search import default_search
from terracast.drivers.ablation import Ablation, ForecasterFactory, plan_ablation
from terracast.drivers.discovery import DriverSearch
from terracast.stfm.forecaster import Request
from terracast.streams.bitemporal import InMemoryHistory, known_after
from terracast.streams.errors import TerracastError
from terracast.streams.panel import step_of

METHODS = ("none", "all", "correlation-picked", "var-granger", "causal-only", "terracast")
LAST = 0.2  # the newest share of the span: nothing is chosen or fitted on it


@dataclass(frozen=True)
class Protocol:
    """Whose drivers are judged, and how.

    Parameters
    ----------
    make : ForecasterFactory
        Makes the forecaster that serves: the drivers are chosen with it, and the error is its error.
    model : str
        What it is called.
    history : int
        Steps of the past that it is given.
    alpha : float
        Significance of the causal search and of the peers.
    max_lag, horizon : int
        The longest lag and the largest lead, steps.
    most : int
        The largest number of series that may be chosen.
    knowledge : Knowledge, optional
        What is known beforehand.
    """

    make: ForecasterFactory
    model: str
    history: int
    alpha: float = 0.01
    max_lag: int = 8
    horizon: int = 24
    most: int = 6
    knowledge: Knowledge | None = None

    def watched(self, target: Series, step: np.timedelta64) -> ForecastTask:
        """What is forecast: a forecast each quarter of a horizon."""
        step = step.astype("timedelta64[ns]")
        return ForecastTask(target.domain, (), Request(target.variable, np.datetime64("NaT", "ns"), self.horizon, step),
                            max(1, self.horizon // 4) * step, self.history * step, self.horizon * step)


@dataclass(frozen=True)
class Judged:
    """By method: the series used, and the absolute errors of the last fifth (issue, lead, node)."""

    used: Mapping[str, tuple[Series, ...]]
    errors: Mapping[str, np.ndarray]

    def ratio(self, method: str) -> float:
        """Mean absolute error relative to using no driver."""
        return float(np.nanmean(self.errors[method]) / np.nanmean(self.errors["none"]))


def judge(panels: Mapping[str, xr.Dataset], published: Mapping[str, int], target: Series,
          protocol: Protocol) -> Judged:
    """Let every method choose before the last fifth, and forecast the last fifth with what it chose.

    Parameters
    ----------
    panels : mapping of str to xarray.Dataset
        One for each domain.
    published : mapping of str to int
        How late each domain is published, steps of the target's panel.
    target : Series
        What is forecast.
    protocol : Protocol
        How.
    """
    step = pd.Timedelta(step_of(panels[target.domain]))
    history = InMemoryHistory({domain: known_after(panel, published[domain] * step)
                               for domain, panel in panels.items()})
    watched = protocol.watched(target, step.to_timedelta64())
    own = panels[target.domain]
    first, now = own["time"].values[0], own["time"].values[-1] + (1 + published[target.domain]) * step.to_timedelta64()
    plan = plan_ablation(watched, first, now, judged=LAST)
    if isinstance(plan, str):
        raise TerracastError(f"a span of {now - first}", where=str(target), expected="a longer one",
                             remedy="give more data, or lower --horizon")
    moment = Moment(plan.split, history)
    known = {domain: moment.known(domain) for domain in panels}
    how = Preparation(step=str(step))
    chosen = choices(moment, known, prepare(known, how=how), DriverSearch(
        watched, default_search(protocol.max_lag, protocol.alpha), protocol.make, protocol.most, how), protocol)
    drivers = {domain: tuple(str(name) for name in panel.data_vars) for domain, panel in panels.items()
               if domain != target.domain}
    nodes = tuple(str(node) for node in own["node"].values)
    ablation = Ablation(replace(watched, nodes=nodes, drivers=drivers), Moment(now, history), plan, protocol.make)
    return Judged({name: tuple(sorted({one.series for one in picked})) for name, picked in chosen.items()},
                  {name: ablation.absolute_errors(picked) for name, picked in chosen.items()})


def choices(moment: Moment, panels: Mapping[str, xr.Dataset], prepared: Prepared, search: DriverSearch,
            protocol: Protocol) -> dict[str, tuple[Driver, ...]]:
    """What each method would use, from what is known at ``moment``: ours by the path of ``terracast discover``."""
    target, lag, alpha = search.target, protocol.max_lag, protocol.alpha
    graph, assumed = search.graph(panels, prepared, protocol.knowledge or Knowledge())
    candidates = search.candidates(moment, graph, prepared, assumed, panels)
    selected = search.ablated(moment, candidates, graph, panels[target.domain]["time"].values[0])
    others = [one for one in prepared.series if one.domain != target.domain]
    return {"none": (), "all": tuple(Driver(one, target, 1, 0.0, True, "all") for one in others),
            "correlation-picked": correlation_picked(prepared, target, max_lag=lag, alpha=alpha),
            "var-granger": granger_picked(prepared, target, max_lag=lag, alpha=alpha),
            "causal-only": tuple(one for one in candidates if one.used),
            "terracast": tuple(one for one in selected.drivers if one.used)}
