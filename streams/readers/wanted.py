"""What a caller wants of a file, and the last steps that all readers share: from arrays to a checked panel."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.clock import span
from terracast.streams.errors import PanelError, ReadError
from terracast.streams.known import known_after
from terracast.streams.panel import check_panel

CONTRADICTORY = 0.01  # of the rows


@dataclass(frozen=True)
class Wanted:
    """The arguments of ``read`` in one value; ``where`` names the file in errors."""

    where: str
    domain: str
    kind: str = "sensor"
    step: str | pd.Timedelta | None = None
    anchor: str | None = None
    calendar: str | None = None
    delay: str | pd.Timedelta | None = None
    known_time: str | None = None
    variables: tuple[str, ...] | None = None
    time: str | None = None
    node: str | None = None
    lat: str | None = None
    lon: str | None = None
    wide: str | None = None
    start: str | None = None
    time_format: str | None = None
    time_zone: str | None = None
    decimal: str = "."
    separator: str | None = None
    encoding: str = "utf-8-sig"
    units: Mapping[str, str] = field(default_factory=dict)

    def refusal(self, what: str, *, expected: str, remedy: str, row: int | None = None) -> ReadError:
        """A ``ReadError`` about this file (and line)."""
        where = self.where if row is None else f"{self.where} line {row}"
        return ReadError(what, where=where, expected=expected, remedy=remedy)


def finish(data: Mapping[str, np.ndarray], attrs: Mapping[str, Mapping[Hashable, object]], time: np.ndarray,
           nodes: np.ndarray, coords: Mapping[Hashable, object], wanted: Wanted,
           file_attrs: Mapping[Hashable, object]) -> xr.Dataset:
    """Arrays (time, node) as a checked panel with attrs and known time.

    ``coords`` may hold ``lat``, ``lon`` and ``known_time``; ``file_attrs`` are kept; they hold the clock.
    """
    unknown = [name for name in wanted.units if name not in data]
    if unknown:
        raise wanted.refusal(f"units are given for {unknown[0]!r}", expected="one of " + ", ".join(data),
                             remedy="name a variable that is read")
    panel = xr.Dataset(
        {name: (("time", "node"), values, _attrs(name, attrs.get(name, {}), wanted))
         for name, values in data.items()},
        {"time": time, "node": nodes, **coords},
        {**file_attrs, "domain": wanted.domain, "kind": wanted.kind})
    if "known_time" not in panel.coords:
        panel = known_after(panel, _delay(span(str(file_attrs["step"])), wanted))
    try:
        return check_panel(panel)
    except PanelError as wrong:
        raise ReadError(wrong.what, where=wanted.where, expected=wrong.expected, remedy=wrong.remedy) from wrong


@dataclass(frozen=True)
class Repeated:
    """Rows that were dropped because one of the same stamp (and node) came before: those that say the same, and those
    that say something else, of which a few come with every change of the clock and many mean that a column tells the
    rows apart."""

    identical: int
    contradictory: int

    def too_many(self, rows: int) -> bool:
        """Whether so many rows of ``rows`` contradict an earlier one that no reading can be trusted."""
        return self.contradictory > CONTRADICTORY * rows

    @property
    def in_all(self) -> str:
        """How many more, for a refusal that names the first."""
        return f" ({self.contradictory} such rows)" if self.contradictory > 1 else ""

    def attrs(self, ticks: Mapping[Hashable, object]) -> dict[Hashable, object]:
        """What a panel says of it, beside what its ``ticks`` say."""
        other = self.contradictory + int(str(ticks.get("same_step_dropped", 0)))
        return {**ticks, "duplicates_dropped": self.identical, **({"same_step_dropped": other} if other else {})}


def in_order(time: np.ndarray, blocks: Mapping[str, np.ndarray], wanted: Wanted,
             lines: np.ndarray | None = None) -> tuple[np.ndarray, Repeated]:
    """Rows to keep of a table whose rows are stamps, and what was dropped: of rows with one stamp the first is kept.

    Raises ``ReadError`` when time goes backwards, or when many stamps come twice with different values.
    """
    def line(row: int) -> int | None:
        return None if lines is None else int(lines[row])

    steps = np.diff(time)
    back = np.flatnonzero(steps < np.timedelta64(0))
    if len(back):
        raise wanted.refusal(f"time goes backwards to {np.datetime_as_string(time[back[0] + 1], 's')}",
                             row=line(int(back[0]) + 1), expected="increasing stamps", remedy="sort by time")
    doubled = np.flatnonzero(steps == np.timedelta64(0)) + 1
    other = [(int(row), name) for row in doubled if (name := differs(blocks, int(row) - 1, int(row)))]
    repeated = Repeated(len(doubled) - len(other), len(other))
    if repeated.too_many(len(time)):
        row, name = other[0]
        raise wanted.refusal(f"{name} differs between two rows of {np.datetime_as_string(time[row], 's')}"
                             f"{repeated.in_all}", row=line(row), expected="one row per stamp",
                             remedy="keep one of the two rows")
    keep = np.ones(len(time), dtype=bool)
    keep[doubled] = False
    return keep, repeated


def differs(columns: Mapping[str, np.ndarray], one: int, other: int) -> str | None:
    """The first column whose values in two rows are not the same, None where the rows are identical."""
    return next((name for name, values in columns.items()
                 if not np.array_equal(values[one], values[other], equal_nan=True)), None)


def _attrs(name: str, attrs: Mapping[Hashable, object], wanted: Wanted) -> dict[Hashable, object]:
    given = dict(attrs)
    given["units"] = wanted.units.get(name) or str(given.get("units") or "unknown")
    given.setdefault("long_name", str(given.get("standard_name", name)))
    return given


def _delay(step: pd.Timedelta, wanted: Wanted) -> pd.Timedelta:
    return step if wanted.delay is None else _duration_of("delay", wanted.delay, wanted)


def _duration_of(word: str, value: str | pd.Timedelta, wanted: Wanted) -> pd.Timedelta:
    try:
        length = span(value)
    except ValueError:
        length = pd.NaT
    if length is pd.NaT or length < pd.Timedelta(0):
        raise wanted.refusal(f"{word} is {value!r}", expected="a duration such as '1h'",
                             remedy=f"give another {word}")
    return length
