"""Later entries: what became known about a cell's quality after its own time, as a table of whole masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.bitemporal import REVISION_COLUMNS
from terracast.streams.quality.found import Found
from terracast.streams.quality.labels import Label


@dataclass(frozen=True)
class Entry:
    """Labels that cells of a variable get (``change`` > 0, a bit) or lose (< 0), and at which row that was
    seen.

    ``when`` gives the known times where they are not those of the rows ``seen``.
    """

    variable: str
    change: int
    rows: np.ndarray
    columns: np.ndarray
    seen: np.ndarray
    when: np.ndarray | None = None

    @classmethod
    def of(cls, found: Found, label: Label, variable: str, context: int, first: int) -> list[Entry]:
        """What a check found about the past, seen in rows from ``first`` (of the panel) on."""
        entries = []
        for sign, cells in ((1, found.hindsight()), (-1, found.cleared)):
            if cells is not None and len(cells[0]):
                rows, columns, seen = cells[0] + context, cells[1], cells[2] + context
                kept = seen >= first
                entries.append(cls(variable, sign * int(label), rows[kept], columns[kept], seen[kept]))
        return entries


def no_entries() -> pd.DataFrame:
    """An empty table of later entries."""
    return pd.DataFrame({"time": pd.Series(dtype="datetime64[ns]"), "node": pd.Series(dtype=str),
                         "variable": pd.Series(dtype=str), "value": pd.Series(dtype=np.uint16),
                         "known_time": pd.Series(dtype="datetime64[ns]"), "change": pd.Series(dtype=np.int64)})


def later_entries(entries: Sequence[Entry], masks: Mapping[str, np.ndarray], panel: xr.Dataset,
                  known: np.ndarray) -> pd.DataFrame:
    """The entries as whole masks: each row of the table says the cell's mask from its known time on.

    ``change`` is the mask's change since it was first given: all that is known of cells before the rows
    judged.
    """
    tables = [_masked([one for one in entries if one.variable == name], masks[name], panel, known)
              for name in masks]
    tables = [table for table in tables if len(table)]
    if not tables:
        return no_entries()
    return pd.concat(tables).sort_values(["known_time", "time"], kind="stable", ignore_index=True)


def _masked(entries: Sequence[Entry], mask: np.ndarray, panel: xr.Dataset, known: np.ndarray) -> pd.DataFrame:
    parts = [pd.DataFrame({"row": one.rows, "column": one.columns, "change": one.change,
                           "known_time": known[one.seen, one.columns] if one.when is None else one.when})
             for one in entries if len(one.rows)]
    if not parts:
        return no_entries()
    table = pd.concat(parts)
    now = mask[table["row"], table["column"]].astype(np.int64)
    has = (now & np.abs(table["change"].to_numpy())) > 0
    table = table[has == (table["change"].to_numpy() < 0)]  # nothing given twice, nothing taken that was not there
    table = table.sort_values(["known_time"], kind="stable").drop_duplicates(["row", "column", "change"])
    total = table.groupby(["row", "column"], sort=False)["change"].cumsum()
    value = mask[table["row"], table["column"]].astype(np.int64) + total.to_numpy()
    table = table.assign(value=value.astype(np.uint16), total=total)
    table = table.drop_duplicates(["row", "column", "known_time"], keep="last")
    return pd.DataFrame({"time": panel["time"].values[table["row"]], "node": panel["node"].values[table["column"]],
                         "variable": entries[0].variable, "value": table["value"].to_numpy(),
                         "known_time": table["known_time"].to_numpy("datetime64[ns]"),
                         "change": table["total"].to_numpy()}, columns=[*REVISION_COLUMNS, "change"])


def with_entries(flags: xr.Dataset, later: pd.DataFrame) -> xr.Dataset:
    """Flags with the later entries (in order of known time) put in; entries about other cells are left
    out."""
    held = {}
    for name, one in flags.data_vars.items():
        mine = later[later["variable"] == name]
        rows = pd.Index(flags["time"].values).get_indexer(mine["time"])
        columns = pd.Index(flags["node"].values).get_indexer(mine["node"])
        here = (rows >= 0) & (columns >= 0)
        values = one.values.copy()
        values[rows[here], columns[here]] = mine["value"].to_numpy(np.uint16)[here]
        held[str(name)] = (("time", "node"), values, one.attrs)
    return flags.assign(held)
