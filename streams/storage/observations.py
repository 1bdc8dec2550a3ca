"""How one domain's observations lie in the store: first reports, their known times, and the ledger of revisions.

Group ``observations/<domain>`` holds ``time``, ``node``, ``known_time`` (time, node), optionally ``lat`` and
``lon``, facts of the nodes, and an array per variable; time is sorted, nodes only ever join at the end. Group
``revisions/<domain>`` holds one entry per changed value, in order of arrival.
"""

from __future__ import annotations

import bisect
from functools import cached_property
from typing import cast

import numpy as np
import pandas as pd
import xarray as xr
import zarr

from terracast.streams.bitemporal import REVISION_COLUMNS, RecordedDomain, no_revisions
from terracast.streams.clock import Clock
from terracast.streams.errors import StoreError
from terracast.streams.instant import instant
from terracast.streams.storage.arrays import attrs_of, plain_name, read_array, safe_name

POSITIONS = ("lat", "lon")
OWN_ATTRS = ("variable_order", "fact_order", "clock", "kept_from")


def domains_in(root: zarr.Group) -> tuple[str, ...]:
    """Names of the domains in the store, sorted."""
    if "observations" not in root:
        return ()
    return tuple(sorted(plain_name(name) for name in root["observations"].group_keys()))


def find_domain(root: zarr.Group, domain: str) -> StoredDomain | None:
    """The stored domain, or None where nothing was ingested yet."""
    group = root.get(f"observations/{safe_name(domain)}")
    return None if group is None else StoredDomain(root, domain, group)


class StoredDomain:
    """One domain in the store; reads only the rows asked for."""

    def __init__(self, root: zarr.Group, domain: str, group: zarr.Group | None = None) -> None:
        self.domain = domain
        self._root = root
        self.group = root[f"observations/{safe_name(domain)}"] if group is None else group
        self.attrs = dict(self.group.attrs)

    @cached_property
    def arrays(self) -> dict[str, zarr.Array]:
        """All arrays of the domain under their plain names, opened at once."""
        return {plain_name(name): array for name, array in self.group.arrays()}

    @cached_property
    def time(self) -> np.ndarray:
        """All stored stamps, strictly increasing."""
        return read_array(self.arrays["time"])

    @cached_property
    def nodes(self) -> np.ndarray:
        """All node names in the order of joining."""
        return read_array(self.arrays["node"])

    @property
    def variables(self) -> tuple[str, ...]:
        """All variable names in the order of joining."""
        return tuple(self.attrs["variable_order"])

    @property
    def facts(self) -> tuple[str, ...]:
        """Names of the facts of nodes, in the order of joining."""
        return tuple(self.attrs.get("fact_order", ()))

    @property
    def chunks(self) -> tuple[int, int]:
        """Rows and nodes in a chunk of the arrays on (time, node)."""
        return cast("tuple[int, int]", tuple(self.arrays["known_time"].chunks))

    @property
    def kept_from(self) -> np.datetime64:
        """What is older was dropped by retention and is not taken in again; NaT where nothing was dropped."""
        return np.datetime64(self.attrs.get("kept_from", "NaT"), "ns")

    @property
    def step(self) -> np.timedelta64:
        """The domain's step."""
        return self.clock.step

    @cached_property
    def clock(self) -> Clock:
        """Which stamps the domain has."""
        if "clock" not in self.attrs:
            raise StoreError("a store of an earlier build", where=self.domain, expected="domains with a clock",
                             remedy="name a new folder in store.location and run `terracast ingest`")
        return Clock.of(cast("dict[str, str]", self.attrs["clock"]))

    def position_dims(self) -> tuple[str, ...] | None:
        """Dims of ``lat`` and ``lon``, None where no positions are held."""
        return tuple(self.arrays["lat"].metadata.dimension_names) if "lat" in self.arrays else None

    def timed_arrays(self) -> list[str]:
        """Names of the arrays that have a row per stamp (``time`` itself not among them)."""
        moving = list(POSITIONS) if self.position_dims() == ("time", "node") else []
        return ["known_time", *moving, *self.variables]

    def rows(self, since: np.datetime64 | None, until: np.datetime64 | None) -> slice:
        """The rows with since <= time <= until."""
        first = 0 if since is None else int(np.searchsorted(self.time, instant(since)))
        stop = len(self.time) if until is None else int(np.searchsorted(self.time, instant(until), "right"))
        return slice(first, max(first, stop))

    def recorded(self, since: np.datetime64 | None = None, until: np.datetime64 | None = None) -> RecordedDomain:
        """First reports and revisions of the rows with since <= time <= until, loaded into memory."""
        return RecordedDomain(self._panel(self.rows(since, until)), self.revisions(since, until))

    def _panel(self, rows: slice) -> xr.Dataset:
        data = {name: (("time", "node"), read_array(self.arrays[name], rows), attrs_of(self.arrays[name]))
                for name in self.variables}
        coords: dict[str, object] = {
            "time": self.time[rows], "node": self.nodes,
            "known_time": (("time", "node"), read_array(self.arrays["known_time"], rows))}
        dims = self.position_dims()
        for name in POSITIONS if dims else ():
            selection = rows if dims == ("time", "node") else ...
            coords[name] = (dims, read_array(self.arrays[name], selection), attrs_of(self.arrays[name]))
        coords |= {name: ("node", read_array(self.arrays[name]), attrs_of(self.arrays[name])) for name in self.facts}
        attrs = {name: value for name, value in self.attrs.items() if name not in OWN_ATTRS}
        return xr.Dataset(data, coords, attrs)

    def revisions(self, since: np.datetime64 | None = None, until: np.datetime64 | None = None) -> pd.DataFrame:
        """The ledger of revisions about rows with since <= time <= until, sorted by known time (then arrival).

        The running maximum of the entries' times is searched by bisection, so entries that came before anything
        about ``since`` was written are never read.
        """
        path = f"revisions/{safe_name(self.domain)}"
        if path not in self._root:
            return no_revisions()
        ledger = self._root[path]
        count = ledger["time"].shape[0]
        first = 0 if since is None else bisect.bisect_left(
            ledger["latest_time"], int(instant(since).astype(np.int64)), 0, count)
        columns = {name: read_array(ledger[name], slice(first, count))
                   for name in ("time", "node", "variable", "value", "known_time")}
        wanted = np.ones(count - first, dtype=bool)
        if since is not None:
            wanted &= columns["time"] >= instant(since)
        if until is not None:
            wanted &= columns["time"] <= instant(until)
        table = pd.DataFrame({
            "time": columns["time"][wanted], "node": self.nodes[columns["node"][wanted]],
            "variable": np.array(self.variables, dtype=str)[columns["variable"][wanted]],
            "value": columns["value"][wanted], "known_time": columns["known_time"][wanted]})
        return table.sort_values("known_time", kind="stable", ignore_index=True)[list(REVISION_COLUMNS)]
