"""Causes that act on a target through other variables of its own domain: wind moves NO2, and NO2 tells of PM2.5."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, replace

from terracast.causal.graph.graph import CausalGraph, Driver, Link, Series

LONGEST = 2  # links from the variable that is driven to the target
STABLE = 0.5  # least share of the redraws in which each of them returned
UNTOLD = 0.05  # strength of a way that is not told: links weaker than this are not
Choose = Callable[[Series], tuple[Driver, ...]]


@dataclass(frozen=True)
class Way:
    """From ``start``, a variable of the target's domain, to the target: the product of the strengths on the way."""

    start: Series
    strength: float


def ways_to(graph: CausalGraph, target: Series) -> tuple[Way, ...]:
    """The strongest way of directed, stable links from each other variable of the target's domain: two links at most.

    >>> no2, co, pm = Series("air", "no2"), Series("air", "co"), Series("air", "pm25")
    >>> graph = CausalGraph((no2, co, pm), (Link(no2, co, 1, -0.5, 0.0), Link(co, pm, 0, 0.4, 0.0)), "1h", "", 9)
    >>> [(str(way.start), way.strength) for way in ways_to(graph, pm)]
    [('air.co', 0.4), ('air.no2', -0.2)]
    """
    into: dict[Series, list[Link]] = {}
    for link in graph.links:
        stable = link.stability is None or link.stability >= STABLE
        inner = link.cause != link.effect and link.cause.domain == link.effect.domain == target.domain
        if link.oriented and stable and inner:
            into.setdefault(link.effect, []).append(link)
    found: dict[Series, Way] = {}
    waiting: list[tuple[float, int, int, Way]] = [(-1.0, 0, 0, Way(target, 1.0))]
    pushed = 0
    while waiting:
        _, length, _, way = heapq.heappop(waiting)
        if way.start in found:
            continue
        found[way.start] = way
        for link in into.get(way.start, ()) if length < LONGEST else ():
            pushed += 1
            further = Way(link.cause, way.strength * link.strength)
            heapq.heappush(waiting, (-abs(further.strength), length + 1, pushed, further))
    return tuple(way for start, way in found.items() if start != target)


def with_indirect(graph: CausalGraph, target: Series, choose: Choose) -> tuple[Driver, ...]:
    """The drivers of ``target``, and those of other variables of its domain that tell of it.

    A forecaster of the target reads the target's own past and the drivers, but not the other variables of its domain:
    what drives those is news to it. ``choose`` gives the drivers of one series, used or refused with the reason: what
    is asked of a link is asked of the one that crosses domains. A variable of the domain without a way to the target
    counts as one with a way too weak to be told: the ablation judges. A series is added once, by its strongest way,
    unless it is used directly; one that is refused everywhere keeps the reason of its direct link.

    >>> wind, no2, pm = Series("weather", "wind"), Series("air", "no2"), Series("air", "pm25")
    >>> graph = CausalGraph((wind, no2, pm), (Link(wind, no2, 1, -0.5, 0.0), Link(no2, pm, 0, 0.4, 0.0)), "1h", "", 9)
    >>> driver, = with_indirect(graph, pm, lambda series: () if series == pm else (
    ...     Driver(wind, series, 1, -0.5, True, "wind is published at once and acts after 1 hour", 1),))
    >>> str(driver.target), str(driver.via), driver.reason
    ('air.pm25', 'air.no2', 'wind is published at once and acts after 1 hour, on no2, which tells of pm25')
    """
    direct = choose(target)
    taken = {one.series for one in direct if one.used}
    added: dict[Series, list[Driver]] = {}
    ways = ways_to(graph, target)
    reached = {target, *(way.start for way in ways)}
    beside = tuple(Way(one, UNTOLD) for one in graph.series if one.domain == target.domain and one not in reached)
    for way in sorted((*ways, *beside), key=lambda way: -abs(way.strength)):
        of_this_way: dict[Series, list[Driver]] = {}
        told = f"which tells of {graph.label(target)}" if way not in beside else f"beside {graph.label(target)}"
        for one in choose(way.start):
            if one.used and one.series not in taken:
                words = f"{one.reason}, on {graph.label(way.start)}, {told}"
                of_this_way.setdefault(one.series, []).append(replace(
                    one, target=target, via=way.start, strength=one.strength * way.strength, reason=words))
        for series, drivers in of_this_way.items():
            if _strength(drivers) > _strength(added.get(series, [])):
                added[series] = drivers
    kept = tuple(one for one in direct if one.used or one.series not in added)
    indirect = sorted((one for drivers in added.values() for one in drivers), key=lambda one: -abs(one.strength))
    return kept + tuple(indirect)


def _strength(drivers: list[Driver]) -> float:
    return max((abs(one.strength) for one in drivers), default=0.0)
