"""Stamps as people write them, by a format: strptime's directives, and what real files need beside them.

``%Y %V`` is a year and an epidemiological week (it begins on a Sunday), ``%G %V`` an ISO week (a Monday), ``%u``
the first such day of the week from a date on, 1 is Monday, ``%q`` a quarter,
``%k/48`` the number of a part of the day of which there are 48,
``%Z`` the usual abbreviation of a time zone; ``[ %H:%M]`` may be absent, ``*`` stands for any text. The hour
24 is the midnight that follows, and months may be named in many languages. Beside formats: ``epoch-s``, ``epoch-ms``,
``epoch-us``, ``epoch-ns`` since 1970, and ``excel``, days since 1899-12-30.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np
import pandas as pd

from terracast.streams.instant import instant, instants

EPOCHS = {"epoch-s": 1_000_000_000, "epoch-ms": 1_000_000, "epoch-us": 1_000, "epoch-ns": 1}
EXCEL = "excel"
ISO = "ISO8601"
LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "nb", "fi", "pl", "cs", "hu", "ro", "tr", "ru", "uk",
             "el", "et", "lv", "lt", "sl", "ca")
MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
          "december")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Hours ahead of UTC. Abbreviations that mean several zones (IST, CST of China) are read as the commonest in files.
ZONES = {"UTC": 0, "GMT": 0, "Z": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "MEZ": 1, "CEST": 2, "MESZ": 2, "EET": 2,
         "EEST": 3, "MSK": 3, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
         "AKST": -9, "AKDT": -8, "HST": -10, "AST": -4, "ADT": -3, "NST": -3.5, "JST": 9, "KST": 9, "AWST": 8,
         "ACST": 9.5, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13, "SAST": 2, "CLT": -4, "CLST": -3, "BRT": -3}
PARTS = {"Y": r"(?P<Y>\d{4})", "y": r"(?P<y>\d{2})", "m": r"(?P<m>\d{1,2})", "d": r"(?P<d>\d{1,2})",
         "H": r"(?P<H>\d{1,2})", "I": r"(?P<I>\d{1,2})", "M": r"(?P<M>\d{1,2})", "S": r"(?P<S>\d{1,2})",
         "f": r"(?P<f>\d{1,9})", "p": r"(?P<p>[AaPp])\.?\s?[Mm]\.?", "b": r"(?P<b>[^\W\d_]+)\.?",
         "B": r"(?P<b>[^\W\d_]+)\.?", "j": r"(?P<j>\d{1,3})", "G": r"(?P<G>\d{4})", "V": r"(?P<V>\d{1,2})",
         "u": r"(?P<u>[1-7])", "q": r"(?P<q>[1-4])", "z": r"(?P<z>Z|[+-]\d{2}(?::?\d{2})?)", "Z": r"(?P<Z>[A-Za-z]+)",
         "a": r"[^\W\d_]+\.?", "A": r"[^\W\d_]+\.?", "%": "%"}
FIXED = {"Y", "y", "m", "d", "H", "M", "S"}  # digits that may stand side by side need their full width
PLAIN = re.compile(r"(?:%[YmdHMSfzj]|[^%\[\]*])+")  # what pandas reads as we do
FIRST_YEAR, LAST_YEAR = 1678, 2262  # beyond which nanoseconds do not reach
PIVOT = 40  # two digits of a year from here on are of the last century


def says_offset(form: str | None) -> bool:
    """Whether stamps of this format are instants, wherever they were written."""
    return form is not None and ("%z" in form or "%Z" in form or form in EPOCHS)


def parse(texts: np.ndarray, form: str | None) -> np.ndarray:
    """Texts as stamps (ns; UTC where they say their offset), NaT where one is none.

    Parameters
    ----------
    texts : numpy.ndarray
        Texts (object), stripped; distinct ones, as the way for odd forms takes some microseconds each.
    form : str or None
        The format; None: ISO 8601.

    Examples
    --------
    >>> said = np.array(["31.12.2024 24:00", "1.2.2024 7:30"], dtype=object)
    >>> parse(said, "%d.%m.%Y %H:%M").astype("datetime64[m]").astype(str).tolist()
    ['2025-01-01T00:00', '2024-02-01T07:30']
    >>> parse(np.array(["2015 53"], dtype=object), "%G %V").astype("datetime64[D]").astype(str).tolist()
    ['2015-12-28']
    """
    if form in EPOCHS or form == EXCEL:
        return _counted(texts, str(form))
    form = form or ISO
    stamps = np.full(len(texts), np.datetime64("NaT", "ns"))
    if form == ISO or PLAIN.fullmatch(form):
        found = pd.to_datetime(pd.Series(texts, dtype=object), format=form, utc=True, errors="coerce")
        stamps = instants(found.dt.tz_localize(None).to_numpy()).copy()
    left = np.flatnonzero(np.isnat(stamps))
    if not len(left):
        return stamps
    pattern = _pattern(form if form != ISO else "%Y-%m-%d[T%H[:%M[:%S[.%f]]]][%z]")
    for at in left:
        text = str(texts[at]).strip()
        said = pattern.fullmatch(text if form != ISO else text.replace(" ", "T", 1))
        if said:
            stamps[at] = _stamp({name: value for name, value in said.groupdict().items() if value is not None})
    return stamps


def _counted(texts: np.ndarray, form: str) -> np.ndarray:
    """Numbers since an origin."""
    numbers = pd.to_numeric(pd.Series(texts, dtype=object).str.replace(",", ".", regex=False), errors="coerce")
    if form == EXCEL:
        origin = np.datetime64("1899-12-30", "ns").astype(np.int64)
        seconds = np.rint(numbers.to_numpy(np.float64) * 86400)
        return _within(seconds * 1e9 + float(origin), numbers.isna().to_numpy())
    if pd.api.types.is_integer_dtype(numbers):
        return (numbers.to_numpy(np.int64) * EPOCHS[form]).astype("datetime64[ns]")
    return _within(np.rint(numbers.to_numpy(np.float64) * EPOCHS[form] / 1e3) * 1e3, numbers.isna().to_numpy())


def _within(counts: np.ndarray, blank: np.ndarray) -> np.ndarray:
    wrong = blank | ~(np.abs(counts) < 9.2e18)
    stamps = np.where(wrong, 0, counts).astype(np.int64).astype("datetime64[ns]")
    stamps[wrong] = np.datetime64("NaT", "ns")
    return stamps


@lru_cache(maxsize=64)
def _pattern(form: str) -> re.Pattern[str]:
    """A format as a regular expression; ``KeyError`` on a directive that is not known."""
    out, at = [], 0
    while at < len(form):
        sign = form[at]
        periods = re.match(r"%k/(\d+)", form[at:])
        if periods:
            out.append(rf"(?P<k{periods[1]}>\d{{1,3}})")
            at += len(periods[0])
            continue
        if sign == "%" and at + 1 < len(form):
            part, beside = PARTS[form[at + 1]], form[at + 2:at + 3] == "%"
            if form[at + 1] in FIXED and (beside or (at and form[at - 2:at - 1] == "%")):
                part = part.replace("{1,2}", "{2}")
            out.append(part)
            at += 2
            continue
        out.append({"[": "(?:", "]": ")?", "*": ".*", " ": r"\s+"}.get(sign, re.escape(sign)))
        at += 1
    return re.compile("".join(out), re.IGNORECASE)


def _stamp(said: dict[str, str]) -> np.datetime64:
    """The instant that the named parts of a text say, NaT where there is none."""
    try:
        day = _day(said)
        if not FIRST_YEAR < day.year < LAST_YEAR:
            return np.datetime64("NaT", "ns")
        hour = int(said.get("H", said.get("I", "0")))
        if "p" in said:
            hour = hour % 12 + (12 if said["p"].lower() == "p" else 0)
        minute, second = int(said.get("M", "0")), int(said.get("S", "0"))
        if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second)):
            return np.datetime64("NaT", "ns")
        stamp = np.datetime64(day).astype("datetime64[ns]") + np.timedelta64(hour * 3600 + minute * 60 + second, "s")
        count = next((name for name in said if name[0] == "k"), None)
        if count is not None:
            stamp += np.timedelta64(86_400_000 * (int(said[count]) - 1) // int(count[1:]), "ms")
        stamp += np.timedelta64(int(said.get("f", "0").ljust(9, "0")[:9]), "ns")
        return instant(stamp - np.timedelta64(round(_offset(said) * 3600), "s"))
    except (ValueError, KeyError, OverflowError):
        return np.datetime64("NaT", "ns")


def _offset(said: dict[str, str]) -> float:
    """Hours ahead of UTC."""
    if "Z" in said:
        return ZONES[said["Z"].upper()]
    text = said.get("z", "Z")
    if text.upper() == "Z":
        return 0.0
    digits = text[1:].replace(":", "").ljust(4, "0")
    return (int(digits[:2]) + int(digits[2:]) / 60) * (-1 if text[0] == "-" else 1)


def _day(said: dict[str, str]) -> datetime:
    if "G" in said:
        return datetime.fromisocalendar(int(said["G"]), int(said["V"]), int(said.get("u", "1")))
    year = int(said["Y"]) if "Y" in said else _century(int(said["y"]))
    if "V" in said:
        return epidemiological_week(year, int(said["V"]))
    if "j" in said:
        day = datetime(year, 1, 1) + timedelta(days=int(said["j"]) - 1)
        if day.year != year:
            raise ValueError("no such day")
        return day
    month = 3 * int(said["q"]) - 2 if "q" in said else int(said.get("m", "1"))
    if "b" in said:
        month = month_names()[said["b"].lower()]
    day = datetime(year, month, int(said.get("d", "1")))
    return day + timedelta(days=(int(said["u"]) - day.isoweekday()) % 7) if "u" in said else day


def _century(year: int) -> int:
    """Two digits of a year: 40 is 1940, 39 is 2039."""
    return year + (1900 if year >= PIVOT else 2000)


def epidemiological_week(year: int, week: int) -> datetime:
    """The Sunday on which a week of the American calendar of disease surveillance (MMWR) begins.

    >>> epidemiological_week(2020, 53).date().isoformat()
    '2020-12-27'
    """
    first = datetime(year, 1, 4)
    start = first - timedelta(days=first.isoweekday() % 7)
    begin = start + timedelta(weeks=week - 1)
    if not 1 <= week <= 53 or (week == 53 and (begin + timedelta(days=3)).year != year):
        raise ValueError("no such week")
    return begin


def weekday_numbers(names: Sequence[str]) -> dict[str, int]:
    """The names that are the seven days of a week in one language, with their numbers from 1 (Monday); else nothing.

    >>> weekday_numbers(["week", "Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"])["Do"], weekday_numbers(["Mo", "Di"])
    (4, {})
    """
    for language in LANGUAGES:
        info = importlib.import_module(f"dateparser.data.date_translation_data.{language}").info
        known = {word: number for number, day in enumerate(WEEKDAYS, 1) for name in (day, *info.get(day, ()))
                 for word in (name.lower().strip("."), name.lower()[:3].strip("."), name.lower()[:2])}
        found = {name: known[word] for name in names if (word := name.strip().strip(".").lower()) in known}
        if sorted(found.values()) == list(range(1, 8)):
            return found
    return {}


@lru_cache(maxsize=1)
def month_names() -> dict[str, int]:
    """Names of months and their short forms in many languages; a name that means two months means none.

    >>> month_names()["dezember"], month_names()["févr"], month_names()["ene"]
    (12, 2, 1)
    """
    found: dict[str, set[int]] = {}
    for language in LANGUAGES:
        info = importlib.import_module(f"dateparser.data.date_translation_data.{language}").info
        for number, month in enumerate(MONTHS, 1):
            for name in info.get(month, ()):
                for word in {name.lower().strip("."), name.lower().strip(".")[:3] if len(name) > 4 else name.lower()}:
                    found.setdefault(word, set()).add(number)
    english = {short: number for number, month in enumerate(MONTHS, 1) for short in (month, month[:3])}
    return {name: min(numbers) for name, numbers in found.items() if len(numbers) == 1} | english
