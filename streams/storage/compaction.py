"""Compaction: fewer chunks, fewer snapshots, less disk; what models' lineage names stays readable.

A snapshot that must stay gets a branch of its own (``keep-<id>``) with one commit more, which lets go of the states:
what a version learnt from are data, and a state is many times as large. icechunk then expires everything around it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import icechunk
import numpy as np
import zarr

from terracast.streams.instant import instant
from terracast.streams.storage.arrays import safe_name
from terracast.streams.storage.failures import writing
from terracast.streams.storage.ledger import ledger_path
from terracast.streams.storage.place import KEEP
from terracast.streams.storage.rewriting import rewrite_scattered
from terracast.streams.store import Store, Transaction, View

STATES = ("states", "cursors")
EVER = datetime(9000, 1, 1, tzinfo=UTC)
NEWEST = 3  # snapshots that always stay, for readers under way
MANY, MANY_REMOTE = 8, 64  # snapshots after which a store is tidied; a look at object storage is dear
UNDER_WAY = np.timedelta64(1, "h")  # no transaction on object storage lasts longer
AT_ONCE = 4  # lists of chunks that are read at a time: icechunk would start a thread for each of 500, and keep them


@dataclass(frozen=True)
class Compacted:
    """``rewritten``: paths of arrays in new chunks; ``expired``: snapshots that can be read no more."""

    rewritten: tuple[str, ...]
    expired: int
    kept: tuple[str, ...]
    chunks_deleted: int
    bytes_freed: int


def compact(store: Store, *, older_than: np.datetime64, keep: Iterable[str] = ()) -> Compacted:
    """Re-chunk what small beginnings scattered; expire snapshots written before ``older_than`` (UTC) except the
    newest and those in ``keep``; delete what nobody can reach any more.

    ``keep`` is the whole list: a snapshot that an earlier call kept and this one does not name may expire. Of those
    kept the observations, revisions and ledgers stay, the states of components go. Each
    part can be interrupted and run again. In a local folder writers wait meanwhile; on object storage no
    transaction may be under way that began before ``older_than``. Readers of expired snapshots fail.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     compact(Store.open(folder), older_than=np.datetime64("2024-01-01")).rewritten
    ()
    """
    return _compacted(store, instant(older_than), tuple(dict.fromkeys(keep)))


def may_go_before(store: Store) -> np.datetime64 | None:
    """When the oldest snapshot that must stay was written, if the store holds so many older ones that it is time to
    ``compact`` it; else None. Looks at the list of snapshots alone: a few milliseconds.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     may_go_before(Store.open(folder)) is None
    True
    """
    held = store.snapshots()
    if len(held) <= NEWEST:
        return None
    limit = held[NEWEST - 1].time if store.is_local else min(held[NEWEST - 1].time, held[0].time - UNDER_WAY)
    old = sum(one.time < limit for one in held)
    return limit if old > (MANY if store.is_local else MANY_REMOTE) - NEWEST else None


def _compacted(store: Store, older_than: np.datetime64, wanted: tuple[str, ...]) -> Compacted:
    for snapshot in wanted:
        store.read(snapshot)  # an unknown one is refused before anything is done
    rewritten = store.repeated("compaction", lambda step: _rewrite(step, store.read(step.snapshot)))
    limit = datetime.fromtimestamp(int(older_than.astype(np.int64)) / 1e9, UTC)
    with store.maintained() as repository, writing(store.location):
        collected = EVER if store.is_local else limit
        try:
            expired = _expire(repository, limit, wanted)
        except icechunk.IcechunkError:  # a full disk: what the step left that found no room goes first
            _collect_garbage(repository, collected)
            expired = _expire(repository, limit, wanted)
        freed = _collect_garbage(repository, collected)
    return Compacted(tuple(rewritten), expired, wanted, freed.chunks_deleted, freed.bytes_deleted)


def _collect_garbage(repository: Any, older_than: datetime) -> Any:
    return repository.garbage_collect(older_than, max_snapshots_in_memory=AT_ONCE,
                                      max_concurrent_manifest_fetches=AT_ONCE)


def _rewrite(step: Transaction, base: View) -> list[str]:
    paths = [f"observations/{safe_name(domain)}" for domain in base.domains]
    paths += [ledger_path(ledger) for ledger in base.ledgers]
    return [name for path in paths for name in rewrite_scattered(step.root[path], base.root[path])]


def _expire(repository: Any, limit: datetime, wanted: tuple[str, ...]) -> int:
    """Let go of what was written before ``limit`` and is not wanted; how many snapshots."""
    held = {name.removeprefix(KEEP) for name in repository.list_branches() if name.startswith(KEEP)}
    for snapshot in wanted:
        if snapshot not in held:
            repository.create_branch(KEEP + snapshot, snapshot)
        if repository.lookup_branch(KEEP + snapshot) == snapshot:  # the step before may have been interrupted here
            _drop_states(repository.writable_session(KEEP + snapshot))
    for snapshot in held - set(wanted):
        repository.delete_branch(KEEP + snapshot)
    return len(repository.expire_snapshots(limit) - set(wanted))


def _drop_states(session: Any) -> None:
    """Commit, on the branch of a kept snapshot, what it holds without states and cursors."""
    root = zarr.open_group(session.store, mode="r+")
    for folder in STATES:
        if folder in root:
            del root[folder]
    if session.has_uncommitted_changes:
        session.commit("its data alone")
