"""The store: one versioned Zarr store (Icechunk) for all that must survive; one step of the loop is one commit.

``Store.transaction`` writes, ``Store.read`` reads any snapshot; both are a ``streams.bitemporal.History``. A step that
fails, or a process that is killed, leaves the last commit as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import icechunk
import numpy as np
import xarray as xr
import zarr

from terracast.streams.bitemporal import InMemoryHistory, known_part
from terracast.streams.clock import Clock
from terracast.streams.errors import PanelError, StoreError
from terracast.streams.ingest import Ingested, ingest
from terracast.streams.storage.arrays import safe_name
from terracast.streams.storage.failures import first_line, reading, without_secrets, writing
from terracast.streams.storage.ledger import append_entries, ledger_names, read_entries
from terracast.streams.storage.lock import only_writer
from terracast.streams.storage.observations import StoredDomain, domains_in, find_domain
from terracast.streams.storage.place import BRANCH, KEEP, local_folder, repository_at, shown
from terracast.streams.storage.states import saved_state, write_state
from terracast.streams.storage.tree import Packed

Result = TypeVar("Result")


class Snapshot(NamedTuple):
    """One commit: its id, when it was written (UTC), and its message."""

    id: str
    time: np.datetime64
    message: str


class ConflictError(StoreError):
    """Another writer has committed changes to the same things first; nothing of this step was kept."""


class View:
    """The store at one snapshot, read-only; a ``History``."""

    def __init__(self, session: Any, where: str, name: str = "") -> None:
        self._session: Any = session
        self._name = name
        self._group: zarr.Group | None = None
        self._opened: dict[str, StoredDomain] = {}
        self._saved: dict[str, Packed | None] = {}
        self._where = where

    @property
    def snapshot(self) -> str:
        """The id of the commit that is read."""
        return self._name or str(self._session.snapshot_id)

    @property
    def root(self) -> zarr.Group:
        """The zarr group that holds everything: for ``streams.storage`` and for looking inside."""
        if self._session is None:
            raise StoreError("the transaction has ended", where=self._where, expected="use inside its with block",
                             remedy="open another transaction, or use store.read()")
        if self._group is None:
            with reading(self._where, "the list of contents"):
                self._group = zarr.open_group(self._session.store, mode="r" if self._session.read_only else "r+")
        return self._group

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains held, sorted."""
        return domains_in(self.root)

    @property
    def ledgers(self) -> tuple[str, ...]:
        """Names of the ledgers held, sorted."""
        return ledger_names(self.root)

    def as_known_at(self, domain: str, now: np.datetime64, since: np.datetime64 | None = None) -> xr.Dataset:
        """The panel as known at ``now``, rows from ``since`` on: ``known_part`` of all that was ingested.

        Reads only the rows with since <= time <= now (nothing is known before its own time).
        """
        with reading(self._where, domain):
            return known_part(self._held(domain).recorded(since, now), now)

    def history(self, since: Mapping[str, np.datetime64] | np.datetime64 | None = None) -> InMemoryHistory:
        """All domains in memory, rows from ``since`` (one instant, or one per domain; default: all rows)."""
        held = {}
        for domain in self.domains:
            first = since.get(domain) if isinstance(since, Mapping) else since
            with reading(self._where, domain):
                held[domain] = self._held(domain).recorded(first)
        return InMemoryHistory({domain: one.panel for domain, one in held.items()},
                        {domain: one.revisions for domain, one in held.items()})

    def clock(self, domain: str) -> Clock | None:
        """Which stamps a domain has, None where nothing of it was ingested."""
        held = self._found(domain)
        return None if held is None else held.clock

    def state(self, name: str) -> dict[str, Any] | None:
        """What ``set_state`` was last given, None where nothing was."""
        return cast("dict[str, Any] | None", self._tree("states", name))

    def state_part(self, name: str, part: str) -> object:
        """One entry of a state, None where there is none: reads no more of the state than it must."""
        return self._tree("states", name, part)

    def has_state(self, name: str) -> bool:
        """Whether ``set_state`` was ever called for this name."""
        return self._state(f"states/{safe_name(name)}") is not None

    def cursor(self, source: str) -> dict[str, object] | None:
        """How far ``source`` was read, None where it never was."""
        return cast("dict[str, object] | None", self._tree("cursors", source))

    def ledger(self, name: str, since: Any = None) -> xr.Dataset | None:
        """A ledger's entries (from ``since`` on), None where nothing was ever added."""
        with reading(self._where, name):
            return read_entries(self.root, name, since)

    def _held(self, domain: str) -> StoredDomain:
        held = self._found(domain)
        if held is None:
            raise PanelError(f"no domain {domain!r}", where=self._where,
                             expected="one of " + (", ".join(self.domains) or "none yet"),
                             remedy="ingest its panel first")
        return held

    def _found(self, domain: str) -> StoredDomain | None:
        """A domain, opened once; None where nothing of it was ingested."""
        root = self.root
        held = self._opened.get(domain) or find_domain(root, domain)
        if held is not None:
            self._opened[domain] = held
        return held

    def _tree(self, folder: str, name: str, part: str | None = None) -> object:
        path = f"{folder}/{safe_name(name)}"
        with reading(self._where, path):
            held = self._state(path)
            return None if held is None else held.whole if part is None else held.entry(part)

    def _state(self, path: str) -> Packed | None:
        """A state, opened once; None where none was kept."""
        root = self.root
        if path not in self._saved:
            self._saved[path] = saved_state(root, path)
        return self._saved[path]


class Transaction(View):
    """A view that also writes; it sees its own writes at once, others see them after the commit."""

    @property
    def snapshot(self) -> str:
        """The id of the commit that was read; after the with block, of the commit that was made."""
        return self._committed or super().snapshot

    def __init__(self, session: Any, where: str) -> None:
        super().__init__(session, where)
        self._committed = ""

    def ingest(self, domain: str, panel: xr.Dataset, arrived: np.datetime64 | None = None) -> Ingested:
        """Write a panel's reports (see ``streams.ingest``); returns what became of each of them."""
        self._opened.pop(domain, None)
        return ingest(self.root, domain, panel, arrived)

    def append(self, name: str, dataset: xr.Dataset, along: str) -> None:
        """Add entries to an append-only ledger (see ``streams.storage.ledger``)."""
        append_entries(self.root, name, dataset, along)

    def set_state(self, name: str, tree: Mapping[str, object]) -> None:
        """Keep a component's state: nested dicts of JSON values and numpy arrays, exact to the bit."""
        self._write("states", name, tree)

    def set_cursor(self, source: str, cursor: Mapping[str, object]) -> None:
        """Keep how far ``source`` was read."""
        self._write("cursors", source, cursor)

    def _write(self, folder: str, name: str, tree: Mapping[str, object]) -> None:
        path = f"{folder}/{safe_name(name)}"
        self._saved.pop(path, None)
        write_state(self.root, path, tree)

    def _commit(self, message: str) -> None:
        if not self._session.has_uncommitted_changes:
            return
        try:
            self._committed = str(self._session.commit(message, rebase_with=icechunk.ConflictDetector()))
        except (icechunk.ConflictError, icechunk.RebaseFailedError) as failed:
            raise ConflictError("another writer has changed the same things", where=self._where,
                           expected="one writer on a domain, state or ledger",
                           remedy="nothing was kept: run it again") from failed

    def _end(self) -> None:
        self._committed = self._committed or super().snapshot
        self._session = None


class Store:
    """A versioned store in a local folder or under an ``s3://bucket/prefix`` URL. Open it with ``Store.open``.

    Attributes
    ----------
    location : str
        Where it is, as a person may read it: without credentials.
    wait_seconds : float
        How long a transaction waits for another writer.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> from terracast.streams.bitemporal import known_after
    >>> air = xr.Dataset({"pm25": (("time", "node"), [[1.0], [2.0]], {"units": "ug m-3", "long_name": "PM2.5"})},
    ...                  {"time": pd.date_range("2020-01-01", periods=2, freq="h"), "node": ["a"]},
    ...                  {"domain": "air", "kind": "sensor", "step": "1h"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = Store.open(folder)
    ...     with store.transaction("first step") as step:
    ...         counted = step.ingest("air", known_after(air, pd.Timedelta("1h")))
    ...         step.set_cursor("file", {"read_to": "2020-01-01T01"})
    ...     known = store.read().as_known_at("air", np.datetime64("2020-01-01T01:00"))
    >>> counted.new, known.pm25.values.tolist()
    (2, [[1.0]])
    """

    def __init__(self, repository: Any, location: str, folder: Path | None, wait_seconds: float) -> None:
        self._repository, self._folder = repository, folder
        self._newest: View | None = None
        self.location, self.wait_seconds = location, wait_seconds

    @classmethod
    def open(cls, location: str | Path, *, wait_seconds: float = 10.0) -> Store:
        """Open the store, creating it where there is none.

        Parameters
        ----------
        location : str or Path
            A local folder, or ``s3://bucket/prefix`` with credentials and endpoint from the environment (see
            ``streams.storage.place``).
        wait_seconds : float
            How long a transaction waits for another writer (local folders) before ``StoreError``.
        """
        folder = local_folder(location)
        return cls(repository_at(location, folder, wait_seconds), shown(location), folder, wait_seconds)

    @contextmanager
    def transaction(self, message: str) -> Iterator[Transaction]:
        """One step: all that is written in the block is one commit at its end, or nothing if the block fails.

        A block that changes nothing makes no commit. ``StoreError`` when another writer keeps the store.
        """
        with only_writer(self._folder, self.wait_seconds) if self._folder else nullcontext():
            step = Transaction(self._writable(), self.location)
            try:
                with writing(self.location):
                    yield step
                    step._commit(message)
            finally:
                step._end()

    def repeated(self, message: str, step: Callable[[Transaction], Result], attempts: int = 5) -> Result:
        """Run ``step`` in a transaction, and again from the start on a ``ConflictError``, at most ``attempts`` times.

        On object storage two writers may work at once. What touches different domains, states and ledgers is
        joined by itself; of two steps on the same, the second one has to see the first one's work.
        """
        for attempt in range(attempts):
            try:
                with self.transaction(message) as transaction:
                    result = step(transaction)
            except ConflictError:
                if attempt == attempts - 1:
                    raise
            else:
                return result
        raise StoreError("no attempt was allowed", where=self.location, expected="attempts of 1 or more",
                         remedy="allow one")

    @contextmanager
    def maintained(self) -> Iterator[Any]:
        """The icechunk repository, with other writers kept out (local folders): for ``streams.storage``."""
        with only_writer(self._folder, self.wait_seconds) if self._folder else nullcontext():
            yield self._repository

    @property
    def is_local(self) -> bool:
        """Whether the store lies in a local folder, where one writer at a time is let in."""
        return self._folder is not None

    def read(self, snapshot: str | None = None) -> View:
        """A read-only view of the newest snapshot, or of the one named.

        Of one that ``compact`` was told to keep the data are there: observations, revisions and ledgers.
        """
        try:
            if snapshot is None:
                return self._shared(View(self._repository.readonly_session(BRANCH), self.location))
            if KEEP + snapshot in self._repository.list_branches():
                return View(self._repository.readonly_session(KEEP + snapshot), self.location, snapshot)
            self._repository.lookup_snapshot(snapshot)
            return View(self._repository.readonly_session(snapshot_id=snapshot), self.location)
        except (icechunk.IcechunkError, ValueError) as failed:
            if snapshot is None:
                raise StoreError(f"the newest snapshot cannot be read ({first_line(failed)})", where=self.location,
                                 expected="a store that can be reached and is sound",
                                 remedy="check the connection, else restore a backup"
                                 ) from without_secrets(failed)
            raise StoreError(f"no snapshot {snapshot!r}", where=self.location, expected="an id of store.snapshots()",
                             remedy="list the snapshots") from without_secrets(failed)

    def _shared(self, view: View) -> View:
        """The view of this snapshot that was given before, which has read some of it, or else this one."""
        if self._newest is None or self._newest.snapshot != view.snapshot:
            self._newest = view
        return self._newest

    def _writable(self) -> Any:
        try:
            return self._repository.writable_session(BRANCH)
        except icechunk.IcechunkError as failed:
            raise StoreError(f"no step can begin ({first_line(failed)})", where=self.location,
                             expected="a store that can be reached and is sound",
                             remedy="check the location") from without_secrets(failed)

    def holds(self, snapshot: str) -> bool:
        """Whether a snapshot can still be read."""
        if KEEP + snapshot in self._repository.list_branches():
            return True
        try:
            self._repository.lookup_snapshot(snapshot)
        except (icechunk.IcechunkError, ValueError):
            return False
        return True

    def snapshots(self) -> tuple[Snapshot, ...]:
        """All commits, the newest first."""
        try:
            return tuple(Snapshot(one.id, np.datetime64(one.written_at.replace(tzinfo=None), "ns"), one.message)
                         for one in self._repository.ancestry(branch=BRANCH))
        except icechunk.IcechunkError as failed:
            raise StoreError(f"the history of snapshots cannot be read ({first_line(failed)})", where=self.location,
                             expected="a store that can be reached and is sound",
                             remedy="restore the folder from a backup") from without_secrets(failed)
