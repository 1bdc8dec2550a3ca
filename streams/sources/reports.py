"""Rows that arrived as reports: rows of the same fields are one table, which is read as a table of a file is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from terracast.streams.errors import ReadError
from terracast.streams.readers.across import in_rows
from terracast.streams.readers.conversion import conversion
from terracast.streams.readers.rows import invalid_rows
from terracast.streams.readers.table import NO_NUMBER, PLAIN_NAMES, Column, Table, Texts
from terracast.streams.sources.row_times import NAT, Fault, RowTimes, times_of_rows
from terracast.streams.sources.rows import (
    NO_FORM,
    NO_NODE,
    NO_VALUE,
    OTHER_UNIT,
    RowError,
    RowReport,
    Terms,
)
from terracast.streams.unit_names import plain

EXACT = 2**53  # beyond it a float does not hold every whole number


class Arrival(NamedTuple):
    """A row as it arrived: its fields, when, and ``where`` it stands, for errors."""

    fields: Mapping[str, object]
    received: np.datetime64
    where: str


class Reported(NamedTuple):
    """Reports in the order of their rows, and why others are none."""

    reports: list[RowReport]
    faults: list[RowError]

    @property
    def rejected(self) -> dict[str, int]:
        """How many rows are no reports, by reason."""
        return {reason: sum(one.reason == reason for one in self.faults)
                for reason in dict.fromkeys(one.reason for one in self.faults)}


def reports_of_rows(rows: Sequence[Arrival], terms: Terms) -> Reported:
    """Rows as reports. O(fields of all rows).

    >>> import pandas as pd
    >>> terms = Terms("air", pd.Timedelta("1h"), node="station", variable="parameter", unit="unit",
    ...               reading={"decimal": ",", "missing": ("-999",)})
    >>> row = {"time": "2020-01-01T00:00Z", "station": "a", "parameter": "no2", "value": "1,5", "unit": "µg/m³"}
    >>> (report,), _ = reports_of_rows([Arrival(row, np.datetime64("2020-01-02"), "row 1")], terms)
    >>> report.values, report.units
    ({'no2': 1.5}, {'no2': 'µg m-3'})
    """
    alike: dict[tuple[str, ...], list[int]] = {}
    for number, row in enumerate(rows):
        alike.setdefault(tuple(row.fields), []).append(number)
    found: list[tuple[int, RowReport | RowError]] = []
    for numbers in alike.values():
        mine = [rows[number] for number in numbers]
        found += ((numbers[at], said) for at, said in _of_alike(mine, terms))
    found.sort(key=lambda pair: pair[0])
    return Reported([said for _, said in found if isinstance(said, RowReport)],
                    [said for _, said in found if isinstance(said, RowError)])


def report_of(row: Mapping[str, object], terms: Terms, received: np.datetime64, where: str) -> RowReport:
    """One row as one report; ``received`` is when it arrived. Raises ``RowError`` in words.

    >>> import pandas as pd
    >>> terms = Terms("air", pd.Timedelta("1h"), time_zone="Europe/Berlin")
    >>> row = {"time": "2020-07-01T14:00", "node": "a", "no2": 12}
    >>> report = report_of(row, terms, np.datetime64("2020-07-01T12:30"), "row 1")
    >>> str(np.datetime64(report.time, "ns"))[:16], str(np.datetime64(report.known, "ns"))[:16], report.values
    ('2020-07-01T12:00', '2020-07-01T12:30', {'no2': 12.0})
    """
    reports, faults = reports_of_rows([Arrival(row, received, where)], terms)
    if faults:
        raise faults[0]
    if len(reports) != 1:
        raise RowError(NO_VALUE, "no value" if not reports else f"{len(reports)} reports in a row", where=where,
                       expected="one of " + ", ".join(terms.variables or ("any",)),
                       remedy="read such rows with reports_of_rows" if reports else "name a measured quantity in it")
    return reports[0]


def _of_alike(rows: Sequence[Arrival], terms: Terms) -> Iterator[tuple[int, RowReport | RowError]]:
    """Reports and faults of rows that have the same fields, with the number of the row."""
    try:
        table = in_rows(_table(rows, terms))
        received = np.array([row.received for row in rows], "datetime64[ns]").astype(np.int64)
        times = times_of_rows(table, terms, received)
        said = _RowReader(table, terms, times)
    except ReadError as wrong:  # of the form: all of these rows
        for at, row in enumerate(rows):
            yield at, RowError(NO_FORM, wrong.what, where=row.where, expected=wrong.expected, remedy=wrong.remedy)
        return
    for number in range(table.size):
        at = table.line(number)
        for one in said.of(number):
            yield at, one if isinstance(one, RowReport) else RowError(
                one.reason, one.what, where=rows[at].where, expected=one.expected, remedy=one.remedy)


def _table(rows: Sequence[Arrival], terms: Terms) -> Table:
    """Rows as a table; its line of a row is the row's number."""
    wanted, names = terms.wanted, list(rows[0].fields)
    columns: dict[str, Column] = {}
    in_utc = set()
    for name, shown in zip(names, wanted.named(names), strict=True):
        held = [row.fields[name] for row in rows]
        columns[shown], aware = _column(held)
        if aware:
            in_utc.add(shown)

    def given(axis: str, name: Any) -> Any:
        """The column set, or, where the usual name is set and absent, a plain one."""
        if name != axis or axis in columns:
            return name
        lower = {one.strip().lower(): one for one in columns}
        return next((lower[one] for one in PLAIN_NAMES[axis] if one in lower), name)

    wanted = replace(wanted, node=given("node", terms.node),
                     time=None if terms.time is None else given("time", terms.time),
                     lat=given("lat", terms.lat), lon=given("lon", terms.lon))
    return Table(columns, len(rows), wanted, lambda row: row, in_utc=frozenset(in_utc))


def _column(held: list[object]) -> tuple[Column, bool]:
    """Values of a field as a column, and whether they are stamps that know their offset."""
    said = [value for value in held if value is not None]
    if said and all(isinstance(value, int | float | Decimal) for value in said):
        if not any(isinstance(value, int) and abs(value) > EXACT for value in said):
            return np.array([np.nan if value is None else float(value) for value in held]), False  # type: ignore[arg-type]
    elif said and all(isinstance(value, date) for value in said):
        aware = [getattr(value, "tzinfo", None) is not None for value in said]
        if all(aware) or not any(aware):
            return np.array([_instant(value) for value in held], "datetime64[ns]"), all(aware)
    return Texts.of(np.array(["" if value is None else str(value) for value in held], dtype=object)), False


def _instant(value: Any) -> np.datetime64:
    """A date of Python, NaT where nanoseconds do not reach."""
    if value is None or not 1678 <= value.year < 2262:
        return NAT
    offset = value.utcoffset() if hasattr(value, "utcoffset") else None
    bare = value.replace(tzinfo=None) if offset is not None else value
    return np.datetime64(bare - offset if offset else bare, "us").astype("datetime64[ns]")


class _RowReader:
    """What the rows of a table say, as reports or faults, row by row."""

    def __init__(self, table: Table, terms: Terms, times: RowTimes) -> None:
        self._table, self._terms, self._times = table, terms, times
        wanted = table.wanted
        self._nodes = None if wanted.wide is not None else _nodes(table)
        self._places = {axis: _degrees(table, name) for axis, name in (("lat", wanted.lat), ("lon", wanted.lon))}
        self._units = table.texts(terms.unit) if terms.unit in table.columns else None
        self._parameters = None if wanted.variable is None else _parameters(table)
        names = self._measured()
        self._numbers = {name: table.read_numbers(name) for name in names}
        self._invalid = invalid_rows(table)
        self._facts = {name: table.texts(name) for name in wanted.facts if name in table.columns}
        self._first_units: dict[str, str] = {}

    def _measured(self) -> list[str]:
        """The columns that hold measured values."""
        terms, wanted, columns = self._terms, self._table.wanted, self._table.columns
        if wanted.variable is not None:
            return [str(self._table.column("value", wanted.value))]
        flags = {rule.partition("=")[0].rpartition(":")[2].strip() for rule in wanted.valid}
        aside = {*_names(wanted.time), *_names(wanted.node), wanted.lat, wanted.lon, terms.known_time, terms.unit,
                 *flags, *wanted.leave_out, *wanted.facts}
        chosen = terms.variables if wanted.wide is None else ()
        return [name for name in (chosen or columns) if name in columns and (chosen or name not in aside)]

    def of(self, row: int) -> Iterable[RowReport | Fault]:
        """The reports of a row, or what is wrong with it."""
        fault = self._times.faults.get(row)
        if fault is not None:
            return [fault]
        if self._table.wanted.wide is not None:
            return self._of_nodes(row)
        node = "" if self._nodes is None else str(self._nodes.words[self._nodes.codes[row]])
        if not node:
            shown = " ".join(_names(self._terms.node))
            return [Fault(NO_NODE, f"no {shown!r}", "the name of a node", f"give {shown!r} in every row")]
        values = self._values(row)
        if values is None:
            return []
        return [values if isinstance(values, Fault) else self._report(row, node, values)]

    def _of_nodes(self, row: int) -> Iterable[RowReport | Fault]:
        """A row with a field per node."""
        variable = str(self._table.wanted.wide)
        for name in self._numbers:
            number = self._number(name, row)
            if isinstance(number, Fault):
                yield number
            elif not np.isnan(number):
                yield self._report(row, name, {variable: number})

    def _values(self, row: int) -> dict[str, float] | Fault | None:
        """Variables of a row; None: it speaks of one that is not read."""
        table, terms = self._table, self._terms
        if self._parameters is not None:
            name = str(self._parameters.words[self._parameters.codes[row]])
            if terms.variables and name not in terms.variables:
                return None
            number = self._number(next(iter(self._numbers)), row, name)
            return number if isinstance(number, Fault) else {name: number}
        if not self._numbers:
            return Fault(NO_VALUE, "no value", "one of " + ", ".join(terms.variables or ("any",)),
                         "name a measured quantity in the row" if not table.wanted.leave_out else "mend leave_out")
        found = {}
        for name in self._numbers:
            number = self._number(name, row)
            if isinstance(number, Fault):
                return number
            found[name] = number
        return found

    def _number(self, column: str, row: int, variable: str | None = None) -> float | Fault:
        """A value in the unit that is wanted, NaN where the row says none."""
        values, wrong = self._numbers[column]
        number, name = float(values[row]), variable or column
        if wrong[row] or np.isinf(number):
            said = str(self._table.text_of(column, row=row))[:40]
            return Fault(NO_NUMBER, f"{column} is {said!r}", "a finite number",
                         "correct it, name it in missing, or name the fields to read in variables")
        if any(mask[row] for flagged, mask in self._invalid.items() if flagged in ("", name)):
            return np.nan
        if variable is not None:
            number = float(self._table.wanted.observed(variable, np.array([number]))[0])
        have, want = self._unit(row, name), self._wanted_unit(row, name)
        if have == want or not have or not want:
            return number
        terms = conversion(have, want)
        if terms is None:
            return Fault(OTHER_UNIT, f"{name} comes in {have!r}", f"{want!r}, or a unit that becomes it",
                         "send it in that unit, or under another name")
        return number * terms[0] + terms[1]

    def _unit(self, row: int, name: str) -> str:
        if self._units is not None and (said := str(self._units.words[self._units.codes[row]])):
            return plain(said)
        return str(self._table.wanted.units.get(name, ""))

    def _wanted_unit(self, row: int, name: str) -> str:
        wanted = self._table.wanted
        name = name if wanted.wide is None else wanted.wide
        given = wanted.convert.get(name) or wanted.units.get(name)
        return str(given or self._first_units.setdefault(name, self._unit(row, name)))

    def _report(self, row: int, node: str, values: dict[str, float]) -> RowReport:
        lat, lon = (float(degrees[row]) for degrees in self._places.values())
        if not (abs(lat) <= 90 and abs(lon) <= 360):  # NaN as well: half a position is none
            lat = lon = np.nan
        units = {name: unit for name in values if (unit := self._wanted_unit(row, name))}
        facts = {name: str(said.words[said.codes[row]]) for name, said in self._facts.items()}
        return RowReport(int(self._times.time[row]), node, int(self._times.known[row]), values, lat, lon, units, facts)


def _nodes(table: Table) -> Texts | None:
    names = _names(table.wanted.node)
    return table.texts(*names) if names and all(name in table.columns for name in names) else None


def _parameters(table: Table) -> Texts:
    """The variable of each row, by the name that it is to have."""
    said = table.texts(str(table.column("variable", table.wanted.variable)))
    return Texts(np.array(table.wanted.named(map(str, said.words)), dtype=object), said.codes)


def _degrees(table: Table, name: str | None) -> np.ndarray:
    if name is None or name not in table.columns:
        return np.full(table.size, np.nan)
    return np.asarray(table.read_numbers(name)[0], np.float64)


def _names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)
