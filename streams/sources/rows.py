"""Rows as they arrive one by one (a message, a pushed object, a line of a query) as reports with two times."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from terracast.streams.clock import TOLERANCE, Clock, span_text
from terracast.streams.errors import PanelError, ReadError
from terracast.streams.panel import KINDS
from terracast.streams.readers.local_time import DROPPED
from terracast.streams.readers.numbers import MISSING

EPOCH = datetime(1970, 1, 1)
NO_TIME = "no time stamp"
NO_NODE = "no node"
AHEAD = "more than a step ahead of the clock here"
AMBIGUOUS, NONEXISTENT = DROPPED["ambiguous_dropped"], DROPPED["nonexistent_dropped"]
NO_NUMBER = "a value is no number"
NO_VALUE = "no value"


class RowError(ReadError):
    """A row that cannot be a report; ``reason`` is the short form under which such rows are counted."""

    def __init__(self, reason: str, what: str, *, where: str, expected: str, remedy: str) -> None:
        super().__init__(what, where=where, expected=expected, remedy=remedy)
        self.reason = reason


class RowReport(NamedTuple):
    """What one node said of one instant; times in ns since 1970, UTC."""

    time: int
    node: str
    known: int
    values: dict[str, float]
    lat: float = math.nan
    lon: float = math.nan


@dataclass(frozen=True)
class Terms:
    """How a domain's rows are to be understood.

    ``variables``: the fields that are measured (none given: every other field). ``time`` None: a row is stamped
    when it arrives. ``known_time``: the field that says when it was known; else ``delay`` after its time; else on
    arrival. ``time_zone``: of stamps without an offset (default UTC); a stamp in the doubled or the skipped hour of
    a clock change cannot be placed and is left out. ``anchor`` (one stamp) and ``calendar`` ("month" or a zone) say the
    clock with ``step``; ``stamps`` "nearest" puts a stamp on the nearest tick if that is at most a quarter of a step
    away (else the store refuses it), "floor" on the step it lies in, "exact" leaves it. Of the first two only
    the last reading of a step counts. ``variable`` and ``value``: the fields of a table with one row per variable.

    >>> Terms("air", pd.Timedelta("1h"), time_zone="Europe/Berlin").zone.key
    'Europe/Berlin'
    """

    domain: str
    step: pd.Timedelta
    kind: str = "sensor"
    variables: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    time: str | None = "time"
    node: str = "node"
    lat: str = "lat"
    lon: str = "lon"
    known_time: str | None = None
    delay: pd.Timedelta | None = None
    time_zone: str = "UTC"
    stamps: Literal["exact", "nearest", "floor"] = "exact"
    anchor: str | None = None
    calendar: str = ""
    variable: str | None = None
    value: str = "value"

    def __post_init__(self) -> None:
        wrong = None
        if self.kind not in KINDS:
            wrong = (f"kind is {self.kind!r}", "one of " + ", ".join(KINDS))
        elif self.step <= pd.Timedelta(0):
            wrong = (f"step is {self.step}", "a positive duration")
        elif self.delay is not None and self.delay < pd.Timedelta(0):
            wrong = (f"delay is {self.delay}", "no negative duration")
        elif self.stamps not in ("exact", "nearest", "floor"):
            wrong = (f"stamps is {self.stamps!r}", "'exact', 'nearest' or 'floor'")
        else:
            try:
                ZoneInfo(self.time_zone)
            except (KeyError, ValueError, OSError):
                wrong = (f"time_zone is {self.time_zone!r}", "a name such as 'Europe/Berlin'")
        if wrong:
            raise PanelError(wrong[0], where=self.domain, expected=wrong[1], remedy="correct the source's settings")

    @property
    def zone(self) -> ZoneInfo:
        """The zone of stamps without an offset."""
        return ZoneInfo(self.time_zone)

    @cached_property
    def clock(self) -> Clock:
        """Which stamps the domain has."""
        told = {"step": span_text(self.step), "calendar": self.calendar}
        return Clock.of(told if self.anchor is None else {**told, "anchor": self.anchor})

    def placed(self, time: int) -> int:
        """A stamp (ns) on the clock, as ``stamps`` says."""
        if self.stamps == "exact":
            return time
        if self.stamps == "floor":
            even = self.clock.floor(self.clock.even(np.datetime64(time, "ns")))
            return int(self.clock.shown(even).astype(np.int64))
        tick = int(self.clock.nearest(np.array([time], "datetime64[ns]")).astype(np.int64)[0])
        return tick if abs(tick - time) <= TOLERANCE * self.step_ns else time

    @cached_property
    def step_ns(self) -> int:
        """The step in ns."""
        return int(self.step.to_timedelta64().astype("timedelta64[ns]").astype(np.int64))


def report_of(row: Mapping[str, object], terms: Terms, received: np.datetime64, where: str) -> RowReport:
    """One row as a report; ``received`` is when it arrived. Raises ``RowError`` in words. O(fields).

    >>> terms = Terms("air", pd.Timedelta("1h"), time_zone="Europe/Berlin")
    >>> row = {"time": "2020-07-01T14:00", "node": "a", "no2": 12}
    >>> report = report_of(row, terms, np.datetime64("2020-07-01T12:30"), "row 1")
    >>> str(np.datetime64(report.time, "ns"))[:16], str(np.datetime64(report.known, "ns"))[:16], report.values
    ('2020-07-01T12:00', '2020-07-01T12:30', {'no2': 12.0})
    """
    arrived = int(received.astype("datetime64[ns]").astype(np.int64))
    time = arrived if terms.time is None else _stamp(row.get(terms.time), terms, terms.time, where)
    time = terms.placed(time)
    node = row.get(terms.node)
    if node is None or str(node).strip() == "":
        raise RowError(NO_NODE, f"no {terms.node!r}", where=where, expected="the name of a node",
                       remedy=f"give {terms.node!r} in every row")
    if terms.known_time is not None:
        known = _stamp(row.get(terms.known_time), terms, terms.known_time, where)
    elif terms.delay is not None:
        known = time + terms.delay.value
    else:
        known = arrived
    if known < time - terms.step_ns:
        raise RowError(AHEAD, f"{terms.time} is {row.get(terms.time or '')!r}, known {np.datetime64(known, 'ns')}",
                       where=where, expected="nothing known more than a step before its time",
                       remedy="check the clock and the time zone of the sender")
    values = _values(row, terms, where)
    lat, lon = (_number(row.get(name), name, where) for name in (terms.lat, terms.lon))
    if not (abs(lat) <= 90 and abs(lon) <= 360):  # NaN as well: half a position is none
        lat = lon = math.nan
    return RowReport(time, str(node).strip(), max(known, time), values, lat, lon)


def _values(row: Mapping[str, object], terms: Terms, where: str) -> dict[str, float]:
    if terms.variable is not None:
        name = str(row.get(terms.variable))
        values = {} if terms.variables and name not in terms.variables else {
            name: _number(row.get(terms.value), terms.value, where)}
    else:
        aside = {terms.time, terms.node, terms.lat, terms.lon, terms.known_time}
        names = terms.variables or tuple(name for name in row if name not in aside)
        values = {name: _number(row[name], name, where) for name in names if name in row}
    if not values:
        raise RowError(NO_VALUE, "no value", where=where, expected="one of " + ", ".join(terms.variables or ("any",)),
                       remedy="name a measured quantity in the row")
    return values


def _number(value: object, name: str, where: str) -> float:
    """A number; None, NaN and the usual words for "missing" are NaN. Infinity is no observation."""
    if value is None or (isinstance(value, str) and value.strip().lower() in MISSING):
        return math.nan
    given: Any = value
    try:
        number = float(given)
    except (TypeError, ValueError, OverflowError):
        number = math.inf
    if math.isinf(number):
        raise RowError(NO_NUMBER, f"{name} is {str(value)[:40]!r}", where=where, expected="a finite number",
                       remedy="correct it, or name the fields to read in variables")
    return number


def _stamp(value: object, terms: Terms, name: str, where: str) -> int:
    """A stamp in ns, UTC: ISO 8601, a datetime, or seconds (above 10^11: milliseconds) since 1970."""
    if value is None or (isinstance(value, str) and value.strip().lower() in MISSING):
        raise RowError(NO_TIME, f"no {name!r}", where=where, expected="a stamp in every row",
                       remedy=f"give {name!r} as 2020-01-31T12:00Z")
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) > 1e11 else value
            return round(seconds * 1e6) * 1000 if isinstance(seconds, float) else seconds * 1_000_000_000
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)
        stamp = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
        if stamp.tzinfo is None and terms.time_zone != "UTC":
            stamp = _placed(stamp, terms, where)
        if stamp.tzinfo is not None:
            stamp = stamp.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, TypeError) as wrong:
        raise RowError(NO_TIME, f"{name} is {str(value)[:40]!r}", where=where,
                       expected="a stamp as 2020-01-31T12:00Z (ISO 8601) or seconds since 1970",
                       remedy="correct the sender") from wrong
    whole = (stamp - EPOCH) // timedelta(microseconds=1) * 1000
    if not -(2**63) <= whole < 2**63:
        raise RowError(NO_TIME, f"{name} is {str(value)[:40]!r}", where=where, expected="a year of 1678 to 2262",
                       remedy="correct the sender")
    return whole


def _placed(stamp: datetime, terms: Terms, where: str) -> datetime:
    """A local stamp with its zone; ``RowError`` where the clock showed it twice or never."""
    first, second = (stamp.replace(tzinfo=terms.zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first
    skipped = first.astimezone(UTC).astimezone(terms.zone).replace(tzinfo=None) != stamp
    raise RowError(NONEXISTENT if skipped else AMBIGUOUS,
                   f"{stamp} came {'never' if skipped else 'twice'} in {terms.time_zone}", where=where,
                   expected="a stamp that says which instant it means", remedy="send the stamp with its offset")
