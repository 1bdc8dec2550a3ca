"""Numbers, shares, dates and units in words: the same form in alarms, on the page and on the terminal."""

from __future__ import annotations

import math
import re

import pandas as pd

MISSING = "–"


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


NAMELESS = "0"  # the one place of a table that names none


def listed(names: tuple[str, ...], most: int = 3, more: int = 0) -> str:
    """Names as a sentence lists them: at most so many, then how many others; ``more``: others beside ``names``.

    >>> listed(("a",)), listed(("a", "b")), listed(("a", "b", "c", "d", "e")), listed(("a", "b"), more=7)
    ('a', 'a and b', 'a, b, c and 2 more', 'a, b and 7 more')
    """
    shown, others = list(names[:most]), max(0, len(names) - most) + more
    parts = [*shown, f"{others} more"] if others else shown
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def sentence(text: str) -> str:
    """A clause as a sentence: it begins with a capital and ends with a full stop.

    >>> sentence("version 2 serves"), sentence("PM2.5 is known.")
    ('Version 2 serves.', 'PM2.5 is known.')
    """
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "!", "?")) else ".")


def units_in_words(units: str) -> str:
    """CF units as people write them: exponents raised, u as µ.

    >>> units_in_words("ug m-3"), units_in_words("m3 s-1"), units_in_words("degC"), units_in_words("1")
    ('µg m⁻³', 'm³ s⁻¹', '°C', '')
    >>> units_in_words("unknown")
    'unit not stated'
    """
    if units in ("1", ""):
        return ""
    if units == "unknown":
        return "unit not stated"
    words = re.sub(r"\bu(?=[gm]\b)", "µ", re.sub(r"\bdeg_?([CF])\b", r"°\1", units))
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return re.sub(r"(?<=[A-Za-zµ])\^?(-?\d+)", lambda found: found.group(1).translate(raised), words)
