"""Graphs of consecutive windows: whether a link holds at all times, and the material of the graph's own alarm."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from terracast.causal.graph.graph import CausalGraph, Driver
from terracast.causal.preprocessing.prepare import Prepared
from terracast.streams.errors import TerracastError

Find = Callable[[Prepared], CausalGraph]
"""A search with its settings fixed, e.g. ``partial(discover, max_lag=12, alpha=0.01)``."""


class WindowError(TerracastError):
    """A span that cannot be cut into windows."""


@dataclass(frozen=True)
class WindowGraph:
    """The graph of one window; ``start`` is its first stamp, ``end`` the first stamp after it."""

    start: np.datetime64
    end: np.datetime64
    graph: CausalGraph


def window_graphs(prepared: Prepared, find: Find, *, windows: int = 4) -> tuple[WindowGraph, ...]:
    """The graphs of ``windows`` equal windows in a row that do not overlap. Costs ``windows`` searches.

    Raises ``WindowError`` where the span is too short to be cut.

    >>> from terracast.causal.discover import discover
    >>> from terracast.causal.graph.graph import Series
    >>> noise = np.random.default_rng(0).normal(size=(600, 2))
    >>> done = Prepared(noise, (Series("a", "x"), Series("b", "y")), "1h", np.arange(600).astype("M8[h]"))
    >>> [len(one.graph.links) for one in window_graphs(done, lambda part: discover(part, max_lag=1), windows=3)]
    [0, 0, 0]
    """
    rows = len(prepared.time)
    if windows < 1 or rows < 2 * windows:
        raise WindowError(f"{rows} steps in {windows} windows", where="windows of the graph",
                          expected="at least two steps a window", remedy="take a longer span or fewer windows")
    edges = np.linspace(0, rows, windows + 1).astype(int)
    step = prepared.time[1] - prepared.time[0]
    return tuple(WindowGraph(prepared.time[first], prepared.time[last - 1] + step,
                             find(replace(prepared, values=prepared.values[first:last],
                                          time=prepared.time[first:last])))
                 for first, last in itertools.pairwise(edges))


def steady_drivers(drivers: Sequence[Driver], graphs: Sequence[WindowGraph], *, least: float = 0.5,
                   tolerance: int = 1) -> tuple[Driver, ...]:
    """The drivers, refused where the link is found in fewer than ``least`` of the windows.

    A window has the link when it holds one of the same direction and sign within ``tolerance`` lags; of a driver that
    acts through its target's domain, when it holds a directed one into any variable of that domain. Short windows
    have less power than the whole span: ``least`` of one half asks that it be no matter of one season.

    >>> from terracast.causal.graph.graph import Link, Series
    >>> rain, flow = Series("weather", "rain"), Series("traffic", "flow")
    >>> graph = CausalGraph((rain, flow), (Link(rain, flow, 2, -0.4, 0.0),), "1h", "PCMCI+", 900)
    >>> bare = replace(graph, links=())
    >>> at = np.datetime64("2024-01-01")
    >>> driver = Driver(rain, flow, 2, -0.4, True, "known in time")
    >>> steady_drivers([driver], [WindowGraph(at, at, one) for one in (graph, bare, bare)])[0].reason
    'the link was found in only 1 of 3 windows of time (at least 50% wanted)'
    """
    if not graphs:
        return tuple(drivers)
    judged = []
    for one in drivers:
        held = sum(_holds(window.graph, one, tolerance) for window in graphs)
        if one.used and held < least * len(graphs):
            one = replace(one, used=False, reason=f"the link was found in only {held} of {len(graphs)} windows of time "
                                                  f"(at least {least:.0%} wanted)")
        judged.append(one)
    return tuple(judged)


def _holds(graph: CausalGraph, driver: Driver, tolerance: int) -> bool:
    if driver.via is not None:
        return any(link.cause == driver.series and link.effect.domain == driver.target.domain and link.oriented
                   for link in graph.links)
    return any(link.cause == driver.series and link.effect == driver.target and link.oriented
               and abs(link.lag - driver.lag) <= tolerance and link.strength * driver.strength > 0
               for link in graph.links)
