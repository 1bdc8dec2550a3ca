"""From the causal graph and the chosen drivers to links in words."""

from __future__ import annotations

from causal.graph import CausalGraph, Driver, Link, Series
from causal.words import duration, sentence
from flows.reporting.content import CausalLink, Reasons
from flows.reporting.wording import counted

Chosen = dict[tuple[Series, Series, int], Driver]


def reasons_from(graph: CausalGraph, drivers: tuple[Driver, ...], drawing: str) -> Reasons:
    """The "Why these inputs?" part of a report; ``drawing`` is what ``causal.drawing.draw`` made.

    Links into the targets of the drivers come first, a series' own past after other causes, the strongest
    first. A driver that the graph holds no link for (one set by hand) is listed too. A driver was published
    in time where it is used or reaches at least one step ahead.

    >>> rain, cars = Series("weather", "rain"), Series("traffic", "flow")
    >>> graph = CausalGraph((rain, cars), (Link(rain, cars, 2, -0.4, 1e-6, 0.9),), "1h", "PCMCI+", 500)
    >>> found = reasons_from(graph, (Driver(rain, cars, 2, -0.4, True, "known in time", 1),), "<svg/>")
    >>> found.links[0].lag, found.links[0].published, found.links[0].used
    ('2 hours', True, True)
    """
    chosen: Chosen = {(driver.series, driver.target, driver.lag): driver for driver in drivers}
    targets = {driver.target for driver in drivers}
    ordered = sorted(graph.links, key=lambda link: (_misses(link, targets), link.cause == link.effect,
                                                    -abs(link.strength)))
    named = [(link, _driver_of(link, chosen)) for link in ordered]
    met = [driver for _, driver in named if driver is not None]
    alone = [(Link(driver.series, driver.target, driver.lag, driver.strength, float("nan")), driver)
             for driver in drivers if driver not in met]
    links = tuple(_in_words(link, driver, graph) for link, driver in (*named, *alone))
    step = duration(1, graph.step)
    return Reasons(drawing=drawing, links=links, assumptions=graph.assumptions,
                   method=f"{graph.method} on {counted(graph.samples, 'sample')}, lags in steps of {step}")


def _misses(link: Link, targets: set[Series]) -> bool:
    """Does the link not reach a target? One without a direction may reach either of its ends."""
    return link.effect not in targets and (link.oriented or link.cause not in targets)


def _driver_of(link: Link, chosen: Chosen) -> Driver | None:
    """The driver made from a link; one without a direction may have been read either way."""
    found = chosen.get((link.cause, link.effect, link.lag))
    return found if found or link.oriented else chosen.get((link.effect, link.cause, link.lag))


def _in_words(link: Link, driver: Driver | None, graph: CausalGraph) -> CausalLink:
    return CausalLink(
        cause=_name(link.cause, graph), effect=_name(link.effect, graph),
        lag=duration(link.lag, graph.step) if link.lag else "", strength=link.strength,
        stability=link.stability,
        published=None if driver is None else driver.used or driver.reach > 0,
        used=None if driver is None else driver.used, reason="" if driver is None else driver.reason,
        oriented=link.oriented, sentence=sentence(link, graph),
    )


def _name(series: Series, graph: CausalGraph) -> str:
    """The reader's name; with the domain where two series share it."""
    label = graph.label(series)
    shared = sum(graph.label(other) == label for other in graph.series) > 1
    return f"{label} ({series.domain})" if shared else label
