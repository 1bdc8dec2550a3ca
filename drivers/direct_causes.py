"""Choose auxiliary inputs of a target from its causal links, and say of each why it is used or not."""

from __future__ import annotations

from collections.abc import Mapping

from terracast.causal.graph.graph import CausalGraph, Driver, Link, Series
from terracast.causal.graph.sentences import duration
from terracast.streams.errors import TerracastError


class DriverError(TerracastError):
    """A target that the graph does not hold."""


def choose_drivers(graph: CausalGraph, target: Series, *, published: Mapping[str, int], horizon: int = 1,
                   min_stability: float = 0.5, min_memory: float | None = None) -> tuple[Driver, ...]:
    """The links from other domains into ``target`` as drivers, strongest first, used or refused with reason.

    A driver is a past driver: a forecast reads it up to its newest published value, never beyond. With a link
    of lag L, the newest published value acts on the target at t - delay + L. The driver is early enough
    when the target is not itself published there yet, **L + delay of the target > delay of the driver**;
    otherwise its effect is already in the target's own past. ``reach`` = min(horizon, L - delay of the
    driver) is the largest lead whose linked value is known at issue time (0: only the target's unpublished
    present). Also refused: a link without a direction, and a domain without a known delay.

    Parameters
    ----------
    graph : CausalGraph
        What discovery found.
    target : Series
        What is forecast.
    published : mapping of str to int
        By domain, the publication delay in steps: at issue time t its newest value is stamped t - delay.
    horizon : int
        The largest lead, in steps.
    min_stability : float
        A link that returned in a smaller share of the bootstrap draws is refused.
    min_memory : float, optional
        Let through, too, a driver that is published too late but is itself forecast by its own past: its strongest
        link with itself, carried over the steps that are missing, keeps at least so much (0.9 over 3 steps keeps
        0.73). Whether that helps is for the ablation to say (``drivers.selection``): give 0.2 where there is one.

    Returns
    -------
    tuple of Driver
        Every candidate, ``used`` or not, with the reason.

    Raises
    ------
    DriverError
        Where the graph does not hold the target, or the horizon is below 1.

    Examples
    --------
    >>> rain, flow = Series("weather", "rain"), Series("traffic", "flow")
    >>> graph = CausalGraph((rain, flow), (Link(rain, flow, 2, -0.4, 0.0),), "1h", "PCMCI+", 900)
    >>> driver, = choose_drivers(graph, flow, published={"weather": 1, "traffic": 0}, horizon=6)
    >>> driver.used, driver.reach, driver.reason
    (True, 1, 'rain is published 1 hour late and acts after 2 hours: known in time for leads up to 1 hour')
    >>> choose_drivers(graph, flow, published={"weather": 2, "traffic": 0})[0].used
    False
    """
    if target not in graph.series:
        raise DriverError(f"no series {target}", where="graph",
                          expected="one of " + ", ".join(map(str, graph.series)),
                          remedy="discover with the target among the variables")
    if horizon < 1:
        raise DriverError(f"horizon {horizon}", where=str(target), expected="at least 1 step",
                          remedy="give the largest lead in steps")
    towards = [link for link in graph.links if link.effect == target and link.cause.domain != target.domain]
    undirected = [Link(link.effect, link.cause, 0, link.strength, link.p_value, link.stability, False)
                  for link in graph.links
                  if not link.oriented and link.lag == 0 and link.cause == target
                  and link.effect.domain != target.domain]  # later values of another domain drive nothing before
    ordered = sorted(towards + undirected, key=lambda link: (-abs(link.strength), link.cause, link.lag))
    return tuple(_driver(graph, link, published, horizon, min_stability, min_memory) for link in ordered)


def _driver(graph: CausalGraph, link: Link, published: Mapping[str, int], horizon: int,
            min_stability: float, min_memory: float | None) -> Driver:
    delay, own_delay = published.get(link.cause.domain), published.get(link.effect.domain, 0)
    reach = 0 if delay is None else max(0, min(horizon, link.lag - delay))
    used, reason = _verdict(graph, link, delay, own_delay, reach, min_stability)
    missing = 0 if delay is None else delay + 1 - own_delay - link.lag
    if not used and link.oriented and min_memory is not None and missing > 0 and _is_stable(link, min_stability):
        kept = _memory(graph, link.cause) ** missing
        if kept >= min_memory:
            late = f"{graph.label(link.cause)} is published {duration(missing, graph.step)} too late"
            used, reason = True, f"{late}, but its own past tells what it does next"
    return Driver(link.cause, link.effect, link.lag, link.strength, used, reason, reach)


def _is_stable(link: Link, min_stability: float) -> bool:
    return link.stability is None or link.stability >= min_stability


def _memory(graph: CausalGraph, series: Series) -> float:
    """How much of a series is left after one step, by its strongest link with its own past."""
    own = [abs(link.strength) ** (1 / link.lag) for link in graph.links
           if link.cause == link.effect == series and link.lag > 0]
    return max(own, default=0.0)


def _verdict(graph: CausalGraph, link: Link, delay: int | None, own_delay: int, reach: int,
             min_stability: float) -> tuple[bool, str]:
    name, target = graph.label(link.cause), graph.label(link.effect)
    if not link.oriented:
        return False, f"{name} and {target} move together, but the data do not tell which drives which"
    if link.stability is not None and not _is_stable(link, min_stability):
        return False, (f"the link returned in only {link.stability:.0%} of the redraws "
                       f"(at least {min_stability:.0%} wanted)")
    if delay is None:
        return False, f"it is not said how late {link.cause.domain} is published"
    late = f"{duration(delay, graph.step)} late" if delay else "at once"
    acts = f"after {duration(link.lag, graph.step)}" if link.lag else "at the same time"
    facts = f"{name} is published {late} and acts {acts}"
    if link.lag + own_delay <= delay:
        return False, f"{facts}: by then its effect is already in the published {target}"
    if reach == 0:
        return True, f"{facts}: it tells the {target} that is not published yet"
    return True, f"{facts}: known in time for leads up to {duration(reach, graph.step)}"
