"""The graph as a signal: a link that appeared, vanished, turned or changed its lag, as an alarm of its own.

The windows' graphs are shuffled in time: a change is told only when the true order shows a break that shuffled
orders hardly ever show, in any link (largest of all links: Westfall and Young 1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from terracast.causal.graph.changes import Key, LinkChange, changes_between, key_of, sentence_of
from terracast.causal.graph.graph import CausalGraph, Link
from terracast.causal.search.windows import WindowError, WindowGraph

EVIDENCE = ("This is evidence, not certainty. Other causes, other weather or another way of measuring can move a link "
            "as well. A person who knows the place should look.")


@dataclass(frozen=True)
class GraphAlarm:
    """A change of the graph told to a person.

    ``since`` is the start of the first window after the change (known to about one window), ``p_value`` the chance
    that a graph that does not change shows so large a break in any of its links at this look.
    """

    change: LinkChange
    since: np.datetime64
    p_value: float
    sentences: tuple[str, str, str]


def graph_alarms(graphs: Sequence[WindowGraph], *, alpha: float = 0.05, draws: int = 999,
                 seed: int = 0) -> tuple[GraphAlarm, ...]:
    """The links that changed over windows in a row (``windows.window_graphs``), surest first.

    Statistic of a link: the largest shift of its mean strength (Fisher's z, 0 where it was not found) between the
    windows before and after a split, over all splits with at least a sixth of the windows on each side. Its p-value:
    the share of ``draws`` shuffled orders in which any link shifts as much. **Bound**: while the graph does not
    change, a look raises any alarm with probability ``alpha`` at most, if the windows can be exchanged, so if they
    do not overlap and are much longer than the memory of the series and its seasons are removed. With looks every
    month ``alpha`` is the rate per month. Needs at least 8 windows (``WindowError``): with 8 the smallest p-value
    of a clean break in the middle is about 0.03. O(draws × windows × links).

    >>> from terracast.causal.graph.graph import Series
    >>> rain, flow = Series("weather", "rain"), Series("traffic", "flow")
    >>> there = CausalGraph((rain, flow), (Link(rain, flow, 2, -0.4, 0.0),), "1h", "PCMCI+", 900)
    >>> months = np.arange("2023-01", "2024-02", dtype="M8[M]").astype("M8[ns]")
    >>> story = [WindowGraph(*months[n:n + 2], there if n < 6 else replace(there, links=())) for n in range(12)]
    >>> alarm, = graph_alarms(story)
    >>> alarm.change.change_type, str(alarm.since)[:10], alarm.p_value < 0.02
    ('vanished', '2023-07-01', True)
    """
    if len(graphs) < 8:
        raise WindowError(f"{len(graphs)} windows", where="change of the graph", expected="at least 8",
                          remedy="take a longer span or shorter windows")
    keys, strengths = _strengths(graphs)
    if not keys:
        return ()
    shifts = _shifts(strengths)
    random = np.random.default_rng(seed)
    largest = np.array([_shifts(random.permutation(strengths)).max() for _ in range(draws)])
    observed = shifts.max(axis=0)
    p_values = (1 + (largest[:, None] >= observed - 1e-12).sum(axis=0)) / (draws + 1)
    edge = _edge(len(graphs))
    alarms = []
    for pair in dict.fromkeys(_pair(key) for key, p in zip(keys, p_values, strict=True) if p <= alpha):
        places = [place for place, key in enumerate(keys) if _pair(key) == pair and p_values[place] <= alpha]
        best = max(places, key=lambda place: observed[place])
        split = int(shifts[:, best].argmax()) + edge
        alarms += _alarms_of_pair(graphs, [keys[place] for place in places], split, float(p_values[best]),
                                  strengths[:, best], keys[best])
    return tuple(sorted(alarms, key=lambda one: (one.p_value, -one.change.strength)))


def _strengths(graphs: Sequence[WindowGraph]) -> tuple[list[Key], np.ndarray]:
    """Fisher's z of every link between two series in every window, shape (window, link); 0 where not found.

    A window that a series is missing from counts as its mean over the other windows: no evidence of a change.
    """
    found = [{key_of(link): link.strength for link in one.graph.links if link.cause != link.effect}
             for one in graphs]
    keys = sorted({key for one in found for key in one})
    table = np.array([[np.arctanh(np.clip(one.get(key, 0.0), -0.999, 0.999)) for key in keys] for one in found])
    table = table.reshape(len(graphs), len(keys))
    for place, key in enumerate(keys):
        there = np.array([key[0] in one.graph.series and key[1] in one.graph.series for one in graphs])
        table[~there, place] = table[there, place].mean()
    return keys, table


def _edge(windows: int) -> int:
    return max(2, windows // 6)


def _shifts(strengths: np.ndarray) -> np.ndarray:
    """Size of the break at every split and link, shape (split, link)."""
    windows, edge = len(strengths), _edge(len(strengths))
    splits = np.arange(edge, windows - edge + 1)[:, None]
    total = np.cumsum(strengths, axis=0)
    before = total[splits[:, 0] - 1] / splits
    after = (total[-1] - total[splits[:, 0] - 1]) / (windows - splits)
    return np.asarray(np.sqrt(splits * (windows - splits) / windows) * np.abs(after - before))


def _pair(key: Key) -> tuple[object, ...]:
    return tuple(sorted(key[:2]))


def _alarms_of_pair(graphs: Sequence[WindowGraph], moved: list[Key], split: int, p_value: float, strengths: np.ndarray,
                    best: Key) -> list[GraphAlarm]:
    """The changes of one pair at one split: those that a moved link has part in."""
    pair = _pair(best)
    before, after = (_typical(part, pair) for part in (graphs[:split], graphs[split:]))
    changes = [one for one in changes_between(before, after)
               if any(link is not None and key_of(link) in moved for link in (one.before, one.after))]
    if not changes:  # found on both sides, or on few windows of either: only the strength moved
        means = np.tanh([strengths[:split].mean(), strengths[split:].mean()])
        ends = [Link(best[0], best[1], best[2], float(mean), float("nan"), oriented=best[3]) for mean in means]
        changes = [LinkChange("changed strength", ends[0], ends[1],
                              sentence_of("changed strength", ends[0], ends[1], after))]
    since = graphs[split].start
    return [GraphAlarm(one, since, p_value, (one.sentence, _when(since, p_value, len(graphs)), EVIDENCE))
            for one in changes]


def _when(since: np.datetime64, p_value: float, windows: int) -> str:
    day = pd.Timestamp(since)
    return (f"Since about {day.day} {day:%b %Y}, as the graphs of {windows} windows of time tell. A graph that "
            f"does not change would show this in {100 * p_value:.1f} % of such looks.")


def _typical(graphs: Sequence[WindowGraph], pair: tuple[object, ...]) -> CausalGraph:
    """The links of one pair that most of these windows hold, with their mean strength."""
    held: dict[Key, list[Link]] = {}
    for one in graphs:
        for link in one.graph.links:
            if _pair(key_of(link)) == pair and link.cause != link.effect:
                held.setdefault(key_of(link), []).append(link)
    links = tuple(replace(found[-1], strength=float(np.mean([link.strength for link in found])), stability=None)
                  for found in held.values() if 2 * len(found) > len(graphs))
    series = sorted({one for window in graphs for one in window.graph.series})
    return replace(graphs[-1].graph, series=tuple(series), links=links)
