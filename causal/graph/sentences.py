"""A link in plain words: for reports, tooltips and reasons."""

from __future__ import annotations

import pandas as pd

from terracast.causal.graph.graph import CausalGraph, Link

_UNITS = ((604800, "week"), (86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_SHORT = {"week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s"}


def _amount(lag: int, step: str) -> tuple[str, str]:
    """How many of which unit ``lag`` steps are."""
    seconds = lag * pd.Timedelta(step).total_seconds()
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size and seconds % size == 0),
                      _UNITS[-1])
    if (unit, seconds) == ("day", 86400.0) and pd.Timedelta(step) < pd.Timedelta(days=1):
        size, unit = 3600, "hour"
    return f"{seconds / size:g}", unit


def _one_step(step: str) -> str:
    count, unit = _amount(1, step)
    return unit if count == "1" else f"{count} {unit}s"


def duration(lag: int, step: str) -> str:
    """``lag`` steps in words.

    >>> duration(6, "10min"), duration(2, "1D"), duration(90, "1min")
    ('1 hour', '2 days', '90 minutes')
    """
    count, unit = _amount(lag, step)
    return f"{count} {unit}" + ("" if count == "1" else "s")


def short_duration(lag: int, step: str) -> str:
    """``lag`` steps as a label.

    >>> short_duration(3, "1h"), short_duration(0, "1h"), short_duration(3, "15min")
    ('3 h', '0 h', '45 min')
    """
    if lag == 0:
        return f"0 {_SHORT[_amount(1, step)[1]]}"
    count, unit = _amount(lag, step)
    return f"{count} {_SHORT[unit]}"


def sentence(link: Link, graph: CausalGraph) -> str:
    """One plain sentence for a link: what raises or lowers what, when, and how sure that is.

    >>> from terracast.causal.graph.graph import Series
    >>> wind, dust = Series("weather", "wind"), Series("air", "PM2.5")
    >>> link = Link(wind, dust, 1, -0.31, 1e-9, stability=0.92)
    >>> sentence(link, CausalGraph((wind, dust), (link,), "1h", "PCMCI+", 900))
    'Higher wind lowers PM2.5 1 hour later (partial correlation -0.31, returned in 92 % of redraws).'

    A link's note follows in brackets.
    """
    cause, effect = graph.label(link.cause), graph.label(link.effect)
    same = f"within the same {_one_step(graph.step)}"
    when = f"{duration(link.lag, graph.step)} later" if link.lag else same
    sure = "" if link.stability is None else f", returned in {100 * link.stability:.0f} % of redraws"
    evidence = f"(partial correlation {link.strength:+.2f}{sure})."
    source = (" By the knowledge file." if link.known else "") + (f" [{link.note}]" if link.note else "")
    if not link.oriented:
        way = "together" if link.strength >= 0 else "in opposite directions"
        return f"{cause} and {effect} move {way} {when} {evidence} Which drives which is not known.{source}"
    verb = "raises" if link.strength >= 0 else "lowers"
    if link.cause == link.effect:
        verb = "is followed by higher" if link.strength >= 0 else "is followed by lower"
    return f"Higher {cause} {verb} {effect} {when} {evidence}{source}"
