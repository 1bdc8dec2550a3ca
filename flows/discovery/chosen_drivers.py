"""Which of the links found become inputs: stable, steady, published early enough, and shown to pay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import xarray as xr

from adapt.clock import Moment
from causal.company import with_company
from causal.discover import DiscoverError
from causal.discover import discover as find_graph
from causal.drivers import choose_drivers
from causal.graph import CausalGraph, Driver, Series
from causal.indirect import with_indirect
from causal.knowledge import Knowledge
from causal.marks import with_marks
from causal.pays import paying_drivers
from causal.prepare import Prepared
from causal.windows import steady_drivers, window_graphs
from flows.discovery.publication import delays_in_steps
from flows.discovery.saved_discovery import inputs_of
from flows.discovery.trial import Tell, Trial, plan_trial
from flows.settings import nanoseconds
from flows.workspace import Workspace

STEADY_WINDOWS = 4
STEADY_ALPHA = 0.05  # short windows have less power, and the link is only to be met again
LEAST_MEMORY = 0.2  # of a late feed; the trial judges whether it helps
PAYING_ALPHA = 0.05  # chance to use any series that does not help, over all series that could have been chosen
LEAST_SEEN = 60  # values of a series that a window needs, or it goes without


@dataclass(frozen=True)
class Chosen:
    """Drivers, used or refused with reason; the share of the loss that each series tried saved; how long the losses of
    forecasts remember."""

    drivers: tuple[Driver, ...]
    gains: Mapping[Series, float] = field(default_factory=dict)
    block: np.timedelta64 = field(default_factory=lambda: np.timedelta64(0, "ns"))


def where_seen(find: Callable[[Prepared], CausalGraph]) -> Callable[[Prepared], CausalGraph]:
    """A search that goes without the series that a window hardly saw."""
    def found(part: Prepared) -> CausalGraph:
        seen = np.flatnonzero(np.isfinite(part.values).sum(axis=0) >= LEAST_SEEN)
        if len(seen) == len(part.series):
            return find(part)
        return find(replace(part, values=part.values[:, seen], series=tuple(part.series[place] for place in seen)))
    return found


def candidates(workspace: Workspace, moment: Moment, graph: CausalGraph, prepared: Prepared,
               knowledge: Knowledge, panels: Mapping[str, xr.Dataset]) -> tuple[Driver, ...]:
    """Drivers by stability over redraws and windows and by the clock of publication, what foretells them, and marks of
    the calendar; at most so many as set."""
    settings, stream = workspace.settings.discovery, workspace.settings.stream
    published = delays_in_steps(moment, {one.domain for one in graph.series}, nanoseconds(stream.step))
    choose = partial(choose_drivers, graph, published=published, horizon=workspace.request.horizon,
                     min_memory=LEAST_MEMORY)
    drivers = with_indirect(graph, Series(stream.domain, stream.target), choose)
    if any(one.used for one in drivers):
        again = partial(find_graph, max_lag=settings.max_lag, alpha=STEADY_ALPHA, knowledge=knowledge)
        try:
            drivers = steady_drivers(drivers, window_graphs(prepared, where_seen(again), windows=STEADY_WINDOWS))
        except DiscoverError:  # too few rows in a window
            drivers = _refused(drivers, "found, but the history is too short to tell whether the link holds at all "
                                        "times")
    drivers = with_marks(graph, with_company(graph, drivers), panels, Series(stream.domain, stream.target), published)
    strongest = list(dict.fromkeys(one.series for one in drivers if one.used))[:settings.most_drivers]
    return tuple(one if not one.used or one.series in strongest else replace(
        one, used=False, reason=f"found, but {settings.most_drivers} stronger ones come first "
                                "(discovery.most_drivers)") for one in drivers)


def _refused(drivers: Sequence[Driver], reason: str) -> tuple[Driver, ...]:
    return tuple(replace(one, used=False, reason=reason) if one.used else one for one in drivers)


def tried(workspace: Workspace, moment: Moment, drivers: tuple[Driver, ...], graph: CausalGraph,
          since: np.datetime64, tell: Tell) -> Chosen:
    """The verdict of the leak-free trial; without one, nothing is used."""
    settings, stream = workspace.settings, workspace.settings.stream
    if not any(one.used for one in drivers):
        return Chosen(drivers)
    panel = moment.known(stream.domain, since)
    watched = workspace.watched(tuple(str(node) for node in panel["node"].values), inputs_of(drivers))
    plan = plan_trial(watched, panel["time"].values[0], moment.now)
    if isinstance(plan, str):
        return Chosen(_refused(drivers, plan))
    trial = Trial(watched, moment, plan, steps=settings.discovery.trial_steps, seed=settings.base.seed, tell=tell)
    mine = len({one.series for one in drivers if one.used})
    # the candidates were found on the span that they are judged on: the level is shared by all that could have been
    others = max(mine, sum(one.domain != stream.domain for one in graph.series))
    paid = paying_drivers(drivers, trial.losses, alpha=PAYING_ALPHA * mine / others, overlap=plan.overlap, graph=graph,
                          rotated=trial.rotated)
    return Chosen(paid.drivers, {one.series: one.gain for one in paid.trials},
                  max(one.block for one in paid.trials) * plan.spacing)
