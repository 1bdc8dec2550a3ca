"""From the causal graph and the chosen drivers to links in words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from terracast.causal.graph.changes import describe_changes
from terracast.causal.graph.graph import CausalGraph, Driver, Link, Series
from terracast.causal.graph.sentences import duration, sentence
from terracast.causal.search.drift import GraphAlarm
from terracast.causal.search.stability import share_interval
from terracast.flows.reporting.content import CausalLink, Reasons
from terracast.streams.wording import counted

Chosen = dict[tuple[Series, Series, int], Driver]
Gains = Mapping[tuple[Series, Series, int], float]


@dataclass(frozen=True)
class EarlierChoice:
    """The graph and drivers of the last report; ``day`` is its date in words."""

    graph: CausalGraph
    drivers: tuple[Driver, ...]
    day: str


def reasons_from(graph: CausalGraph, drivers: tuple[Driver, ...], drawing: str, *, gains: Gains | None = None,
                 earlier: EarlierChoice | None = None, alarms: Sequence[GraphAlarm] = ()) -> Reasons:
    """The "Why these inputs?" part of a report; ``drawing`` is what ``causal.graph.drawing.draw`` made.

    Links into the targets of the drivers come first, a series' own past after other causes, the strongest
    first. A driver that the graph holds no link for (one set by hand) is listed too. A driver was published
    in time where it is used or reaches at least one step ahead. ``gains`` is a share for each link; ``earlier``
    what the page compares with; ``alarms`` what ``causal.search.drift.graph_alarms`` raised.

    >>> rain, cars = Series("weather", "rain"), Series("traffic", "flow")
    >>> graph = CausalGraph((rain, cars), (Link(rain, cars, 2, -0.4, 1e-6, 0.9),), "1h", "PCMCI+", 500)
    >>> found = reasons_from(graph, (Driver(rain, cars, 2, -0.4, True, "known in time", 1),), "<svg/>")
    >>> found.links[0].lag, found.links[0].published, found.links[0].used
    ('2 hours', True, True)
    """
    chosen: Chosen = {(driver.series, driver.effect, driver.lag): driver for driver in drivers}
    targets = {end for driver in drivers for end in (driver.target, driver.effect)}
    ordered = sorted(graph.links, key=lambda link: (_misses(link, targets), link.cause == link.effect,
                                                    -abs(link.strength)))
    named = [(link, _driver_of(link, chosen)) for link in ordered]
    met = [driver for _, driver in named if driver is not None]
    alone = [(Link(driver.series, driver.effect, driver.lag, driver.strength, float("nan")), driver)
             for driver in drivers if driver not in met]
    links = tuple(_in_words(link, driver, graph, gains or {}) for link, driver in (*named, *alone))
    step = duration(1, graph.step)
    changes = () if earlier is None else describe_changes(earlier.graph, graph, earlier.drivers, drivers)
    cost = graph.settings.get("effort")
    method = f"{graph.method} on {counted(graph.samples, 'sample')}, lags in steps of {step}"
    return Reasons(drawing=drawing, links=links, assumptions=graph.assumptions,
                   method=method + (f"; expected before the search: {str(cost).rstrip('.')}" if cost else ""),
                   changes=changes, changed_since="" if earlier is None else earlier.day,
                   alarms=tuple(alarm.sentences for alarm in alarms), breakers=_breakers(graph),
                   knowledge=str(graph.settings.get("knowledge", "")))


def _breakers(graph: CausalGraph) -> tuple[str, ...]:
    """What would make the graph wrong, for a reader who knows the place."""
    if not graph.method:
        return ()
    search = graph.settings.get("search")
    longest = search.get("max_lag") if isinstance(search, dict) else None
    reach = "" if longest is None else f" than {duration(int(longest), graph.step)}"
    return (
        "A common cause that is not measured here (a holiday, road works, a weather front) shows as a link between "
        "the series that it moves.",
        f"An effect that comes later{reach or ' than the longest lag searched'} is not seen.",
        "An effect that bends or switches (strong above a threshold, or in one season) is weakened or missed.",
        "A change in how something is measured, at several series at once, can look like a link.",
        "A link says what drives what in these data; it does not say what would happen if somebody stepped in.",
    )


def _misses(link: Link, targets: set[Series]) -> bool:
    """Does the link not reach a target? One without a direction may reach either of its ends."""
    return link.effect not in targets and (link.oriented or link.cause not in targets)


def _driver_of(link: Link, chosen: Chosen) -> Driver | None:
    """The driver made from a link; one without a direction may have been read either way."""
    found = chosen.get((link.cause, link.effect, link.lag))
    return found if found or link.oriented else chosen.get((link.effect, link.cause, link.lag))


def _in_words(link: Link, driver: Driver | None, graph: CausalGraph, gains: Gains) -> CausalLink:
    return CausalLink(
        cause=_name(link.cause, graph), effect=_name(link.effect, graph),
        lag=duration(link.lag, graph.step) if link.lag else "", strength=link.strength,
        stability=link.stability,
        published=None if driver is None else driver.used or driver.reach > 0,
        used=None if driver is None else driver.used, reason="" if driver is None else driver.reason,
        oriented=link.oriented, sentence=sentence(link, graph), interval=_interval(link, graph.samples),
        gain=None if driver is None else gains.get((driver.series, driver.target, driver.lag)),
        known=link.known, note=link.note, share=_share(link, graph),
        cause_name=_pattern(link.cause), effect_name=_pattern(link.effect), steps=link.lag,
    )


def _interval(link: Link, samples: int) -> tuple[float, float] | None:
    """Fisher's 95 % interval of a (partial) correlation; a little too narrow, for conditions are not counted."""
    if samples <= 3 or not abs(link.strength) < 1:
        return None
    middle, half = math.atanh(link.strength), 1.96 / math.sqrt(samples - 3)
    return math.tanh(middle - half), math.tanh(middle + half)


def _share(link: Link, graph: CausalGraph) -> tuple[float, float] | None:
    """Between which shares of redraws the link would come back, were there more of them."""
    drawn = graph.settings.get("stability")
    if link.stability is None or not isinstance(drawn, dict):
        return None
    return share_interval(link.stability, int(drawn["draws"]))


def _pattern(series: Series) -> str:
    """The series as a knowledge file writes it: a sign that means something there becomes "any one sign"."""
    return re.sub(r"[\s#*?\[\]]", "?", str(series))


def _name(series: Series, graph: CausalGraph) -> str:
    """The reader's name; with the domain where two series share it."""
    label = graph.label(series)
    shared = sum(graph.label(other) == label for other in graph.series) > 1
    return f"{label} ({series.domain})" if shared else label
