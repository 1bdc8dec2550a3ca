"""What a caller wants of a file, and the last steps that all readers share: from arrays to a checked panel."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.bitemporal import known_after
from terracast.streams.clock import span
from terracast.streams.errors import PanelError, ReadError
from terracast.streams.panel import check_panel
from terracast.streams.readers.conversion import conversion

CONTRADICTORY = 0.01  # of the rows


Names = str | tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """How a file is to be read: the options of ``read`` in one value; ``where`` names the file in errors.

    Parameters
    ----------
    where, domain, kind : str
        The file, the domain its values go to, and what kind of data it is.
    step, anchor, calendar : str, optional
        The clock: default as the stamps of a node say. ``anchor``, one stamp of it (UTC); ``calendar``, "month" or a
        time zone whose days are counted. Stamps that jitter are taken to it.
    delay, known_time : str, optional
        When a value becomes known, after its stamp (default one step); or the column that says so.
    variables : tuple of str, optional
        What is read; default all columns of numbers (of a table with one row per variable: all).
    time, node : str or tuple of str, optional
        Columns of the axes where they are not plainly named; several are read as one text, a space between.
    lat, lon : str, optional
        Columns of the place, degrees.
    wide : str, optional
        The one variable of a table that has a column per node.
    variable, value : str, optional
        Columns of a table with one row per variable: its name and its value.
    across : tuple of str
        What the names of columns hold that are cells of one quantity: ``H{hour}``, ``{node}_{variable}``
        (see ``across``); ``value`` names the quantity.
    start : str, optional
        With ``step``: the first stamp of a table without a time column.
    time_format, time_zone : str, optional
        Where stamps are not ISO 8601 (see ``stamp_format``); where those without an offset are local time.
    decimal, thousands, separator, encoding : str
        How a text table is written. ``separator`` " ": one or more spaces.
    header, first_row : int, optional
        The line of the header (0: there is none) and of the first row below it.
    header_rows : int
        How many lines the header has; the names of two lines are joined by `` | ``.
    comment : str, optional
        How lines begin that are no rows.
    sheet : str, optional
        The sheet of a workbook; default the first.
    missing : tuple of str
        What stands for no value: ``-999``, ``Ice``; ``pm10=-999`` of one variable.
    valid : tuple of str
        Which rows are observations: ``flag=V,R``; ``no2:flag=V`` of one variable.
    leave_out : tuple of str
        Columns that are not read.
    facts : tuple of str
        Columns that say something of a place which does not change: its height, the type of its road.
    suffix : tuple of str
        What may follow a number in a cell and is not read: a unit, or a mark such as ``*``.
    names : mapping
        Columns of a table under another name: ``{"NO2 [µg/m³]": "NO2"}``; all other options use that name.
    below_limit : str, optional
        ``<0.5`` is "half" of the limit, or "missing"; default it is no number.
    latest : numpy.datetime64, optional
        Stamps later than this by more than a day and 100 steps are rejected.
    units : mapping
        Per variable, where the file does not say.
    convert : mapping
        Per variable the unit that its values are to be in, such as ``{"temp": "degC"}``.
    """

    where: str
    domain: str
    kind: str = "sensor"
    step: str | pd.Timedelta | None = None
    anchor: str | None = None
    calendar: str | None = None
    delay: str | pd.Timedelta | None = None
    known_time: str | None = None
    variables: tuple[str, ...] | None = None
    time: Names | None = None
    node: Names | None = None
    lat: str | None = None
    lon: str | None = None
    wide: str | None = None
    start: str | None = None
    time_format: str | None = None
    time_zone: str | None = None
    decimal: str = "."
    thousands: str | None = None
    separator: str | None = None
    encoding: str = "utf-8-sig"
    header: int | None = None
    first_row: int | None = None
    header_rows: int = 1
    comment: str | None = None
    sheet: str | None = None
    variable: str | None = None
    value: str | None = None
    missing: tuple[str, ...] = ()
    valid: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    across: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    suffix: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    below_limit: str | None = None
    latest: np.datetime64 | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    convert: Mapping[str, str] = field(default_factory=dict)

    def named(self, columns: Iterable[str]) -> list[str]:
        """Columns by the names they are to have."""
        return [self.names.get(name, name) for name in columns]

    def missing_in(self, variable: str) -> frozenset[str]:
        """What stands for no value in a variable: ``-999`` in all of them, ``pm10=-999`` in one."""
        named = (entry.rpartition("=") for entry in self.missing)
        return frozenset(word.strip() for name, _, word in named if not name or name.strip() == variable)

    def observed(self, variable: str, values: np.ndarray) -> np.ndarray:
        """Numbers without those that stand for no value."""
        numbers = [number for number in map(as_number, self.missing_in(variable)) if number is not None]
        if not numbers or values.dtype.kind != "f":
            return values
        return np.where(np.isin(values, np.array(numbers, values.dtype)), values.dtype.type(np.nan), values)

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
    panel = _converted(panel, wanted)
    if "known_time" not in panel.coords:
        panel = known_after(panel, _delay(span(str(file_attrs["step"])), wanted))
    try:
        return check_panel(panel)
    except PanelError as wrong:
        raise ReadError(wrong.what, where=wanted.where, expected=wrong.expected, remedy=wrong.remedy) from wrong


def _converted(panel: xr.Dataset, wanted: Wanted) -> xr.Dataset:
    """With the variables that ``convert`` names in their other units."""
    for name, unit in wanted.convert.items():
        if name not in panel.data_vars:
            continue  # a variable of another domain of the file
        have = str(panel[name].attrs["units"])
        terms = conversion(have, unit)
        if terms is None:
            raise wanted.refusal(f"{name} in {have!r} is no {unit!r}", expected="two units of one quantity",
                                 remedy=f"name its unit (--unit {name}=UNIT), or leave --convert out")
        changed = panel[name] * terms[0] + terms[1]
        attrs = {**panel[name].attrs, "units": unit}
        panel = panel.assign({name: changed.astype(panel[name].dtype).assign_attrs(attrs)})
    return panel


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


def as_number(text: str) -> float | None:
    """The number that a text is, None where it is none.

    >>> as_number("-999"), as_number("X")
    (-999.0, None)
    """
    try:
        return float(text)
    except ValueError:
        return None


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
