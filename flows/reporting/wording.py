"""Numbers, times and links in words: the same form everywhere on the page."""

from __future__ import annotations

import pandas as pd

from terracast.flows.reporting.content import CausalLink
from terracast.streams.clock import MONTH
from terracast.streams.wording import (
    MISSING,
    counted,
    is_known,
    number,
    percent,
    units_in_words,
)

DURATIONS = (("week", 7 * 86400), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def comparison(ratio: object) -> str:
    """A relative error (0.12: 12 % more) as words.

    >>> comparison(0.12), comparison(-0.04), comparison(0.001), comparison(None)
    ('12 % worse', '4 % better', 'the same', '–')
    """
    if not is_known(ratio):
        return MISSING
    share = float(ratio)  # type: ignore[arg-type]
    if abs(share) < 0.005:
        return "the same"
    return f"{percent(abs(share))} {'worse' if share > 0 else 'better'}"


def stamp(time: object, zone: str | None = None, *, weekday: bool = False) -> str:
    """A stamp of UTC as ``2024-03-01 06:00``, in the zone's local time where one is given.

    >>> stamp(pd.Timestamp("2024-07-01T06:00")), stamp(pd.Timestamp("2024-07-01T22:00"), "Europe/Berlin", weekday=True)
    ('2024-07-01 06:00', 'Tue 2024-07-02 00:00')
    """
    if not is_known(time):
        return MISSING
    at = pd.Timestamp(time)  # type: ignore[arg-type]
    at = at if zone is None else at.tz_localize("UTC").tz_convert(zone)
    return at.strftime(("%a " if weekday else "") + "%Y-%m-%d %H:%M" + (":%S" if at.second else ""))


def duration(length: pd.Timedelta) -> str:
    """A length of time in the largest unit that divides it; empty for none.

    >>> duration(pd.Timedelta("2h")), duration(pd.Timedelta("1D")), duration(pd.Timedelta("90min")), duration(3 * MONTH)
    ('2 hours', '1 day', '90 minutes', '3 months')
    """
    seconds = round(length.total_seconds())
    if not seconds:
        return ""
    if length % MONTH == pd.Timedelta(0):
        return counted(length // MONTH, "month")
    name, size = next((name, size) for name, size in DURATIONS if seconds % size == 0 and name != "week")
    return counted(seconds // size, name)


def unit_words(units: str) -> str:
    """A unit in brackets, as a heading wants it.

    >>> unit_words("ug m-3"), unit_words("1"), unit_words("unknown")
    (' (µg m⁻³)', '', ' (unit not stated)')
    """
    words = units_in_words(units)
    return f" ({words})" if words else ""


def change_type_in_words(change_type: str) -> str:
    """The type of an episode as people say it; unknown types stay as they are.

    >>> change_type_in_words("health"), change_type_in_words("level"), change_type_in_words("drift")
    ('outage', 'shift of the level', 'drift')
    """
    words = {"health": "outage", "level": "shift of the level", "scale": "change of the spread",
             "input": "context not seen before", "calibration": "intervals that do not hold"}
    return words.get(change_type, change_type)


def version_name(version: str) -> str:
    """A bare number gets the word before it.

    >>> version_name("4"), version_name("")
    ('version 4', 'none yet')
    """
    return f"version {version}" if version.isdigit() else version or "none yet"


def yes_no(value: bool | None) -> str:
    """Yes, no, or a dash where the question does not arise.

    >>> yes_no(True), yes_no(None)
    ('yes', '–')
    """
    return MISSING if value is None else "yes" if value else "no"


def link_sentence(link: CausalLink) -> str:
    """One plain sentence for a link, for a reader who has never seen a causal graph.

    >>> print(link_sentence(CausalLink("wind speed", "PM2.5", "2 hours", -0.41)))
    When wind speed rises, PM2.5 tends to fall 2 hours later (a clear link, −0.41).
    """
    if link.sentence:
        return link.sentence
    facts = f"a {_size(link.strength)} link, {number(link.strength, 2)}"
    if is_known(link.stability):
        facts += f"; it came back in {percent(link.stability)} of resamples"
    if not link.oriented:
        return (f"{_capital(link.cause)} and {link.effect} move together at the same time; the data do not "
                f"tell which drives which ({facts}).")
    direction = "rise" if link.strength >= 0 else "fall"
    when = f"{link.lag} later" if link.lag else "at once"
    if link.cause == link.effect:
        keeps = "stay high" if link.strength >= 0 else "fall back"
        return f"When {link.cause} is high, it tends to {keeps} {when} ({facts})."
    return f"When {link.cause} rises, {link.effect} tends to {direction} {when} ({facts})."


def _size(strength: float) -> str:
    """Cohen's (1988) thresholds for a correlation (0.1, 0.3, 0.5), in everyday words."""
    limits = ((0.1, "faint"), (0.3, "weak"), (0.5, "clear"))
    return next((word for limit, word in limits if abs(strength) < limit), "strong")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
