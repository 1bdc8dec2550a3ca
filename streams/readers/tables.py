"""Tables as panels: long (a row per time and node, or per time, node and variable) or wide (a column per node)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.readers.local_time import DROPPED
from terracast.streams.readers.numbers import MISSING, numbers_or_texts
from terracast.streams.readers.rows import Times, invalid_rows, times_of
from terracast.streams.readers.table import NO_NUMBER, RowCounts, Table, Texts, in_groups
from terracast.streams.readers.ticks import on_ticks
from terracast.streams.readers.wanted import Repeated, Wanted, finish
from terracast.streams.unit_names import split_unit
from terracast.streams.wording import NAMELESS

SAME_STEP = "another reading of the same step"
RELOCATED = 1  # moves of a node that is no moving one, on the mean


@dataclass(frozen=True)
class Reading:
    """A panel, and what became of the rows that it was read from."""

    panel: xr.Dataset
    rows: RowCounts


def panel_of(table: Table) -> Reading:
    """A table as a checked panel with ``known_time``. Raises ``ReadError``."""
    wanted = table.wanted
    if wanted.wide is not None and wanted.variables is not None:
        raise wanted.refusal("both wide and variables are given", expected="one of them",
                             remedy="wide names the one variable of the table")
    series = _wide(table) if wanted.wide is not None else \
        _by_parameter(table) if wanted.variable is not None else _long(table)
    return _read(table, series)


@dataclass(frozen=True)
class TableRows:
    """Rows on their axes. ``columns`` are the variables in which every row says something; where rows say one variable
    each, ``names`` are the variables and ``of_row`` the one of each row.

    ``nodes`` and ``codes``: names, and the one of each row; a wide table has all ``nodes`` in each row (codes 0).
    """

    times: Times
    nodes: np.ndarray
    codes: np.ndarray
    columns: dict[str, np.ndarray]
    places: dict[str, np.ndarray]
    wrong: np.ndarray
    wide: bool = False
    names: tuple[str, ...] = ()
    of_row: np.ndarray | None = None
    units: dict[str, str] | None = None


def _wide(table: Table) -> TableRows:
    """A row per stamp, a column per node, one variable."""
    wanted = table.wanted
    times = times_of(table, np.zeros(table.size, int))
    aside = {*times.names, wanted.known_time, *wanted.leave_out}
    nodes = [name for name in table.columns if name not in aside]
    if not nodes:
        raise wanted.refusal("no column besides time", expected="a column per node", remedy="check the file")
    found = [table.numbers(name) for name in nodes]
    short = [split_unit(name)[0] for name in nodes]
    if len(set(short)) == len(nodes):  # a unit is no part of a place's name
        nodes = short
    values = np.stack([numbers for numbers, _ in found], axis=1)
    wrong = np.stack([bad for _, bad in found], axis=1)
    return TableRows(times, np.array(nodes, dtype=str), np.zeros(table.size, int), {str(wanted.wide): values}, {},
                     wrong, wide=True)


def _nodes(table: Table) -> Texts:
    names = table.axis("node", table.wanted.node)
    if not names:
        return Texts(np.array([NAMELESS], dtype=object), np.zeros(table.size, int))
    return table.texts(*names)


def _places(table: Table) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    wanted = table.wanted
    names = {"lat": table.column("lat", wanted.lat), "lon": table.column("lon", wanted.lon)}
    if None in names.values():
        return {}, {}
    return {axis: str(name) for axis, name in names.items()}, {
        axis: table.numbers(str(name))[0] for axis, name in names.items()}


def _long(table: Table) -> TableRows:
    """A row per stamp and node, a column per variable; without a node column all rows are of one node, "0"."""
    wanted, nodes = table.wanted, _nodes(table)
    times = times_of(table, nodes.codes)
    axes, places = _places(table)
    flags = {rule.partition("=")[0].rpartition(":")[2].strip() for rule in wanted.valid}
    aside = {*times.names, *table.axis("node", wanted.node), *axes.values(), wanted.known_time, *flags,
             *wanted.leave_out, *wanted.facts}
    names = [name for name in table.columns if name not in aside]
    for name in wanted.variables or ():
        if name not in names:
            raise wanted.refusal(f"no column {name!r}", expected="one of " + ", ".join(names),
                                 remedy="choose among them")
    if not names:
        raise wanted.refusal("no column besides the axes", expected="at least one measured quantity",
                             remedy="check the file")
    chosen = names if wanted.variables is None else list(dict.fromkeys(wanted.variables))
    found = {name: table.numbers(name) for name in chosen}
    columns = {name: numbers for name, (numbers, _) in found.items()}
    wrong = np.any([bad for _, bad in found.values()], axis=0)
    invalid = invalid_rows(table)
    for name in chosen:
        unfit = [mask for variable, mask in invalid.items() if variable in ("", name)]
        if unfit:
            columns[name] = np.where(np.any(unfit, axis=0), np.nan, columns[name])
    return TableRows(times, nodes.words.astype(str), nodes.codes, columns, places, wrong)


def _by_parameter(table: Table) -> TableRows:
    """A row per stamp, node and variable: one column names the variable, another holds its value."""
    wanted, nodes = table.wanted, _nodes(table)
    parameter = str(table.column("variable", wanted.variable))
    value = table.column("value", wanted.value or "value")
    said = table.texts(parameter)
    said = Texts(np.array(wanted.named(map(str, said.words)), dtype=object), said.codes)
    times = times_of(table, nodes.codes * len(said.words) + said.codes)
    _, places = _places(table)
    numbers, wrong = table.numbers(str(value))
    for variable, mask in invalid_rows(table).items():
        unfit = mask if not variable else mask & (said.words[said.codes] == variable)
        numbers = np.where(unfit, np.nan, numbers)
    for code, word in enumerate(said.words):
        mine = said.codes == code
        if any(entry.rpartition("=")[0].strip() == word for entry in wanted.missing):
            numbers = np.where(mine, wanted.observed(word, numbers), numbers)
    names = tuple(str(word) for word in said.words if word)
    for name in wanted.variables or ():
        if name not in names:
            raise wanted.refusal(f"no {parameter} {name!r}", expected="one of " + ", ".join(names),
                                 remedy="choose among them")
    return TableRows(times, nodes.words.astype(str), nodes.codes, {str(value): numbers}, places, wrong,
                  names=tuple(map(str, said.words)), of_row=said.codes)


def _read(table: Table, series: TableRows) -> Reading:
    """From rows to a panel: unusable rows out, sorted, one row a stamp and series, on the ticks of a clock."""
    wanted, other = table.wanted, _not_chosen(table, series)
    usable, lost = _usable(table, series, other)
    group = series.codes if series.of_row is None else series.codes * len(series.names) + series.of_row
    at, order, gaps = _in_order(series.times.time, group, usable)
    compared = {**series.columns, **series.places}
    if series.times.known is not None:
        compared["known_time"] = series.times.known
    at, repeated = _once(table, series, at, order, group, compared, gaps)
    time, known = series.times.time, series.times.known
    ticks = on_ticks(time[at], group[at], wanted, gaps[gaps > 0])
    if known is not None:
        known = known.copy()
        known[at] = ticks.known(time[at], known[at])
    if not ticks.keep.all():
        at = np.arange(table.size)[at][ticks.keep]
    time = ticks.time if ticks.keep.all() else ticks.time[ticks.keep]
    attrs = repeated.attrs(ticks.attrs)
    dropped = {name: lost[why] for name, why in DROPPED.items() if wanted.time_zone is not None and series.times.names}
    panel = _spread(table, series, at, time, known, attrs).assign_attrs(dropped)
    if wanted.across:
        panel = _without_blank_end(panel)
    lost[SAME_STEP] += _cells(series) * int(str(attrs.get("same_step_dropped", 0)))
    read = (table.size + sum(table.rejected.values()) - int(other.sum())) * _cells(series)
    return Reading(panel, RowCounts(read, _missing(series, at), repeated.identical * _cells(series),
                                    _joined(series, at, time), +lost))


def _cells(series: TableRows) -> int:
    """Values that a row of the table stands for."""
    return series.nodes.size if series.wide else 1


def _not_chosen(table: Table, series: TableRows) -> np.ndarray:
    """Rows (row,) of variables that are not wanted."""
    chosen = table.wanted.variables
    if chosen is None or series.of_row is None:
        return np.zeros(table.size, bool)
    return ~np.isin(np.array(series.names, dtype=object)[series.of_row], list(chosen))


def _usable(table: Table, series: TableRows, other: np.ndarray) -> tuple[np.ndarray, Counter[str]]:
    """Numbers of the rows that have a stamp and a number, and why others have not. Raises ``ReadError`` without any."""
    lost = Counter(table.rejected) + series.times.lost
    keep = ~np.isnat(series.times.time) & ~other
    if series.wide:
        lost[NO_NUMBER] += int(series.wrong[keep].sum())
        lost = Counter({why: count * (_cells(series) if why != NO_NUMBER else 1) for why, count in lost.items()})
    else:
        lost[NO_NUMBER] += int((series.wrong & keep).sum())
        keep &= ~series.wrong
    if not keep.any():
        raise table.wanted.refusal("no rows", expected="at least one row that can be read", remedy="check the file")
    return np.flatnonzero(keep), lost


def _missing(series: TableRows, at: Rows) -> int:
    """How many values of the rows ``at`` are told to be missing."""
    if series.wide:
        return int((np.isnan(next(iter(series.columns.values()))[at]) & ~series.wrong[at]).sum())
    return int(np.all([np.isnan(column[at]) for column in series.columns.values()], axis=0).sum())


def _joined(series: TableRows, at: Rows, time: np.ndarray) -> int:
    """How many of the rows ``at``, with stamps ``time``, stand in a cell with the row of another variable."""
    if series.of_row is None:
        return 0
    said = ~np.isnan(next(iter(series.columns.values()))[at])
    pairs = pd.factorize(pd.factorize(time[said])[0] * len(series.nodes) + series.codes[at][said])[1]
    return int(said.sum() - len(pairs))


def _without_blank_end(panel: xr.Dataset) -> xr.Dataset:
    """Without the last steps where nothing is known: a row of hours or months is whole before they have been."""
    said = np.any([panel[name].notnull().any("node").values for name in panel.data_vars], axis=0)
    last = int(np.flatnonzero(said)[-1]) + 1 if said.any() else panel.sizes["time"]
    return panel.isel(time=slice(0, last))


Rows = np.ndarray | slice  # a slice: all of them as they come, of which nothing need be copied


def _in_order(time: np.ndarray, group: np.ndarray, at: np.ndarray) -> tuple[Rows, np.ndarray, np.ndarray]:
    """The rows as they come where every series rises, else by stamp; the same rows series by series; and the gap (ns)
    behind the one before of its series, -1 where there is none."""
    whole = len(at) == len(time)
    order = in_groups(group) if whole else at[in_groups(group[at])]
    gaps = _gaps(time, group, order)
    if gaps is not None:
        return slice(None) if whole else at, order, gaps
    at = at[np.lexsort((group[at], time[at]))]
    order = at[in_groups(group[at])]
    return at, order, np.asarray(_gaps(time, group, order))


def _gaps(time: np.ndarray, group: np.ndarray, order: np.ndarray) -> np.ndarray | None:
    """Gaps between rows series by series, -1 between two series; None where a series falls."""
    gaps = np.diff(time[order].astype(np.int64))
    other = np.diff(group[order]) != 0
    gaps[other] = 0
    if gaps.min(initial=0) < 0:
        return None
    gaps[other] = -1
    return gaps


def _once(table: Table, series: TableRows, at: Rows, order: np.ndarray, group: np.ndarray,
          columns: dict[str, np.ndarray], gaps: np.ndarray) -> tuple[Rows, Repeated]:
    """Of rows of one stamp and series the first; many that say something else are refused."""
    wanted = table.wanted
    same = gaps == 0
    if not same.any():
        return at, Repeated(0, 0)
    ones, others = order[:-1][same], order[1:][same]
    differ = {name: _differ(values, ones, others) for name, values in columns.items()}
    unlike = np.any(list(differ.values()), axis=0)
    repeated = Repeated(int((~unlike).sum()), int(unlike.sum()))
    if repeated.too_many(len(order)):
        first = int(np.flatnonzero(unlike)[np.argmin(others[unlike])])
        one, row = int(ones[first]), int(others[first])
        name = next(name for name, mask in differ.items() if mask[first])
        stamp = np.datetime_as_string(series.times.time[one], "s")
        if series.wide:
            raise wanted.refusal(f"{name} differs between two rows of {stamp}{repeated.in_all}", row=table.line(row),
                                 expected="one row per stamp", remedy="keep one of the two rows")
        raise wanted.refusal(
            f"{name} of node {series.nodes[series.codes[one]]} at {stamp} is {columns[name][one]} in line "
            f"{table.line(one)} and {columns[name][row]} here{repeated.in_all}", row=table.line(row),
            expected="one row per time and node",
            remedy="keep one of the two rows, or name the column that tells them apart (--node, --variable)")
    gone = np.zeros(table.size, bool)
    gone[others] = True
    rows = np.arange(table.size)[at]
    return rows[~gone[rows]], repeated


def _differ(values: np.ndarray, ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    one, other = values[ones], values[others]
    blank = np.isnat if values.dtype.kind == "M" else np.isnan
    same = (one == other) | (blank(one) & blank(other))
    return ~(same if same.ndim == 1 else same.all(axis=1))


def _spread(table: Table, series: TableRows, at: Rows, time: np.ndarray, known: np.ndarray | None,
            attrs: dict[Hashable, object]) -> xr.Dataset:
    """Rows ``at`` with these stamps as a panel."""
    wanted = table.wanted
    if series.wide:
        values = {name: block[at] for name, block in series.columns.items()}
        coords: dict[Hashable, object] = {} if known is None else {"known_time": ("time", known[at])}
        return finish(values, {}, time, series.nodes, coords, wanted, attrs)
    rows, found = pd.factorize(time)  # hashing: there are far fewer stamps than rows
    order = np.argsort(found)
    stamps, rows = np.asarray(found)[order], np.argsort(order)[rows]
    codes = series.codes[at]
    used = np.unique(codes) if series.of_row is not None else np.arange(len(series.nodes))
    position = np.zeros(len(series.nodes), int)
    position[used] = np.arange(len(used))
    cells, shape = rows * len(used) + position[codes], (len(stamps), len(used))

    def spread(values: np.ndarray, mask: slice | np.ndarray = slice(None)) -> np.ndarray:
        block = np.full(shape[0] * shape[1], np.array("NaT" if values.dtype.kind == "M" else np.nan, values.dtype))
        block[cells[mask]] = values[at][mask]
        return block.reshape(shape)

    facts = _facts(table, codes, at, used)
    degrees = {name: spread(values) for name, values in series.places.items()}
    moving = any(_moves(name, values, wanted) for name, values in degrees.items())
    coords = {name: (("time", "node"), values) if moving else ("node", _one_place(values))
              for name, values in degrees.items()}
    coords |= {name: values for name, values in facts.items() if name not in series.columns}
    if series.of_row is None:
        data = {name: spread(values) for name, values in series.columns.items()}
        if known is not None:
            coords["known_time"] = (("time", "node"), spread(known))
    else:
        only, of_row = next(iter(series.columns.values())), series.of_row[at]
        data = {name: spread(only, of_row == code) for code, name in enumerate(series.names)
                if name and (wanted.variables is None or name in wanted.variables)}
        if known is not None:
            blocks = [spread(known, of_row == code) for code in np.unique(of_row)]
            coords["known_time"] = (("time", "node"), np.fmax.reduce(blocks))
    return finish(data, {}, stamps, series.nodes[used], coords, wanted, attrs)


def _facts(table: Table, codes: np.ndarray, at: Rows, used: np.ndarray) -> dict[Hashable, object]:
    """What columns say of a node that does not change: numbers where all are, else texts."""
    found: dict[Hashable, object] = {}
    for name in table.wanted.facts:
        if name not in table.columns or name in ("time", "node", "lat", "lon", "known_time"):
            continue  # a later file need not say again what does not change
        texts = table.texts(name)
        said = np.array([word.lower() not in MISSING for word in texts.words], dtype=bool)[texts.codes[at]]
        first = pd.Series(texts.words[texts.codes[at][said]]).groupby(codes[said]).first().reindex(used)
        found[name] = ("node", numbers_or_texts(first.fillna("").to_numpy(object), table.wanted.decimal))
    return found


def _one_place(degrees: np.ndarray) -> np.ndarray:
    """The first known position of each node."""
    return np.asarray(pd.DataFrame(degrees).bfill().iloc[0].to_numpy())


def _moves(name: str, degrees: np.ndarray, wanted: Wanted) -> bool:
    """Whether a node changes its place, which only some kinds may."""
    moved = ~(np.isnan(degrees) | (degrees == _one_place(degrees)))
    if not moved.any():
        return False
    if wanted.kind in ("point", "trajectory"):
        return True
    changes = np.diff(pd.DataFrame(degrees).ffill().to_numpy(), axis=0)
    if np.nansum(changes != 0, where=~np.isnan(changes)) <= RELOCATED * degrees.shape[1]:
        return False  # a station that was moved once stays one station
    raise wanted.refusal(f"{name} of a node changes", expected=f"fixed places, as kind is {wanted.kind!r}",
                         remedy="give kind='point' or 'trajectory' for moving nodes (--kind point)")

