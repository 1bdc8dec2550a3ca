"""How rows that arrive one by one (a message, a pushed object, a line of a query) are to be understood."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from terracast.streams.clock import TOLERANCE, Clock, span_text
from terracast.streams.errors import PanelError, ReadError
from terracast.streams.panel import KINDS
from terracast.streams.readers.local_time import DROPPED
from terracast.streams.readers.wanted import Names, Wanted

NO_NODE = "no node"
AHEAD = "more than a step ahead of the clock here"
AMBIGUOUS, NONEXISTENT = DROPPED["ambiguous_dropped"], DROPPED["nonexistent_dropped"]
NO_VALUE = "no value"
OTHER_UNIT = "in another unit"
NO_FORM = "not in the form set"


class RowError(ReadError):
    """A row that cannot be a report; ``reason`` is the short form under which such rows are counted."""

    def __init__(self, reason: str, what: str, *, where: str, expected: str, remedy: str) -> None:
        super().__init__(what, where=where, expected=expected, remedy=remedy)
        self.reason = reason


class RowReport(NamedTuple):
    """What one node said of one instant; times in ns since 1970, UTC. ``units`` and ``facts`` of
    the node as the row says them."""

    time: int
    node: str
    known: int
    values: dict[str, float]
    lat: float = math.nan
    lon: float = math.nan
    units: Mapping[str, str] = {}
    facts: Mapping[str, str] = {}


@dataclass(frozen=True)
class Terms:
    """How a domain's rows are to be understood.

    ``variables``: the fields that are measured (none given: every other field). ``time`` None: a row is stamped
    when it arrives. ``known_time``: the field that says when it was known; else ``delay`` after its time; else on
    arrival. ``time_zone``: of stamps without an offset (default UTC); a stamp in the doubled or the skipped hour of
    a clock change cannot be placed and is left out. ``anchor`` (one stamp) and ``calendar`` ("month" or a zone) say the
    clock with ``step``; ``stamps`` "nearest" puts a stamp on the nearest tick if that is at most a quarter of a step
    away (else the store refuses it), "floor" on the step it lies in, "exact" leaves it. Of the first two only
    the last reading of a step counts. ``variable``, ``value`` and ``unit``: the fields of a table with one row per
    variable; ``unit`` also names the field of units elsewhere. ``reading``: how the rows are written, as options of
    ``streams.readers.read``.

    >>> Terms("air", pd.Timedelta("1h"), time_zone="Europe/Berlin").zone.key
    'Europe/Berlin'
    """

    domain: str
    step: pd.Timedelta
    kind: str = "sensor"
    variables: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    time: Names | None = "time"
    node: Names = "node"
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
    unit: str | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wrong = None
        if self.kind not in KINDS:
            wrong = (f"kind is {self.kind!r}", "one of " + ", ".join(KINDS))
        elif self.step <= pd.Timedelta(0):
            wrong = (f"step is {self.step}", "a positive duration")
        elif self.delay is not None and self.delay < pd.Timedelta(0):
            wrong = (f"delay is {self.delay}", "no negative duration")
        elif "wide" in self.reading and self.variable is not None:
            wrong = ("both wide and variable are given", "one of them")
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

    def placed(self, time: np.ndarray) -> np.ndarray:
        """Stamps (ns) on the clock, as ``stamps`` says."""
        if self.stamps == "exact":
            return time
        stamps = time.astype("datetime64[ns]")
        if self.stamps == "floor":
            floors = [self.clock.shown(self.clock.floor(self.clock.even(stamp))) for stamp in stamps]
            return np.array(floors, "datetime64[ns]").astype(np.int64)
        ticks = self.clock.nearest(stamps).astype("datetime64[ns]").astype(np.int64)
        return np.where(np.abs(ticks - time) <= TOLERANCE * self.step_ns, ticks, time)

    @cached_property
    def wanted(self) -> Wanted:
        """How their table is to be read; columns of the axes are chosen where it is read."""
        return Wanted(where=self.domain, domain=self.domain, kind=self.kind, units=self.units, value=self.value,
                      variable=self.variable, time_zone=None if self.time_zone == "UTC" else self.time_zone,
                      **self.reading)

    @cached_property
    def step_ns(self) -> int:
        """The step in ns."""
        return int(self.step.to_timedelta64().astype("timedelta64[ns]").astype(np.int64))
