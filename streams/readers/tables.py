"""CSV and Parquet tables as panels: long (a row per time and node) or wide (a column per node)."""

from __future__ import annotations

import csv
from collections.abc import Hashable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr

from terracast.streams.clock import span
from terracast.streams.readers.local_time import in_utc
from terracast.streams.readers.table import PLAIN_NAMES, Table
from terracast.streams.readers.ticks import on_ticks
from terracast.streams.readers.wanted import Repeated, Wanted, differs, finish, in_order


def read_csv(path: Path, wanted: Wanted) -> xr.Dataset:
    """Read a CSV table (comma, semicolon or tab, or the separator given). Raises ``ReadError``."""
    try:
        with path.open(encoding=wanted.encoding, newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=wanted.separator or max(",;\t", key=first.count), strict=True)
            header = [name.strip() for name in next(reader, [])]
            rows, lines = [], []
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    raise wanted.refusal(f"{len(row)} fields", row=reader.line_num, expected=f"{len(header)} fields",
                                         remedy="fetch the file again if it was cut, or correct the line")
                rows.append(row)
                lines.append(reader.line_num)
    except (UnicodeDecodeError, csv.Error) as wrong:
        raise wanted.refusal(f"not a text table ({wrong})", expected=f"a CSV file in {wanted.encoding}",
                             remedy="fetch it again, or give its encoding, e.g. encoding='latin-1'") from wrong
    except LookupError as wrong:
        raise wanted.refusal(f"encoding is {wanted.encoding!r}", expected="a name such as 'latin-1'",
                             remedy="give another encoding") from wrong
    doubled = [name for name in header if header.count(name) > 1]
    if doubled:
        raise wanted.refusal(f"column {doubled[0]!r} is doubled", expected="one column per name",
                             remedy="rename one of them")
    if not rows:
        raise wanted.refusal("no rows", expected="a header and rows", remedy="fetch the file again")
    columns = {name: np.array(values, dtype=object)
               for name, values in zip(header, zip(*rows, strict=True), strict=True)}
    return _panel(Table(columns, np.array(lines), wanted))


def read_parquet(path: Path, wanted: Wanted) -> xr.Dataset:
    """Read a Parquet table. Raises ``ReadError``."""
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as wrong:
        raise wanted.refusal(f"not a sound Parquet file ({str(wrong).splitlines()[0][:80]})",
                             expected="a whole Parquet file", remedy="fetch it again") from wrong
    if not table.num_rows:
        raise wanted.refusal("no rows", expected="at least one row", remedy="fetch the file again")
    columns = {}
    told = frozenset(field.name for field in table.schema if pa.types.is_timestamp(field.type) and field.type.tz)
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            columns[name] = column.cast(pa.timestamp("ns")).to_numpy()
        elif pa.types.is_floating(column.type):
            columns[name] = column.to_numpy()
        elif pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
            numbers = pd.array(column.to_pylist() if column.null_count else column.to_numpy(), dtype="Float64")
            whole = column.null_count == 0 and pa.types.is_integer(column.type)
            columns[name] = column.to_numpy() if whole else numbers.to_numpy(np.float64, na_value=np.nan)
        else:
            columns[name] = np.array(["" if item is None else str(item) for item in column.to_pylist()], object)
    return _panel(Table(columns, np.arange(1, table.num_rows + 1), wanted, told))


def _panel(table: Table) -> xr.Dataset:
    table, dropped = in_utc(table)
    panel = _wide_panel(table) if table.wanted.wide is not None else _long_panel(table)
    return panel.assign_attrs(dropped)


def _wide_panel(table: Table) -> xr.Dataset:
    """A row per stamp, a column per node, one variable."""
    wanted = table.wanted
    if wanted.variables is not None:
        raise wanted.refusal("both wide and variables are given", expected="one of them",
                             remedy="wide names the one variable of the table")
    time_name, time = _time(table)
    aside = {time_name, wanted.known_time}
    nodes = [name for name in table.columns if name not in aside]
    if not nodes:
        raise wanted.refusal("no column besides time", expected="a column per node", remedy="check the file")
    values = np.stack([table.numbers(name) for name in nodes], axis=1)
    blocks = {str(wanted.wide): values}
    if wanted.known_time is not None:
        known = table.stamps(str(table.column("known_time", wanted.known_time)), gaps=True)
        blocks["known_time"] = known[:, None]
    keep, repeated = in_order(time, blocks, wanted, table.lines)
    rows = np.flatnonzero(keep)
    ticks = on_ticks(time[rows], np.zeros(len(rows), int), wanted)
    rows = rows[ticks.keep]
    coords: dict[Hashable, object] = {}
    if wanted.known_time is not None:
        coords["known_time"] = ("time", ticks.known(time[keep], known[keep])[ticks.keep])
    return finish({str(wanted.wide): values[rows]}, {}, ticks.time[ticks.keep], np.array(nodes, dtype=str), coords,
                  wanted, repeated.attrs(ticks.attrs))


def _time(table: Table) -> tuple[str | None, np.ndarray]:
    """The time column's name (None without one) and the stamp of each row."""
    wanted = table.wanted
    name = table.column("time", wanted.time)
    if name is not None:
        return name, table.stamps(name)
    if wanted.start is None or wanted.step is None:
        raise wanted.refusal("no time column", expected="one of " + ", ".join(PLAIN_NAMES["time"]) + "; there are "
                             + ", ".join(list(table.columns)[:8]),
                             remedy="name it (time='...'), or give start and step for a table without stamps")
    try:
        first, step = np.datetime64(wanted.start, "ns"), span(wanted.step).to_timedelta64()
    except ValueError as wrong:
        raise wanted.refusal(f"start or step is no time ({wrong})", expected="e.g. '2020-01-01' and '1h'",
                             remedy="correct it") from wrong
    return None, np.asarray(first + np.arange(len(table.lines)) * step)


def _long_panel(table: Table) -> xr.Dataset:
    """A row per stamp and node; without a node column all rows are of one node, "0"."""
    wanted = table.wanted
    axes = {axis: table.column(axis, given) for axis, given in
            (("node", wanted.node), ("lat", wanted.lat), ("lon", wanted.lon))}
    axes["time"], time = _time(table)
    if (axes["lat"] is None) != (axes["lon"] is None):
        axes["lat"] = axes["lon"] = None
    names = _long_variables(table, axes)
    columns = {name: table.numbers(name) for name in names}
    places = {name: table.numbers(str(axes[name])) for name in ("lat", "lon") if axes[name] is not None}
    known = None if wanted.known_time is None else table.stamps(wanted.known_time, gaps=True)
    texts = np.full(len(time), "0") if axes["node"] is None else _texts(table.columns[str(axes["node"])])
    codes, nodes = pd.factorize(texts)
    keep, repeated = _rows_in_order(table, time, codes, nodes, columns | places
                                    | ({} if known is None else {"known_time": known}))
    ticks = on_ticks(time[keep], codes[keep], wanted)
    if known is not None:
        known[keep] = ticks.known(time[keep], known[keep])
    keep = np.flatnonzero(keep)[ticks.keep]
    time, codes = ticks.time[ticks.keep], codes[keep]
    stamps, rows = np.unique(time, return_inverse=True)
    shape = (len(stamps), len(nodes))

    def spread(values: np.ndarray) -> np.ndarray:
        block = np.full(shape, np.array("NaT" if values.dtype.kind == "M" else np.nan, dtype=values.dtype))
        block[rows, codes] = values[keep]
        return block

    degrees = {name: spread(values) for name, values in places.items()}
    moving = any(_moves(name, values, wanted) for name, values in degrees.items())
    coords: dict[Hashable, object] = {name: (("time", "node"), values) if moving else ("node", _one_place(values))
                                      for name, values in degrees.items()}
    if known is not None:
        coords["known_time"] = (("time", "node"), spread(known))
    return finish({name: spread(values) for name, values in columns.items()}, {}, stamps,
                  np.array(nodes, dtype=str), coords, wanted, repeated.attrs(ticks.attrs))


def _long_variables(table: Table, axes: dict[str, str | None]) -> list[str]:
    wanted, aside = table.wanted, {*axes.values(), table.wanted.known_time}
    if wanted.known_time is not None and wanted.known_time not in table.columns:
        raise wanted.refusal(f"no column {wanted.known_time!r}", expected="one of " + ", ".join(table.columns),
                             remedy="name the column of known times")
    names = [name for name in table.columns if name not in aside]
    for name in wanted.variables or ():
        if name not in names:
            raise wanted.refusal(f"no column {name!r}", expected="one of " + ", ".join(names),
                                 remedy="choose among them")
    if not names:
        raise wanted.refusal("no column besides the axes", expected="at least one measured quantity",
                             remedy="check the file")
    return names if wanted.variables is None else list(dict.fromkeys(wanted.variables))


def _texts(values: np.ndarray) -> np.ndarray:
    """Node names as texts; whole numbers that came as floats lose their point."""
    if values.dtype.kind == "f" and np.array_equal(values, np.rint(values)):
        values = values.astype(np.int64)
    return np.array([str(item).strip() for item in values.tolist()])


def _rows_in_order(table: Table, time: np.ndarray, codes: np.ndarray, nodes: np.ndarray,
                   columns: dict[str, np.ndarray]) -> tuple[np.ndarray, Repeated]:
    """Rows to keep, node by node; see ``in_order``."""
    wanted, keep = table.wanted, np.ones(len(time), dtype=bool)
    order = np.argsort(codes, kind="stable")
    inside = np.diff(codes[order]) == 0
    steps = np.diff(time[order])
    back = np.flatnonzero(inside & (steps < np.timedelta64(0)))
    if len(back):
        row = int(order[back[0] + 1])
        raise wanted.refusal(f"time of node {nodes[codes[row]]} goes backwards to "
                             f"{np.datetime_as_string(time[row], 's')}", row=int(table.lines[row]),
                             expected="increasing stamps within a node", remedy="sort by time")
    doubled = [(int(order[at]), int(order[at + 1])) for at in np.flatnonzero(inside & (steps == np.timedelta64(0)))]
    other = [(one, row, name) for one, row in doubled if (name := differs(columns, one, row))]
    repeated = Repeated(len(doubled) - len(other), len(other))
    if repeated.too_many(len(time)):
        one, row, name = other[0]
        raise wanted.refusal(f"{name} of node {nodes[codes[one]]} at {np.datetime_as_string(time[one], 's')} is "
                             f"{columns[name][one]} in line {table.lines[one]} and {columns[name][row]} here"
                             f"{repeated.in_all}", row=int(table.lines[row]), expected="one row per time and node",
                             remedy="keep one of the two rows")
    keep[[row for _, row in doubled]] = False
    return keep, repeated


def _one_place(degrees: np.ndarray) -> np.ndarray:
    """The first known position of each node."""
    return np.asarray(pd.DataFrame(degrees).bfill().iloc[0].to_numpy())


def _moves(name: str, degrees: np.ndarray, wanted: Wanted) -> bool:
    """Whether a node changes its place, which only some kinds may."""
    moves = not bool((np.isnan(degrees) | (degrees == _one_place(degrees))).all())
    if moves and wanted.kind not in ("point", "trajectory"):
        raise wanted.refusal(f"{name} of a node changes", expected=f"fixed places, as kind is {wanted.kind!r}",
                             remedy="give kind='point' or 'trajectory' for moving nodes")
    return moves
