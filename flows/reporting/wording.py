"""Numbers, times and links in words: the same form everywhere on the page."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import pandas as pd

from terracast.flows.reporting.content import CausalLink
from terracast.streams.clock import MONTH

if TYPE_CHECKING:
    from terracast.flows.service.freshness import SourceFreshness

MISSING = "–"
DURATIONS = (("week", 7 * 86400), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def is_known(value: object) -> bool:
    """True unless the value is None, NaN or NaT.

    >>> is_known(float("nan")), is_known(0.0)
    (False, True)
    """
    return value is not None and not bool(pd.isna(value))  # type: ignore[arg-type]


def number(value: object, digits: int = 3) -> str:
    """A number with so many significant digits, thousands apart, never in powers of ten for everyday sizes.

    >>> number(12345.6), number(0.04567), number(None), number(2)
    ('12,346', '0.0457', '–', '2')
    """
    if not is_known(value):
        return MISSING
    real = float(value)  # type: ignore[arg-type]
    if not math.isfinite(real):
        return MISSING
    if real == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(real)))
    if magnitude < -4 or magnitude > 9:
        return f"{real:.{digits - 1}e}".replace("-", "−")
    text = f"{real:,.{max(0, digits - 1 - magnitude)}f}"
    return (text.rstrip("0").rstrip(".") if real == int(real) and "." in text else text).replace("-", "−")


def percent(value: object, signed: bool = False) -> str:
    """A share as whole percent; one decimal below ten where it is signed.

    >>> percent(0.803), percent(-0.0625, signed=True), percent(float("nan"))
    ('80 %', '−6.3 %', '–')
    """
    if not is_known(value):
        return MISSING
    share = 100 * float(value)  # type: ignore[arg-type]
    if not math.isfinite(share):
        return MISSING
    decimals = 1 if signed and abs(share) < 9.95 else 0
    # + 0.0 turns a rounded minus zero into zero
    rounded = math.floor(abs(share) * 10**decimals + 0.5) / 10**decimals * math.copysign(1, share) + 0.0
    return f"{rounded:{'+' if signed and rounded else ''}.{decimals}f} %".replace("-", "−")


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


def day(time: object) -> str:
    """A date in words.

    >>> day(pd.Timestamp("2015-03-01T13:00"))
    '1 Mar 2015'
    """
    if not is_known(time):
        return MISSING
    stamp = pd.Timestamp(time)  # type: ignore[arg-type]
    return f"{stamp.day} {stamp.strftime('%b %Y')}"


def instant(time: object) -> str:
    """A date and time of day in words.

    >>> instant(pd.Timestamp("2015-03-01T13:00"))
    '1 Mar 2015, 13:00 UTC'
    """
    if not is_known(time):
        return MISSING
    return f"{day(time)}, {pd.Timestamp(time).strftime('%H:%M')} UTC"  # type: ignore[arg-type]


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


def age(length: object) -> str:
    """How old something is, roughly: in the unit a person would use.

    >>> age(pd.Timedelta("50min")), age(pd.Timedelta("26h")), age(pd.Timedelta("697D 5h")), age(pd.Timedelta("-1h"))
    ('50 minutes', '26 hours', '697 days', '0 seconds')
    """
    if not is_known(length):
        return MISSING
    seconds = max(0.0, pd.Timedelta(length).total_seconds())  # type: ignore[arg-type]
    name, size = next((name, size) for name, size, most in (
        ("second", 1, 120), ("minute", 60, 120), ("hour", 3600, 48), ("day", 86400, math.inf))
        if seconds / size < most)
    return counted(int(seconds // size), name)


def counted(count: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "station"), counted(1200, "station"), counted(2, "city")
    ('1 station', '1,200 stations', '2 cities')
    """
    if count == 1:
        return f"1 {noun}"
    plural = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else f"{noun}s"
    return f"{count:,} {plural}"


def units_in_words(units: str) -> str:
    """CF units as people write them: exponents raised, u as µ.

    >>> units_in_words("ug m-3"), units_in_words("m3 s-1"), units_in_words("degC"), units_in_words("1")
    ('µg m⁻³', 'm³ s⁻¹', '°C', '')
    """
    if units in ("1", ""):
        return ""
    words = re.sub(r"\bu(?=[gm]\b)", "µ", re.sub(r"\bdeg_?([CF])\b", r"°\1", units))
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return re.sub(r"(?<=[A-Za-zµ])\^?(-?\d+)", lambda found: found.group(1).translate(raised), words)


def silence_words(source: SourceFreshness, place: str = "station") -> str:
    """Which nodes of a source are silent, and since when by their own last stamps; empty where none is."""
    silent = [one for one in source.nodes if one.overdue]
    if not silent and not source.overdue:
        return ""
    if source.overdue or len(silent) == len(source.nodes):
        since = "nothing ever came" if source.newest is None else f"nothing came after {stamp(source.newest)} UTC"
        which = f"all {counted(len(silent), place)} of " if len(silent) > 1 else ""
        return f"{which}{source.domain} {'are' if which else 'is'} silent: {since}"
    named = [f"{one.node} ({'never heard' if one.newest is None else f'since {stamp(one.newest)} UTC'})"
             for one in silent[:3]]
    more = f" and {len(silent) - 3} more" if len(silent) > 3 else ""
    told = f"{len(silent)} of {counted(len(source.nodes), place)} of {source.domain}"
    return f"{told} {'is' if len(silent) == 1 else 'are'} silent: {', '.join(named)}{more}"


def unit_words(units: str) -> str:
    """A unit in brackets, as a heading wants it.

    >>> unit_words("ug m-3"), unit_words("1"), unit_words("unknown")
    (' (µg m⁻³)', '', ' (unit not stated)')
    """
    words = "unit not stated" if units == "unknown" else units_in_words(units)
    return f" ({words})" if words else ""


def change_type_in_words(sort: str) -> str:
    """The sort of an episode as people say it; unknown sorts stay as they are.

    >>> change_type_in_words("health"), change_type_in_words("level"), change_type_in_words("drift")
    ('outage', 'shift of the level', 'drift')
    """
    words = {"health": "outage", "level": "shift of the level", "scale": "change of the spread",
             "input": "context not seen before", "calibration": "intervals that do not hold"}
    return words.get(sort, sort)


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
