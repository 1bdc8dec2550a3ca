"""A domain's clock: which stamps exist. An anchor and a fixed step, or a calendar step: months, or days of a time zone.

Months and local days are not equally long, and everything above the data counts in equal steps. So a calendar clock
also has *even* stamps, an even step apart, and a rising map between true and even time: between two ticks both run
evenly. The map keeps every order, so nothing is known earlier on one side than on the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from terracast.streams.errors import PanelError
from terracast.streams.instant import instant

MONTH = pd.Timedelta(seconds=2_629_746)  # the mean month of the Gregorian calendar, 365.2425 days / 12
YEAR = 12 * MONTH
DAY = pd.Timedelta("1D")
EPOCH = np.datetime64("1970-01-01", "ns")
TOLERANCE = 0.25  # share of a step that a stamp may lie off the clock and still be taken to it
# what NetCDF files say of how their dates are counted (CF conventions): no word of ours
CF_CALENDARS = frozenset({"standard", "gregorian", "proleptic_gregorian", "julian", "noleap", "365_day", "all_leap",
                          "366_day", "360_day", "utc", "tai", "none"})
FIRST, LAST = np.datetime64("1700-01-01", "ns"), np.datetime64("2250-01-01", "ns")  # what nanoseconds can hold
_SPAN = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*(mo|months?|q|quarters?|y|years?|d)\s*", re.IGNORECASE)
_WORDS = {"m": MONTH, "q": 3 * MONTH, "y": YEAR, "d": DAY}
_UNITS = ((YEAR, "y"), (MONTH, "mo"), (DAY, "D"), (pd.Timedelta("1h"), "h"), (pd.Timedelta("1min"), "min"),
          (pd.Timedelta("1s"), "s"), (pd.Timedelta("1ms"), "ms"), (pd.Timedelta("1us"), "us"),
          (pd.Timedelta("1ns"), "ns"))


def span(text: str | pd.Timedelta) -> pd.Timedelta:
    """A duration in words; ``mo`` (months), ``q`` (quarters) and ``y`` (years) are even ones.

    Parameters
    ----------
    text : str or pandas.Timedelta
        Such as ``"10min"``, ``"7d"``, ``"1mo"``.

    Raises
    ------
    ValueError
        Where the text is no duration.

    Examples
    --------
    >>> span("7d") == pd.Timedelta("7D"), span("1y") == 12 * span("1mo")
    (True, True)
    """
    if isinstance(text, str) and (found := _SPAN.fullmatch(text)):
        return float(found[1]) * _WORDS[found[2][0].lower()]
    try:
        return pd.Timedelta(text)
    except ValueError:
        raise ValueError(f"{text!r} is no duration such as 10min, 7d or 1mo") from None


def span_text(length: pd.Timedelta) -> str:
    """A duration in few characters, in the largest unit that divides it.

    >>> span_text(pd.Timedelta("6h")), span_text(pd.Timedelta("90s")), span_text(24 * MONTH), span_text(3 * MONTH)
    ('6h', '90s', '2y', '3mo')
    """
    for unit, word in _UNITS:
        if length % unit == pd.Timedelta(0):
            return f"{length // unit}{word}"
    raise ValueError(f"{length!r} is no duration")


@dataclass(frozen=True)
class Clock:
    """Which stamps a domain has.

    Parameters
    ----------
    step : numpy.timedelta64
        Time between two ticks (ns); of a calendar clock the even step: ``MONTH`` or days.
    anchor : numpy.datetime64
        One tick (UTC, ns). Of months it says the day: the 31st (or any last day of its month) means the last one.
    calendar : str
        ``""`` for a fixed step, ``"month"``, or the name of a time zone whose days (or weeks) are counted.

    Examples
    --------
    >>> weeks = Clock(np.timedelta64(7, "D"), np.datetime64("2019-01-07"))
    >>> str(weeks.floor(np.datetime64("2024-05-15T12:00")))[:10]
    '2024-05-13'
    >>> months = Clock(MONTH.to_timedelta64(), np.datetime64("1995-01-01"), "month")
    >>> tick = months.floor(months.even(np.datetime64("2024-03-15")))
    >>> str(months.shown(tick))[:10], str(months.shown(tick + months.step))[:10]
    ('2024-03-01', '2024-04-01')
    """

    step: np.timedelta64
    anchor: np.datetime64 = EPOCH
    calendar: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", np.timedelta64(self.step).astype("timedelta64[ns]"))
        object.__setattr__(self, "anchor", instant(self.anchor))
        unit = {"": 1, "month": MONTH.value}.get(self.calendar, DAY.value)
        if int(self.step.astype(np.int64)) <= 0 or int(self.step.astype(np.int64)) % unit:
            raise PanelError(f"step is {span_text(pd.Timedelta(self.step))}", where=f"clock {self.calendar or 'fixed'}",
                             expected="a positive number of months, or of days in a time zone",
                             remedy="set step, such as 1mo or 1d")

    @classmethod
    def of(cls, attrs: Mapping[Any, Any]) -> Clock:
        """The clock that a panel's (or stored domain's) attributes ``step``, ``anchor``, ``calendar`` describe."""
        length = span(str(attrs["step"]))
        told = str(attrs.get("calendar") or "")
        calendar = "" if told in CF_CALENDARS else told
        calendar = calendar or ("month" if length % MONTH == pd.Timedelta(0) else "")
        anchor = attrs.get("anchor")
        return cls(length.to_timedelta64(), EPOCH if anchor is None else instant(str(anchor)), calendar)

    @property
    def attrs(self) -> dict[str, str]:
        """What ``of`` reads; ``anchor`` and ``calendar`` only where they say something."""
        told = {"step": span_text(pd.Timedelta(self.step))}
        if self.calendar or self.phase:
            told["anchor"] = str(pd.Timestamp(self.anchor).isoformat())
        return told | ({"calendar": self.calendar} if self.calendar else {})

    @property
    def phase(self) -> int:
        """How far the ticks of a fixed step lie behind whole steps since 1970, ns."""
        return int(self.anchor.astype(np.int64)) % int(self.step.astype(np.int64))

    def number(self, stamps: np.ndarray) -> np.ndarray:
        """The tick nearest to each true stamp, counted from a fixed origin (any shape; NaT is not allowed).

        A stamp anywhere in a month belongs to that month.
        """
        stamps = np.asarray(stamps, "datetime64[ns]")
        size = int(self.step.astype(np.int64))
        if not self.calendar:
            return np.asarray((stamps.astype(np.int64) - self.phase + size // 2) // size)
        if self.calendar == "month":
            months = stamps.astype("datetime64[M]").astype(np.int64) - self._origin
            return np.asarray(months // (size // MONTH.value))
        return np.asarray(np.rint((self.even(stamps).astype(np.int64) - self._even_origin) / size).astype(np.int64))

    def ticks(self, numbers: np.ndarray) -> np.ndarray:
        """The true stamps of these numbers."""
        numbers = np.asarray(numbers, np.int64)
        size = int(self.step.astype(np.int64))
        if not self.calendar:
            return np.asarray((numbers * size + self.phase).astype("datetime64[ns]"))
        true, even = _table(self.calendar, self.anchor)
        return _moved(numbers * size + self._even_origin, even, true)

    def nearest(self, stamps: np.ndarray) -> np.ndarray:
        """The tick nearest to each true stamp."""
        return self.ticks(self.number(stamps))

    def between(self, first: np.datetime64, last: np.datetime64) -> np.ndarray:
        """All ticks from the one at ``first`` to the one at ``last``, true stamps, both included."""
        begin, end = self.number(np.array([first, last], "datetime64[ns]"))
        return self.ticks(np.arange(begin, end + 1))

    def even(self, stamps: np.ndarray | np.datetime64) -> Any:
        """True stamps on the even axis that the loop counts on; of a fixed step they are the same."""
        if not self.calendar:
            return stamps
        true, even = _table(self.calendar, self.anchor)
        return _moved(np.asarray(stamps, "datetime64[ns]").astype(np.int64), true, even)[()]

    def shown(self, stamps: np.ndarray | np.datetime64) -> Any:
        """Even stamps as the true ones that people and files are given; the inverse of ``even``."""
        if not self.calendar:
            return stamps
        true, even = _table(self.calendar, self.anchor)
        return _moved(np.asarray(stamps, "datetime64[ns]").astype(np.int64), even, true)[()]

    def floor(self, stamp: np.datetime64, cadence: np.timedelta64 | None = None) -> np.datetime64:
        """The last tick of ``cadence`` (default: a step) at or before ``stamp``, both even.

        Ticks of a longer cadence are counted from the first tick of 1970, so that a forecast every six hours is made at
        00, 06, 12 and 18 o'clock.
        """
        size = int((self.step if cadence is None else cadence).astype("timedelta64[ns]").astype(np.int64))
        origin = self.phase if not self.calendar else self._even_origin
        return np.datetime64((int(instant(stamp).astype(np.int64)) - origin) // size * size + origin, "ns")

    @property
    def _origin(self) -> int:
        """Number of the month of the anchor within a step of several months."""
        count = int(self.step.astype(np.int64)) // MONTH.value
        return int(self.anchor.astype("datetime64[M]").astype(np.int64)) % count

    @property
    def _even_origin(self) -> int:
        """The even stamp of tick 0, ns."""
        _, even = _table(self.calendar, self.anchor)
        if self.calendar == "month":
            first = int(FIRST.astype("datetime64[M]").astype(np.int64))
            return int(even[self._origin - first])
        first = int(FIRST.astype("datetime64[D]").astype(np.int64))
        days = int(self.step.astype(np.int64)) // DAY.value
        local = _local_days(self.calendar, np.array([self.anchor]))[0]
        return int(even[int(local) % days - first])


def common_phase(stamps: np.ndarray, step: np.timedelta64) -> tuple[np.timedelta64, float]:
    """How far most stamps lie behind whole steps since 1970 (of equals the first one met), and their share.

    >>> hours = np.array(["2020-01-01T00:05", "2020-01-01T01:05", "2020-01-01T02:00"], "datetime64[ns]")
    >>> phase, share = common_phase(hours, np.timedelta64(1, "h"))
    >>> int(phase / np.timedelta64(1, "m")), round(share, 2)
    (5, 0.67)
    """
    size = int(step.astype("timedelta64[ns]").astype(np.int64))
    behind = stamps.astype("datetime64[ns]").astype(np.int64) % size
    if not len(behind):
        return np.timedelta64(0, "ns"), 0.0
    if (behind == behind[0]).all():  # which costs less than to count them
        return np.timedelta64(int(behind[0]), "ns"), 1.0
    codes, phases = pd.factorize(behind)  # in order of first meeting
    counts = np.bincount(codes)
    return np.timedelta64(int(phases[np.argmax(counts)]), "ns"), float(counts.max() / len(stamps))


def _moved(stamps: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Integer stamps from one axis to the other, evenly between two ticks; NaT and what is beyond the table stay."""
    inside = (stamps >= source[0]) & (stamps <= source[-1])
    held = np.clip(stamps, source[0], source[-1])
    at = np.clip(np.searchsorted(source, held, side="right") - 1, 0, len(source) - 2)
    begin, length = source[at], source[at + 1] - source[at]
    share = (held - begin).astype(np.float64) / length
    between = np.rint(share * (target[at + 1] - target[at])).astype(np.int64)
    return np.asarray(np.where(inside, target[at] + between, stamps)).astype("datetime64[ns]")


@lru_cache(maxsize=8)
def _table(calendar: str, anchor: np.datetime64) -> tuple[np.ndarray, np.ndarray]:
    """True and even stamps (ns) of every month, or day of the zone, from ``FIRST`` to ``LAST``."""
    if calendar == "month":
        return _months(anchor)
    days = np.arange(FIRST.astype("datetime64[D]"), LAST.astype("datetime64[D]"))
    time = (pd.Timestamp(anchor).tz_localize("UTC").tz_convert(calendar).tz_localize(None))
    local = pd.DatetimeIndex(days.astype("datetime64[ns]")) + (time - time.normalize())
    true = local.tz_localize(calendar, ambiguous=np.ones(len(local), bool), nonexistent="shift_forward")
    even = days.astype("datetime64[ns]").astype(np.int64)
    return true.tz_convert("UTC").tz_localize(None).to_numpy("datetime64[ns]").astype(np.int64), even


def _months(anchor: np.datetime64) -> tuple[np.ndarray, np.ndarray]:
    months = np.arange(FIRST.astype("datetime64[M]"), LAST.astype("datetime64[M]"))
    starts, nexts = (one.astype("datetime64[D]") for one in (months, months + 1))
    stamp = pd.Timestamp(anchor)
    lengths = (nexts - starts).astype(np.int64)
    day = lengths - 1 if stamp.is_month_end else np.minimum(stamp.day - 1, lengths - 1)
    time = int((stamp - stamp.normalize()).value)
    true = starts.astype("datetime64[ns]").astype(np.int64) + day * DAY.value + time
    plain = months.astype(np.int64) * MONTH.value
    # The even stamp of a month lies in that month, so that its date names the right one.
    apart = true - plain
    return true, plain + int(apart.max() if stamp.day <= 15 else apart.min())


def _local_days(zone: str, stamps: np.ndarray) -> np.ndarray:
    """The local date of each stamp, as days since 1970."""
    local = pd.DatetimeIndex(stamps).tz_localize("UTC").tz_convert(zone).tz_localize(None)
    return local.to_numpy("datetime64[D]").astype(np.int64)
