"""How a domain grows in the store: nodes, variables, positions, stamps and revisions join; used by ingest alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
import zarr

from terracast.streams.clock import Clock
from terracast.streams.storage.arrays import create_array, read_array, safe_name, tidy_attrs, write_array
from terracast.streams.storage.layout import ENTRY_CHUNK, chunks_for
from terracast.streams.storage.observations import POSITIONS, StoredDomain, find_domain


class GrowingDomain(StoredDomain):
    """A stored domain that can be written to."""

    def join_nodes(self, nodes: np.ndarray) -> np.ndarray:
        """Grow the node axis by the names that are new; returns the column of each of ``nodes``."""
        if np.array_equal(nodes, self.nodes):
            return np.arange(len(nodes))
        held = set(self.nodes.tolist())
        new = [name for name in nodes.tolist() if name not in held]
        if new:
            count, total = len(self.nodes), len(self.nodes) + len(new)
            self.arrays["node"].resize((total,))
            write_array(self.arrays["node"], slice(count, total), np.array(new, dtype=str))
            self.nodes = np.concatenate([self.nodes, np.array(new, dtype=str)])
            for name in self.timed_arrays():
                self.arrays[name].resize((len(self.time), total))
            if self.position_dims() == ("node",):
                for name in POSITIONS:
                    self.arrays[name].resize((total,))
            for name in self.facts:
                self.arrays[name].resize((total,))
        return np.asarray(pd.Index(self.nodes).get_indexer(nodes))

    def join_variable(self, name: str, like: np.ndarray, attrs: dict[str, object]) -> None:
        """A new variable, NaN on all rows so far; kept as float32 or float64 as ``like`` is."""
        self.arrays[name] = create_array(self.group, name, like, (len(self.time), len(self.nodes)),
                                         ("time", "node"), self.chunks, attrs)
        self.set_attrs(variable_order=[*self.variables, name])

    def join_fact(self, name: str, like: np.ndarray, attrs: dict[str, object]) -> None:
        """A new fact of nodes, not known of any so far; kept as numbers or texts, as ``like`` is."""
        self.arrays[name] = create_array(self.group, name, like[:0], (len(self.nodes),), ("node",), (ENTRY_CHUNK,),
                                         attrs)
        self.set_attrs(fact_order=[*self.facts, name])

    def join_positions(self, dims: tuple[str, ...], panel: xr.Dataset) -> None:
        """Empty ``lat`` and ``lon`` on (node) or (time, node)."""
        sizes = {"time": len(self.time), "node": len(self.nodes)}
        chunk = dict(zip(("time", "node"), self.chunks, strict=True))
        for name in POSITIONS:
            self.arrays[name] = create_array(
                self.group, name, np.zeros(0), tuple(sizes[dim] for dim in dims), dims,
                tuple(chunk[dim] for dim in dims), panel[name].attrs)

    def join_stamps(self, stamps: np.ndarray) -> None:
        """Make rows for stamps that are not held; only what comes after the first of them is rewritten."""
        new = np.setdiff1d(stamps, self.time)
        if not len(new):
            return
        first, total = int(np.searchsorted(self.time, new[0])), len(self.time) + len(new)
        tail = self.time[first:]
        axis = np.union1d(tail, new)
        places = np.searchsorted(axis, tail)
        for name in self.timed_arrays():
            array = self.arrays[name]
            held = read_array(array, slice(first, None)) if len(tail) else np.zeros(0)
            array.resize((total, len(self.nodes)))
            if len(tail):
                missing = np.array("NaT" if held.dtype.kind == "M" else np.nan, dtype=held.dtype)
                moved = np.full((len(axis), len(self.nodes)), missing)
                moved[places] = held
                write_array(array, slice(first, total), moved)
        self.arrays["time"].resize((total,))
        write_array(self.arrays["time"], slice(first, total), axis)
        self.time = np.concatenate([self.time[:first], axis])

    def add_revisions(self, entries: pd.DataFrame) -> None:
        """Append entries to the ledger of revisions; ``node`` and ``variable`` are names."""
        ledger = self._ledger()
        count, total = ledger["time"].shape[0], ledger["time"].shape[0] + len(entries)
        latest = np.maximum.accumulate(entries["time"].to_numpy("datetime64[ns]"))
        if count:
            latest = np.maximum(latest, read_array(ledger["latest_time"], slice(count - 1, count))[0])
        columns = {
            "time": entries["time"].to_numpy("datetime64[ns]"),
            "node": pd.Index(self.nodes).get_indexer(entries["node"]).astype(np.int32),
            "variable": pd.Index(list(self.variables)).get_indexer(entries["variable"]).astype(np.int32),
            "value": entries["value"].to_numpy(np.float64),
            "known_time": entries["known_time"].to_numpy("datetime64[ns]"), "latest_time": latest}
        for name, values in columns.items():
            ledger[name].resize((total,))
            write_array(ledger[name], slice(count, total), values)

    def _ledger(self) -> zarr.Group:
        path = f"revisions/{safe_name(self.domain)}"
        if path not in self._root:
            ledger = self._root.create_group(path)
            kinds = {"time": "M8[ns]", "node": "i4", "variable": "i4", "value": "f8", "known_time": "M8[ns]",
                     "latest_time": "M8[ns]"}
            for name, dtype in kinds.items():
                create_array(ledger, name, np.zeros(0, dtype), (0,), ("entry",), (ENTRY_CHUNK,))
        return self._root[path]

    def set_attrs(self, **changes: object) -> None:
        """Change attributes of the domain."""
        self.attrs |= changes
        self.group.attrs.update(changes)


def find_growing(root: zarr.Group, domain: str) -> GrowingDomain | None:
    """The stored domain, to be written to, or None where nothing was ingested yet."""
    held = find_domain(root, domain)
    return None if held is None else GrowingDomain(root, domain, held.group)


def create_domain(root: zarr.Group, panel: xr.Dataset, clock: Clock) -> GrowingDomain:
    """An empty domain with the panel's attrs and this clock."""
    domain = str(panel.attrs["domain"])
    group = root.create_group(f"observations/{safe_name(domain)}")
    group.attrs.update({**tidy_attrs(panel.attrs), "clock": clock.attrs, "variable_order": []})
    no_stamps, axis = np.zeros(0, "M8[ns]"), (ENTRY_CHUNK,)
    create_array(group, "time", no_stamps, (0,), ("time",), axis, {"standard_name": "time"})
    create_array(group, "node", np.zeros(0, "U1"), (0,), ("node",), axis, {"cf_role": "timeseries_id"})
    create_array(group, "known_time", no_stamps, (0, 0), ("time", "node"), chunks_for(panel.sizes["node"]))
    return GrowingDomain(root, domain, group)
