"""The one path to drivers, of the command and its bench: graph, candidates, ablation with the serving forecaster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr

from terracast.adapt.clock import Moment
from terracast.adapt.task import ForecastTask
from terracast.causal.graph.graph import CausalGraph, Driver, Series
from terracast.causal.knowledge import Knowledge
from terracast.causal.preprocessing.prepare import Preparation, Prepared
from terracast.causal.search.robust_search import Redraws, robust_search
from terracast.causal.search.unidirectional import orient_unidirectional
from terracast.causal.settings import Progress, Search
from terracast.drivers.ablation import Ablation, ForecasterFactory, Tell, plan_ablation, tell_nobody
from terracast.drivers.candidates import candidates, refused
from terracast.drivers.selection import inputs_of, select_by_ablation

REDRAWS = 20
ALPHA = 0.05  # chance to use any series that does not help, over all series that could have been chosen


@dataclass(frozen=True)
class SelectedDrivers:
    """Drivers, used or refused with reason; the share of the loss that each series tried saved; how long the losses of
    forecasts remember."""

    drivers: tuple[Driver, ...]
    gains: Mapping[Series, float] = field(default_factory=dict)
    block: np.timedelta64 = field(default_factory=lambda: np.timedelta64(0, "ns"))


@dataclass(frozen=True)
class DriverSearch:
    """How drivers are looked for: what is forecast, by which search, judged with which forecaster.

    Parameters
    ----------
    watched : ForecastTask
        What is forecast; its nodes and drivers are not read.
    search : Search
        Settings of the causal search.
    make : ForecasterFactory
        Makes the forecaster that serves, which the ablation is run with.
    most : int
        The largest number of series that may be used.
    how : Preparation, optional
        How panels are prepared.
    """

    watched: ForecastTask
    search: Search
    make: ForecasterFactory
    most: int = 6
    how: Preparation | None = None

    @property
    def target(self) -> Series:
        """The series that is forecast."""
        return Series(self.watched.domain, self.watched.request.target)

    def graph(self, panels: Mapping[str, xr.Dataset], prepared: Prepared, knowledge: Knowledge,
              progress: Progress = tell_nobody) -> tuple[CausalGraph, Knowledge]:
        """The graph, and what it was searched with: searched again where it is open which of two domains leads."""
        return orient_unidirectional(lambda honoured: robust_search(
            panels, self.search, knowledge=honoured, how=self.how, whole=prepared, redraws=Redraws(REDRAWS),
            progress=progress), self.target, knowledge)

    def candidates(self, moment: Moment, graph: CausalGraph, prepared: Prepared, knowledge: Knowledge,
                   panels: Mapping[str, xr.Dataset]) -> tuple[Driver, ...]:
        """Who may be tried, and who is refused untried; ``knowledge`` is what ``graph`` was searched with."""
        return candidates(self.watched, moment, graph, prepared, knowledge, panels, max_lag=self.search.max_lag,
                          most=self.most)

    def ablated(self, moment: Moment, drivers: tuple[Driver, ...], graph: CausalGraph, since: np.datetime64,
                tell: Tell = tell_nobody) -> SelectedDrivers:
        """The verdict of the leak-free ablation on what is known since ``since``; without one, nothing is used."""
        if not any(one.used for one in drivers):
            return SelectedDrivers(drivers)
        panel = moment.known(self.target.domain, since)
        watched = replace(self.watched, nodes=tuple(str(node) for node in panel["node"].values),
                          drivers=inputs_of(drivers))
        plan = plan_ablation(watched, panel["time"].values[0], moment.now)
        if isinstance(plan, str):
            return SelectedDrivers(refused(drivers, plan))
        ablation = Ablation(watched, moment, plan, self.make, tell=tell)
        mine = len({one.series for one in drivers if one.used})
        # candidates were found on the span that they are judged on: all that could have been share the level
        others = max(mine, sum(one.domain != self.target.domain for one in graph.series))
        selection = select_by_ablation(drivers, ablation.losses, alpha=ALPHA * mine / others, overlap=plan.overlap,
                                       graph=graph, cross_fitted=ablation.cross_fitted)
        return SelectedDrivers(selection.drivers, {one.series: one.gain for one in selection.results},
                               max(one.block for one in selection.results) * plan.spacing)
