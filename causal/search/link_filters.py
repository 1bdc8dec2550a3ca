"""Which links are worth telling: strong enough, not explained by all the other series, and met again in the parts.

With tens of thousands of steps a partial correlation of 0.03 is significant, and an unseen common cause of that size is
everywhere. One that moves many series at the same time (rain over a basin, a market) leaves a net of same-time links;
a true one must still be there when all other series are held fixed. And what holds must come back in the parts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from terracast.causal.graph.graph import Link, Series

WEAKEST = 0.05  # |partial correlation|: a quarter of a percent of the variance
WEAKEST_NOW = 0.1  # of a same-time link, all other series held fixed: one percent, a "small" effect (Cohen 1988)
PARTS = 3
LONG = 1000  # steps a part needs
SURE = 4.0  # standard errors from which a link would be seen in a part
_ROWS_EACH = 5  # complete rows per column that a regression on everything needs


def strong_enough(links: Sequence[Link], weakest: float = WEAKEST) -> tuple[Link, ...]:
    """The links of at least the strength ``weakest``, and those that knowledge put in.

    >>> x, y = Series("a", "x"), Series("a", "y")
    >>> len(strong_enough([Link(x, y, 1, 0.03, 1e-9), Link(y, x, 1, -0.2, 1e-9)]))
    1
    """
    return tuple(link for link in links if link.known or abs(link.strength) >= weakest)


def partial_correlation_filter(links: Sequence[Link], values: np.ndarray, series: Sequence[Series],
                               weakest: float = WEAKEST_NOW) -> tuple[Link, ...]:
    """The links without the same-time ones that hardly stand once all other series are held fixed.

    Held fixed: all other series at that time and every lagged cause in ``links``. Two series with a direct link keep a
    partial correlation then (they are neighbours in the moral graph: Lauritzen 1996, Graphical Models, 3.2), but for
    exact cancellation. ``values``: (time, series). Rows with a gap are left out; too few rows leave all links.
    O(time x (series + lagged causes)^2).

    >>> noise = np.random.default_rng(0).normal(size=(800, 9))
    >>> names = [Series("a", str(one)) for one in range(8)]
    >>> net = [Link(names[one], names[other], 0, 0.4, 1e-9, oriented=False)
    ...        for one in range(8) for other in range(one)]
    >>> len(net), len(partial_correlation_filter(net, noise[:, :8] + 2 * noise[:, 8:], names, 0.25))
    (28, 0)
    """
    place = {one: number for number, one in enumerate(series)}
    asked = [link for link in links if link.lag == 0 and not link.known]
    if not asked or len(series) < 3:
        return tuple(links)
    nodes = sorted({(place[link.cause], link.lag) for link in links if link.lag})
    deepest = max((lag for _, lag in nodes), default=0)
    table = np.column_stack([values[deepest:], *[values[deepest - lag:len(values) - lag, one] for one, lag in nodes]])
    table = table[np.isfinite(table).all(axis=1)]
    if len(table) < _ROWS_EACH * table.shape[1]:
        return tuple(links)
    inverse = np.linalg.pinv(np.corrcoef(table, rowvar=False), hermitian=True)
    scale = np.sqrt(np.maximum(inverse.diagonal(), 1e-300))
    left = np.abs(inverse / scale / scale[:, None])
    gone = {id(link) for link in asked if left[place[link.cause], place[link.effect]] < weakest}
    return tuple(link for link in links if id(link) not in gone)


def replicates(links: Sequence[Link], values: np.ndarray, series: Sequence[Series],
               search: Callable[[np.ndarray], Sequence[Link] | None]) -> tuple[Link, ...]:
    """The links that the thirds of ``values`` (time, series) bear out.

    A link leaves that two of the thirds do not have (a neighbouring lag counts) though they should: it is strong enough
    to be seen in so many observed steps (four standard errors). A same-time direction stays where all thirds that
    have the link tell it, at least two; else the link stays without. ``search`` gives the links of a part, None where
    it cannot be searched; then nothing is asked of it. Series of fewer than 3,000 steps are returned as they are.
    Three searches.
    """
    asked = [link for link in links if not link.known]
    if len(values) < PARTS * LONG or not asked:
        return tuple(links)
    place = {one: number for number, one in enumerate(series)}
    bounds = np.linspace(0, len(values), PARTS + 1).astype(int)
    parts = [(np.isfinite(values[start:stop]), found) for start, stop in itertools.pairwise(bounds)
             if (found := search(values[start:stop])) is not None]
    judged = []
    for link in links:
        both = place[link.cause], place[link.effect]
        met = [[one for one in found if _alike(one, link)] for _, found in parts]
        missed = sum(not there and abs(link.strength) * np.sqrt(seen[:, both].all(axis=1).sum()) >= SURE
                     for there, (seen, _) in zip(met, parts, strict=True))
        if missed >= 2 and not link.known:
            continue
        if link.lag == 0 and link.oriented and not link.known:
            same = [any(one.oriented and one.cause == link.cause for one in part if one.lag == 0)
                    for part in met if any(one.lag == 0 for one in part)]
            if len(parts) > 1 and (sum(same) < 2 or not all(same)):
                link = replace(link, oriented=False, note="direction not agreed by the parts of the span")
        judged.append(link)
    return tuple(judged)


def _alike(one: Link, link: Link) -> bool:
    ends = (one.cause, one.effect)
    return ((ends == (link.cause, link.effect) and abs(one.lag - link.lag) <= 1)
            or (ends == (link.effect, link.cause) and one.lag == link.lag == 0))
