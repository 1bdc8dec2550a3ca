"""The store: one versioned Zarr store (Icechunk) for all that must survive; one step of the loop is one commit.

``Store.transaction`` writes, ``Store.read`` reads any snapshot; both are a ``streams.known.History``. A step that
fails, or a process that is killed, leaves the last commit as it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import urlparse

import icechunk
import numpy as np
import xarray as xr
import zarr

from streams.arrays import safe_name
from streams.errors import PanelError, StoreError
from streams.ingest import Ingested, ingest
from streams.known import Recorded, known_part
from streams.ledger import append_entries, ledger_names, read_entries
from streams.lock import only_writer
from streams.observations import StoredDomain, domains_in, find_domain
from streams.tree import pack, unpack

BRANCH = "main"
DATA = "data"  # the repository lies in this subfolder, the writer lock beside it


class Snapshot(NamedTuple):
    """One commit: its id, when it was written (UTC), and its message."""

    id: str
    time: np.datetime64
    message: str


class View:
    """The store at one snapshot, read-only; a ``History``."""

    def __init__(self, session: Any, where: str) -> None:
        self._session: Any = session
        self._group: zarr.Group | None = None
        self._where = where

    @property
    def snapshot(self) -> str:
        """The id of the commit that is read."""
        return str(self._session.snapshot_id)

    @property
    def _root(self) -> zarr.Group:
        if self._session is None:
            raise StoreError("the transaction has ended", where=self._where, expected="use inside its with block",
                             remedy="open another transaction, or use store.read()")
        if self._group is None:
            self._group = zarr.open_group(self._session.store, mode="r" if self._session.read_only else "r+")
        return self._group

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains held, sorted."""
        return domains_in(self._root)

    @property
    def ledgers(self) -> tuple[str, ...]:
        """Names of the ledgers held, sorted."""
        return ledger_names(self._root)

    def as_known_at(self, domain: str, now: np.datetime64, since: np.datetime64 | None = None) -> xr.Dataset:
        """The panel as known at ``now``, rows from ``since`` on: ``known_part`` of all that was ingested.

        Reads only the rows with since <= time <= now (nothing is known before its own time).
        """
        return known_part(self._held(domain).recorded(since, now), now)

    def history(self, since: Mapping[str, np.datetime64] | np.datetime64 | None = None) -> Recorded:
        """All domains in memory, rows from ``since`` (one instant, or one per domain; default: all rows)."""
        held = {}
        for domain in self.domains:
            first = since.get(domain) if isinstance(since, Mapping) else since
            held[domain] = self._held(domain).recorded(first)
        return Recorded({domain: one.panel for domain, one in held.items()},
                        {domain: one.revisions for domain, one in held.items()})

    def state(self, name: str) -> dict[str, object] | None:
        """What ``set_state`` was last given, None where nothing was."""
        return cast("dict[str, object] | None", self._tree("states", name))

    def cursor(self, source: str) -> dict[str, object] | None:
        """How far ``source`` was read, None where it never was."""
        return cast("dict[str, object] | None", self._tree("cursors", source))

    def ledger(self, name: str, since: Any = None) -> xr.Dataset | None:
        """A ledger's entries (from ``since`` on), None where nothing was ever added."""
        return read_entries(self._root, name, since)

    def _held(self, domain: str) -> StoredDomain:
        root = self._root
        held = find_domain(root, domain)
        if held is None:
            raise PanelError(f"no domain {domain!r}", where=self._where,
                             expected="one of " + (", ".join(domains_in(root)) or "none yet"),
                             remedy="ingest its panel first")
        return held

    def _tree(self, folder: str, name: str) -> object:
        root, path = self._root, f"{folder}/{safe_name(name)}"
        return unpack(root[path][:].tobytes(), path) if path in root else None


class Transaction(View):
    """A view that also writes; it sees its own writes at once, others see them after the commit."""

    @property
    def snapshot(self) -> str:
        """The id of the commit that was read; after the with block, of the commit that was made."""
        return self._committed or super().snapshot

    def __init__(self, session: Any, where: str) -> None:
        super().__init__(session, where)
        self._committed = ""

    def ingest(self, domain: str, panel: xr.Dataset) -> Ingested:
        """Write a panel's reports (see ``streams.ingest``); returns what became of each of them."""
        return ingest(self._root, domain, panel)

    def append(self, name: str, dataset: xr.Dataset, along: str) -> None:
        """Add entries to an append-only ledger (see ``streams.ledger``)."""
        append_entries(self._root, name, dataset, along)

    def set_state(self, name: str, tree: Mapping[str, object]) -> None:
        """Keep a component's state: nested dicts of JSON values and numpy arrays, exact to the bit."""
        self._keep("states", name, tree)

    def set_cursor(self, source: str, cursor: Mapping[str, object]) -> None:
        """Keep how far ``source`` was read."""
        self._keep("cursors", source, cursor)

    def _keep(self, folder: str, name: str, tree: Mapping[str, object]) -> None:
        root, path = self._root, f"{folder}/{safe_name(name)}"
        data = pack(tree, path)
        if path in root and root[path][:].tobytes() == data:
            return
        array = root.create_array(path, shape=(len(data),), chunks=(len(data),), dtype="uint8", overwrite=True)
        array[:] = np.frombuffer(data, np.uint8)

    def _commit(self, message: str) -> None:
        if not self._session.has_uncommitted_changes:
            return
        try:
            self._committed = str(self._session.commit(message, rebase_with=icechunk.ConflictDetector()))
        except icechunk.IcechunkError as failed:
            raise StoreError(f"the step was not committed ({_first_line(failed)})", where=self._where,
                             expected="to be the only writer on a sound store",
                             remedy="nothing was changed: run the step again") from failed

    def _end(self) -> None:
        self._committed = self._committed or super().snapshot
        self._session = None


class Store:
    """A versioned store in a local folder or under an ``s3://bucket/prefix`` URL.

    >>> import tempfile, pandas as pd
    >>> from streams.known import known_after
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
        self.location, self.wait_seconds = location, wait_seconds

    @classmethod
    def open(cls, location: str | Path, *, wait_seconds: float = 10.0) -> Store:
        """Open the store, creating it where there is none.

        ``location``: a local folder, or ``s3://bucket/prefix`` with credentials from the environment.
        ``wait_seconds``: how long a transaction waits for another writer (local folders) before ``StoreError``.
        """
        icechunk.set_logs_filter("error")  # it warns of concurrent commits on every start: the lock sees to that
        folder = _local_folder(location)
        try:
            if folder is None:  # two first writers at once on object storage: one of them fails and may retry
                repository = _created(_object_storage(str(location)))
            else:
                if not (folder / DATA).exists():
                    with only_writer(folder, wait_seconds):
                        _create_in(folder)
                repository = icechunk.Repository.open(icechunk.local_filesystem_storage(str(folder / DATA)))
            return cls(repository, str(location), folder, wait_seconds)
        except icechunk.IcechunkError as failed:
            raise StoreError(f"the store cannot be opened ({_first_line(failed)})", where=str(location),
                             expected="a Terracast store or an empty place", remedy="check the location") from failed

    @contextmanager
    def transaction(self, message: str) -> Iterator[Transaction]:
        """One step: all that is written in the block is one commit at its end, or nothing if the block fails.

        A block that changes nothing makes no commit. ``StoreError`` when another writer keeps the store.
        """
        with only_writer(self._folder, self.wait_seconds) if self._folder else nullcontext():
            step = Transaction(self._repository.writable_session(BRANCH), self.location)
            try:
                yield step
                step._commit(message)
            finally:
                step._end()

    def read(self, snapshot: str | None = None) -> View:
        """A read-only view of the newest snapshot, or of the one named."""
        if snapshot is None:
            return View(self._repository.readonly_session(BRANCH), self.location)
        try:
            self._repository.lookup_snapshot(snapshot)
            return View(self._repository.readonly_session(snapshot_id=snapshot), self.location)
        except (icechunk.IcechunkError, ValueError) as failed:
            raise StoreError(f"no snapshot {snapshot!r}", where=self.location, expected="an id of store.snapshots()",
                             remedy="list the snapshots") from failed

    def snapshots(self) -> tuple[Snapshot, ...]:
        """All commits, the newest first."""
        return tuple(Snapshot(one.id, np.datetime64(one.written_at.replace(tzinfo=None), "ns"), one.message)
                     for one in self._repository.ancestry(branch=BRANCH))


def _local_folder(location: str | Path) -> Path | None:
    """The folder of a local store, made if absent; None for object storage."""
    scheme = urlparse(str(location)).scheme if "://" in str(location) else ""
    if scheme == "s3":
        return None
    if scheme:
        raise StoreError(f"{scheme!r} is not supported", where=str(location),
                         expected="a local folder or s3://bucket/prefix", remedy="choose one of them")
    folder = Path(location).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as failed:
        raise StoreError(f"the folder cannot be made ({failed.strerror})", where=str(location),
                         expected="a folder that may be written", remedy="check the location") from failed
    return folder


def _object_storage(location: str) -> Any:
    parts = urlparse(location)
    return icechunk.s3_storage(bucket=parts.netloc, prefix=parts.path.strip("/") or None, from_env=True)


def _create_in(folder: Path) -> None:
    """Create the repository aside and move it into place whole: a kill on the way leaves no half of one."""
    if (folder / DATA).exists():  # another process was faster
        return
    aside = folder / f"{DATA}.unfinished"
    shutil.rmtree(aside, ignore_errors=True)
    _created(icechunk.local_filesystem_storage(str(aside)))
    aside.rename(folder / DATA)


def _created(storage: Any) -> Any:
    repository = icechunk.Repository.open_or_create(storage)
    try:
        zarr.open_group(repository.readonly_session(BRANCH).store, mode="r")
    except FileNotFoundError:
        session = repository.writable_session(BRANCH)
        zarr.create_group(session.store, attributes={"made_by": "terracast", "layout": 1})
        session.commit("store created")
    return repository


def _first_line(failed: Exception) -> str:
    lines = [line.strip(" |x") for line in str(failed).splitlines()]
    return next((line for line in lines if line), type(failed).__name__)
