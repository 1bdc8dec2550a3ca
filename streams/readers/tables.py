"""Tables as panels: long (a row per time and node, or per time, node and variable) or wide (a column per node)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.readers.local_time import DROPPED
from terracast.streams.readers.numbers import MISSING
from terracast.streams.readers.rows import Times, invalid_rows, times_of
from terracast.streams.readers.table import NO_NUMBER, RowCounts, Table, Texts
from terracast.streams.readers.ticks import on_ticks
from terracast.streams.readers.wanted import Repeated, Wanted, finish

ONE_NODE = "0"
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
    values = np.stack([numbers for numbers, _ in found], axis=1)
    wrong = np.stack([bad for _, bad in found], axis=1)
    return TableRows(times, np.array(nodes, dtype=str), np.zeros(table.size, int), {str(wanted.wide): values}, {},
                     wrong, wide=True)


def _nodes(table: Table) -> Texts:
    names = table.axis("node", table.wanted.node)
    if not names:
        return Texts(np.array([ONE_NODE], dtype=object), np.zeros(table.size, int))
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
    wanted, lost = table.wanted, Counter(table.rejected) + series.times.lost
    keep = ~np.isnat(series.times.time)
    chosen = wanted.variables if series.of_row is not None else None
    other = np.zeros(table.size, bool)
    if chosen is not None and series.of_row is not None:
        other = ~np.isin(np.array(series.names, dtype=object)[series.of_row], list(chosen))
    keep &= ~other
    columns = dict(series.columns)
    cells = series.nodes.size if series.wide else 1
    if series.wide:
        lost[NO_NUMBER] += int(series.wrong[keep].sum())
        lost = Counter({why: count * (cells if why != NO_NUMBER else 1) for why, count in lost.items()})
    else:
        lost[NO_NUMBER] += int((series.wrong & keep).sum())
        keep &= ~series.wrong
    group = series.codes if series.of_row is None else series.codes * len(series.names) + series.of_row
    at = np.flatnonzero(keep)
    if not len(at):
        raise wanted.refusal("no rows", expected="at least one row that can be read", remedy="check the file")
    at, order = _in_order(series.times.time, group, at)
    compared = {**columns, **series.places}
    if series.times.known is not None:
        compared["known_time"] = series.times.known
    at, repeated = _once(table, series, at, order, group, compared)
    time, known = series.times.time, series.times.known
    ticks = on_ticks(time[at], group[at], wanted)
    if known is not None:
        known = known.copy()
        known[at] = ticks.known(time[at], known[at])
    at, time = at[ticks.keep], ticks.time[ticks.keep]
    attrs = repeated.attrs(ticks.attrs)
    dropped = {name: lost[why] for name, why in DROPPED.items() if wanted.time_zone is not None and series.times.names}
    panel = _spread(table, series, at, time, known, attrs).assign_attrs(dropped)
    if wanted.across:
        panel = _without_blank_end(panel)
    values = next(iter(columns.values()))
    if series.wide:
        missing = int((np.isnan(values[at]) & ~series.wrong[at]).sum())
    else:
        missing = int(np.all([np.isnan(column[at]) for column in columns.values()], axis=0).sum())
    lost[SAME_STEP] += cells * int(str(attrs.get("same_step_dropped", 0)))
    joined = 0
    if series.of_row is not None:
        said = ~np.isnan(values[at])
        pairs = pd.factorize(pd.factorize(time[said])[0] * len(series.nodes) + series.codes[at][said])[1]
        joined = int(said.sum() - len(pairs))
    rows = RowCounts((table.size + sum(table.rejected.values()) - int(other.sum())) * cells, missing,
                     repeated.identical * cells, joined, +lost)
    return Reading(panel, rows)


def _without_blank_end(panel: xr.Dataset) -> xr.Dataset:
    """Without the last steps where nothing is known: a row of hours or months is whole before they have been."""
    said = np.any([panel[name].notnull().any("node").values for name in panel.data_vars], axis=0)
    last = int(np.flatnonzero(said)[-1]) + 1 if said.any() else panel.sizes["time"]
    return panel.isel(time=slice(0, last))


def _in_order(time: np.ndarray, group: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows as they come where every series rises, else by stamp; and the same rows series by series."""
    order = at[np.argsort(group[at], kind="stable")]
    inside = np.diff(group[order]) == 0
    if not (inside & (np.diff(time[order]) < np.timedelta64(0))).any():
        return at, order
    at = at[np.lexsort((group[at], time[at]))]
    return at, at[np.argsort(group[at], kind="stable")]


def _once(table: Table, series: TableRows, at: np.ndarray, order: np.ndarray, group: np.ndarray,
          columns: dict[str, np.ndarray]) -> tuple[np.ndarray, Repeated]:
    """Of rows of one stamp and series the first; many that say something else are refused."""
    wanted = table.wanted
    same = (np.diff(group[order]) == 0) & (np.diff(series.times.time[order]) == np.timedelta64(0))
    if not same.any():
        return at, Repeated(0, 0)
    ones, others = order[:-1][same], order[1:][same]
    differ = {name: _differ(values, ones, others) for name, values in columns.items()}
    unlike = np.any(list(differ.values()), axis=0)
    repeated = Repeated(int((~unlike).sum()), int(unlike.sum()))
    if repeated.too_many(len(at)):
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
    return at[~gone[at]], repeated


def _differ(values: np.ndarray, ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    one, other = values[ones], values[others]
    blank = np.isnat if values.dtype.kind == "M" else np.isnan
    same = (one == other) | (blank(one) & blank(other))
    return ~(same if same.ndim == 1 else same.all(axis=1))


def _spread(table: Table, series: TableRows, at: np.ndarray, time: np.ndarray, known: np.ndarray | None,
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
    cells, shape = (rows, position[codes]), (len(stamps), len(used))

    def spread(values: np.ndarray, mask: slice | np.ndarray = slice(None)) -> np.ndarray:
        block = np.full(shape, np.array("NaT" if values.dtype.kind == "M" else np.nan, dtype=values.dtype))
        block[cells[0][mask], cells[1][mask]] = values[at][mask]
        return block

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


def _facts(table: Table, codes: np.ndarray, at: np.ndarray, used: np.ndarray) -> dict[Hashable, object]:
    """What columns say of a node that does not change: numbers where all are, else texts."""
    found: dict[Hashable, object] = {}
    for name in table.wanted.facts:
        if table.column("fact", name) is None or name in ("time", "node", "lat", "lon", "known_time"):
            continue
        texts = table.texts(name)
        said = np.array([word.lower() not in MISSING for word in texts.words], dtype=bool)[texts.codes[at]]
        first = pd.Series(texts.words[texts.codes[at][said]]).groupby(codes[said]).first().reindex(used)
        numbers = pd.to_numeric(first.str.replace(table.wanted.decimal, ".", regex=False), errors="coerce")
        held = first.notna().to_numpy()
        values = numbers.to_numpy(float) if not numbers[held].isna().any() and held.any() else \
            first.fillna("").to_numpy(str)
        found[name] = ("node", values)
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

