"""Proxies of a driver: series of its own domain that move with it or lead into it, as inputs beside it."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace

from terracast.causal.graph.graph import CausalGraph, Driver, Link, Series
from terracast.causal.knowledge import Knowledge
from terracast.drivers.indirect_causes import STABLE


def with_proxies(graph: CausalGraph, drivers: Sequence[Driver]) -> tuple[Driver, ...]:
    """``drivers``, and behind them the series of the used ones' domains that move with these or lead into them.

    A driver that acts after two hours tells the next two hours; for the rest of a horizon it must itself be foreseen,
    and what is linked with it in its own domain does that (humidity tells of the temperature to come). Nor can the
    data often say which of several variables that move together, with errors of their own, is the one that acts. Such
    a series is a candidate for the ablation, no more: ``via`` is the neighbour that it was reached by, ``strength``
    the product along the way. Left out: links that returned in fewer than half of the draws, series in use already,
    and series that knowledge wholly forbids to act on the target. O(links log links).

    >>> heat, damp, cars = Series("weather", "heat"), Series("weather", "damp"), Series("city", "cars")
    >>> graph = CausalGraph((heat, damp, cars), (Link(heat, cars, 1, 0.4, 0.0), Link(damp, heat, 0, -0.5, 0.0, 1.0,
    ...                     False)), "1h", "", 900)
    >>> first, second = with_proxies(graph, [Driver(heat, cars, 1, 0.4, True, "heat is published at once")])
    >>> str(second.series), str(second.via), second.strength, second.reason
    ('weather.damp', 'weather.heat', -0.2, 'damp moves with heat: heat is published at once')
    """
    knowledge, longest = Knowledge.parse(str(graph.settings.get("knowledge", ""))), _longest(graph)
    taken = {one.series for one in drivers if one.used}
    waiting = [(-abs(one.strength), number, one) for number, one in enumerate(drivers) if one.used]
    heapq.heapify(waiting)
    pushed, added = len(drivers), list[Driver]()
    while waiting:
        _, _, seed = heapq.heappop(waiting)
        if seed.series not in taken:
            taken.add(seed.series)
            added.append(seed)
        for link, other in _neighbours(graph, seed.series):
            allowed = any(knowledge.allows(other, seed.target, lag) for lag in range(longest + 1))
            if other in taken or not allowed:
                continue
            pushed += 1
            verb = "moves with" if link.lag == 0 else "foretells"
            words = f"{_name(graph, other)} {verb} {_name(graph, seed.series)}: {seed.reason}"
            further = replace(seed, series=other, via=seed.series, lag=link.lag, reach=0,
                              strength=seed.strength * link.strength, reason=words)
            heapq.heappush(waiting, (-abs(further.strength), pushed, further))
    known = {one.series for one in added}
    return tuple(one for one in drivers if one.used or one.series not in known) + tuple(added)


def _name(graph: CausalGraph, series: Series) -> str:
    return graph.label(series).partition(":")[0]


def _neighbours(graph: CausalGraph, series: Series) -> list[tuple[Link, Series]]:
    """Stable links of the same domain at the same time, whatever their direction, and those that lead into it."""
    found = []
    for link in graph.links:
        inner = link.cause.domain == link.effect.domain and link.cause != link.effect
        if not inner or series not in (link.cause, link.effect) or (
                link.stability is not None and link.stability < STABLE):
            continue
        if link.lag == 0:
            found.append((link, link.effect if link.cause == series else link.cause))
        elif link.effect == series and link.oriented:
            found.append((link, link.cause))
    return found


def _longest(graph: CausalGraph) -> int:
    return max((link.lag for link in graph.links), default=0)
