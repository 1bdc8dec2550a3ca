"""Candidates for the ablation: stable and steady links, published early enough, and what tells of such drivers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import xarray as xr

from terracast.adapt.clock import Moment
from terracast.adapt.task import ForecastTask
from terracast.causal.discover import DiscoverError
from terracast.causal.discover import discover as find_graph
from terracast.causal.graph.graph import CausalGraph, Driver, Series
from terracast.causal.knowledge import Knowledge
from terracast.causal.preprocessing.prepare import Prepared
from terracast.causal.search.windows import steady_drivers, window_graphs
from terracast.drivers.calendar_events import with_calendar_events
from terracast.drivers.direct_causes import choose_drivers
from terracast.drivers.indirect_causes import with_indirect
from terracast.drivers.proxies import with_proxies
from terracast.drivers.publication_delays import publication_delays

STEADY_WINDOWS = 4
STEADY_ALPHA = 0.05  # short windows have less power, and the link is only to be met again
LEAST_MEMORY = 0.2  # of a late feed; the ablation judges whether it helps
LEAST_SEEN = 60  # values of a series that a window needs, or it goes without


def where_seen(find: Callable[[Prepared], CausalGraph]) -> Callable[[Prepared], CausalGraph]:
    """A search that goes without the series that a window hardly saw."""
    def found(part: Prepared) -> CausalGraph:
        seen = np.flatnonzero(np.isfinite(part.values).sum(axis=0) >= LEAST_SEEN)
        if len(seen) == len(part.series):
            return find(part)
        return find(replace(part, values=part.values[:, seen], series=tuple(part.series[place] for place in seen)))
    return found


def candidates(watched: ForecastTask, moment: Moment, graph: CausalGraph, prepared: Prepared, knowledge: Knowledge,
               panels: Mapping[str, xr.Dataset], *, max_lag: int, most: int) -> tuple[Driver, ...]:
    """Drivers by stability over redraws and windows and by the clock of publication, their proxies, and events of the
    calendar; at most ``most`` series."""
    target, step = Series(watched.domain, watched.request.target), watched.request.step
    published = publication_delays(moment, {one.domain for one in graph.series}, step)
    choose = partial(choose_drivers, graph, published=published, horizon=watched.request.horizon,
                     min_memory=LEAST_MEMORY)
    drivers = with_indirect(graph, target, choose)
    if any(one.used for one in drivers):
        again = partial(find_graph, max_lag=max_lag, alpha=STEADY_ALPHA, knowledge=knowledge)
        try:
            drivers = steady_drivers(drivers, window_graphs(prepared, where_seen(again), windows=STEADY_WINDOWS))
        except DiscoverError:  # too few rows in a window
            drivers = refused(drivers, "found, but the history is too short to tell whether the link holds at all "
                                       "times")
    drivers = with_calendar_events(graph, with_proxies(graph, drivers), panels, target, published)
    strongest = list(dict.fromkeys(one.series for one in drivers if one.used))[:most]
    return tuple(one if not one.used or one.series in strongest else replace(
        one, used=False, reason=f"found, but {most} stronger ones come first (discovery.most_drivers)")
                 for one in drivers)


def refused(drivers: Sequence[Driver], reason: str) -> tuple[Driver, ...]:
    """``drivers`` with none used; those that were have ``reason``."""
    return tuple(replace(one, used=False, reason=reason) if one.used else one for one in drivers)
