"""What changed between two causal graphs, and between the drivers chosen from them, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from terracast.causal.graph.graph import CausalGraph, Driver, Link, Series
from terracast.causal.graph.sentences import duration

CHANGE_TYPES = ("appeared", "vanished", "turned", "changed lag", "changed sign", "changed strength", "direction found",
         "direction lost")
Key = tuple[Series, Series, int, bool]


@dataclass(frozen=True)
class LinkChange:
    """One link that differs: ``change_type`` is one of ``CHANGE_TYPES``; ``before`` and ``after`` the link then and now
    (None where there was none).
    """

    change_type: str
    before: Link | None
    after: Link | None
    sentence: str

    @property
    def strength(self) -> float:
        """The larger of both strengths: how much the change matters."""
        return max(abs(link.strength) for link in (self.before, self.after) if link is not None)


def key_of(link: Link) -> Key:
    """What a link is told apart by; a link without direction has its two ends in a fixed order.

    >>> rain, cars = Series("weather", "rain"), Series("traffic", "flow")
    >>> key_of(Link(rain, cars, 0, 0.3, 0.0, oriented=False)) == key_of(Link(cars, rain, 0, 0.3, 0.0, oriented=False))
    True
    """
    if link.oriented:
        return link.cause, link.effect, link.lag, True
    first, last = sorted((link.cause, link.effect))
    return first, last, link.lag, False


def changes_between(before: CausalGraph, after: CausalGraph) -> tuple[LinkChange, ...]:
    """The links between two different series that differ, the strongest first; a series' own past is left out.

    On one pair of series a lost and a new link are read as one: turned (other direction), changed lag (same
    direction), direction found or lost (same time). A series that only one graph has is no change of a link.
    O(links).

    >>> rain, cars = Series("weather", "rain"), Series("traffic", "flow")
    >>> old = CausalGraph((rain, cars), (Link(rain, cars, 2, -0.4, 0.0),), "1h", "PCMCI+", 900)
    >>> new = CausalGraph((rain, cars), (Link(rain, cars, 3, -0.4, 0.0),), "1h", "PCMCI+", 900)
    >>> changes_between(old, new)[0].sentence
    'rain now acts on flow after 3 hours; it was 2 hours.'
    """
    both = set(before.series) & set(after.series)
    old, new = _by_pair(before.links, both), _by_pair(after.links, both)
    found: list[LinkChange] = []
    for pair in old.keys() | new.keys():
        found += _of_pair(old.get(pair, {}), new.get(pair, {}), before, after)
    return tuple(sorted(found, key=lambda one: (-one.strength, one.sentence)))


def describe_changes(before: CausalGraph, after: CausalGraph, drivers_before: Sequence[Driver] = (),
                     drivers_after: Sequence[Driver] = ()) -> tuple[str, ...]:
    """All that changed as sentences: drivers first, then links, then series; one sentence where nothing did.

    >>> describe_changes(CausalGraph((), (), "1h", "PCMCI+", 0), CausalGraph((), (), "1h", "PCMCI+", 0))
    ('Nothing changed: the same links and the same inputs.',)
    """
    told = list(_drivers(drivers_before, drivers_after, after))
    if before.step != after.step:
        told.append(f"The links are not compared: lags were steps of {before.step}, now of {after.step}.")
    else:
        told += [one.sentence for one in changes_between(before, after)]
    then, now = set(before.series), set(after.series)
    told += [f"{after.label(one)} is new in the search." for one in sorted(now - then)]
    told += [f"{before.label(one)} is no longer in the search." for one in sorted(then - now)]
    return tuple(told) or ("Nothing changed: the same links and the same inputs.",)


def _by_pair(links: Iterable[Link], both: set[Series]) -> dict[tuple[Series, ...], dict[Key, Link]]:
    pairs: dict[tuple[Series, ...], dict[Key, Link]] = {}
    for link in links:
        if link.cause != link.effect and {link.cause, link.effect} <= both:
            pairs.setdefault(tuple(sorted((link.cause, link.effect))), {})[key_of(link)] = link
    return pairs


def _of_pair(old: dict[Key, Link], new: dict[Key, Link], before: CausalGraph,
             after: CausalGraph) -> list[LinkChange]:
    found = [_change("changed sign", old[key], new[key], after) for key in old.keys() & new.keys()
             if old[key].strength * new[key].strength < 0]
    lost = sorted((old[key] for key in old.keys() - new.keys()), key=lambda link: -abs(link.strength))
    fresh = sorted((new[key] for key in new.keys() - old.keys()), key=lambda link: -abs(link.strength))
    for change_type in ("changed lag", "direction found", "direction lost", "turned"):
        for link in list(lost):
            partner = next((other for other in fresh if _reads(link, other) == change_type), None)
            if partner is not None:
                lost.remove(link)
                fresh.remove(partner)
                found.append(_change(change_type, link, partner, after))
    return [*found, *(_change("vanished", link, None, before) for link in lost),
            *(_change("appeared", None, link, after) for link in fresh)]


def _reads(link: Link, other: Link) -> str:
    """What a lost and a new link of one pair are together; empty where they are two changes."""
    if link.oriented and other.oriented:
        return "changed lag" if link.cause == other.cause else "turned"
    if link.oriented != other.oriented and link.lag == other.lag:
        return "direction found" if other.oriented else "direction lost"
    return ""


def _change(change_type: str, before: Link | None, after: Link | None, graph: CausalGraph) -> LinkChange:
    return LinkChange(change_type, before, after, sentence_of(change_type, before, after, graph))


def sentence_of(change_type: str, before: Link | None, after: Link | None, graph: CausalGraph) -> str:
    """One plain sentence for a change; one of the two links may be None."""
    link = after or before
    if link is None:
        return ""
    cause, effect = graph.label(link.cause), graph.label(link.effect)
    when = f"after {duration(link.lag, graph.step)}" if link.lag else "at the same time"
    drives = f"{cause} drives {effect} {when}" if link.oriented else f"{cause} and {effect} move together {when}"
    was = "" if before is None else duration(before.lag, graph.step) if before.lag else "the same time"
    shift = "" if before is None or after is None else f"from {before.strength:+.2f} to {after.strength:+.2f}"
    return {"appeared": f"New: {drives}.",
            "vanished": f"No longer found: that {drives}.",
            "turned": f"Turned round: now {drives}; before, {effect} drove {cause}.",
            "changed lag": f"{cause} now acts on {effect} {when}; it was {was}.",
            "changed sign": f"The link from {cause} to {effect} changed its sign ({shift}).",
            "changed strength": f"The link from {cause} to {effect} changed its strength ({shift}).",
            "direction found": f"The direction is now known: {drives}.",
            "direction lost": f"The direction is no longer known: {drives}."}[change_type]


def _drivers(before: Sequence[Driver], after: Sequence[Driver], graph: CausalGraph) -> Iterable[str]:
    then = {one.series for one in before if one.used}
    now = {one.series for one in after if one.used}
    why = {one.series: one.reason for one in after if not one.used}
    for one in sorted(now - then):
        yield f"{graph.label(one)} is now used as an input."
    for one in sorted(then - now):
        reason = f": {why[one]}" if one in why else ": no link from it is found any more"
        yield f"{graph.label(one)} is no longer used as an input{reason}."
