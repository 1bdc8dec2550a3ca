"""Flags in the store: one append-only ledger ``quality/DOMAIN`` of cells whose flags are not 0, or have
changed.

Most flags are 0, so the ledger is sparse, and nodes and variables may join at any time. Each entry says the
whole mask of a cell from its known time on; the latest known wins, as with revised values. Values are never
touched.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.instant import instant
from terracast.streams.quality.entries import with_entries
from terracast.streams.quality.flags import Flagged
from terracast.streams.quality.labels import flag_attrs
from terracast.streams.storage.ledger import REPEATS
from terracast.streams.store import Transaction, View

ALONG = "known_time"


def ledger_of(domain: str) -> str:
    """The name of a domain's ledger of flags."""
    return f"quality/{domain}"


def record(step: Transaction, domain: str, flagged: Flagged, now: np.datetime64) -> int:
    """Write what the ledger does not say yet, as known at ``now``; returns how many entries that took.

    Judging the same rows again adds nothing, or what has changed since. Costs one read of the ledger's
    entries known since the first row concerned.

    >>> import tempfile
    >>> from terracast.streams.quality import judge
    >>> from terracast.streams.store import Store
    >>> hours = pd.date_range("2020-01-01", periods=3, freq="h")
    >>> temp = xr.Dataset({"t": (("time", "node"), [[1.0], [-300.0], [2.0]],
    ...                          {"units": "degC", "long_name": "air temperature"})},
    ...                   {"time": hours, "node": ["a"]}, {"domain": "w", "kind": "sensor", "step": "1h"})
    >>> now = np.datetime64("2020-01-01T03")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = Store.open(folder)
    ...     with store.transaction("flags") as step:
    ...         written = record(step, "w", judge(temp), now), record(step, "w", judge(temp), now)
    ...     flags = recorded(store.read(), "w", temp, now).t.values.ravel().tolist()
    >>> written, flags
    ((1, 0), [0, 16, 0])
    """
    held = _entries(step, domain, _first_stamp(flagged))
    if len(held):  # an entry that says what is already known must not be written again
        held = held.sort_values(ALONG, kind="stable").drop_duplicates(["time", "node", "variable"], keep="last")
    before = held.set_index(["time", "node", "variable"])["value"]
    wanted = pd.concat([_flag_rows(flagged.hindsight()), _earlier(flagged, before), _gone(flagged.hindsight(), held)])
    index = pd.MultiIndex.from_frame(wanted[["time", "node", "variable"]])
    known = before.reindex(index).fillna(0).to_numpy().astype(np.int64)
    wanted = wanted[wanted["value"].to_numpy().astype(np.int64) != known]
    if len(wanted):
        step.append(ledger_of(domain), _ledger(wanted, instant(now)), along=ALONG)
    return len(wanted)


def recorded(view: View, domain: str, panel: xr.Dataset, now: np.datetime64) -> xr.Dataset:
    """The flags on a panel's stamps, nodes and variables, as recorded and known at ``now``."""
    entries = _entries(view, domain, panel["time"].values[0] if panel.sizes["time"] else instant(now))
    entries = entries[entries[ALONG] <= instant(now)].sort_values(ALONG, kind="stable")
    shape = (panel.sizes["time"], panel.sizes["node"])
    clean = {str(name): (("time", "node"), np.zeros(shape, np.uint16), flag_attrs(str(panel[name].attrs["long_name"])))
             for name in panel.data_vars}
    return with_entries(panel.drop_vars(list(clean)).assign(clean), entries)


def _first_stamp(flagged: Flagged) -> np.datetime64:
    told = (flagged.first["time"].values, flagged.later["time"].to_numpy("datetime64[ns]"))
    stamps = [stamps.min() for stamps in told if len(stamps)]
    return instant(min(stamps)) if stamps else instant("1970-01-01")


def _entries(view: View, domain: str, since: np.datetime64) -> pd.DataFrame:
    """Ledger entries about rows from ``since`` on; a flag is never known before its row."""
    ledger = view.ledger(ledger_of(domain), since)
    if ledger is None:
        return pd.DataFrame({"time": pd.Series(dtype="datetime64[ns]"), "node": pd.Series(dtype=str),
                             "variable": pd.Series(dtype=str), "value": pd.Series(dtype=np.uint16),
                             ALONG: pd.Series(dtype="datetime64[ns]")})
    return pd.DataFrame({"time": ledger["row"].values, "node": ledger["node"].values,
                         "variable": ledger["variable"].values, "value": ledger["flags"].values,
                         ALONG: ledger[ALONG].values})


def _flag_rows(flags: xr.Dataset) -> pd.DataFrame:
    """Cells with a flag, as a table."""
    tables = []
    for name, one in flags.data_vars.items():
        rows, columns = np.nonzero(one.values)
        tables.append(pd.DataFrame({"time": flags["time"].values[rows], "node": flags["node"].values[columns],
                                    "variable": str(name), "value": one.values[rows, columns]}))
    return pd.concat(tables, ignore_index=True)


def _earlier(flagged: Flagged, before: pd.Series) -> pd.DataFrame:
    """What became known about rows before those judged: their recorded mask with the change."""
    first = flagged.first["time"].values
    old = flagged.later[flagged.later["time"] < first[0]] if len(first) else flagged.later
    old = old.drop_duplicates(["time", "node", "variable"], keep="last")
    mask = before.reindex(pd.MultiIndex.from_frame(old[["time", "node", "variable"]])).fillna(0).to_numpy(np.int64)
    change = old["change"].to_numpy(np.int64)
    value = np.where(change >= 0, mask | np.abs(change), mask & ~np.abs(change))
    return old[["time", "node", "variable"]].assign(value=value.astype(np.uint16))


def _gone(flags: xr.Dataset, held: pd.DataFrame) -> pd.DataFrame:
    """InMemoryHistory cells among those judged: 0 where they are clean now (they are told again where they are
    not)."""
    rows = pd.Index(flags["time"].values).get_indexer(held["time"])
    columns = pd.Index(flags["node"].values).get_indexer(held["node"])
    clean = np.zeros(len(held), bool)
    for name in map(str, flags.data_vars):
        mine = (rows >= 0) & (columns >= 0) & (held["variable"] == name).to_numpy()
        clean[mine] = flags[name].values[rows[mine], columns[mine]] == 0
    return held.loc[clean, ["time", "node", "variable"]].assign(value=np.uint16(0))


def _ledger(entries: pd.DataFrame, now: np.datetime64) -> xr.Dataset:
    known = np.full(len(entries), now, "datetime64[ns]")
    columns = {"row": entries["time"].to_numpy("datetime64[ns]"), "node": entries["node"].to_numpy(str),
               "variable": entries["variable"].to_numpy(str), "flags": entries["value"].to_numpy(np.uint16)}
    return xr.Dataset({name: ((ALONG,), values) for name, values in columns.items()}, {ALONG: known}, {REPEATS: True})
