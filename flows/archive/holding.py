"""A workspace held still: store, registry and inbox as they are at one instant between two steps, beside the live ones.

A step may be under way in another process. It is waited for; then both locks are held (the store's, and the model's in
the registry) while immutable files are linked and small ones copied: seconds, in which a step would wait. What is read
afterwards is what a machine would find that was switched off at that instant, and the next step goes on from there.
"""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from terracast.flows.archive.contents import Contents
from terracast.flows.archive.errors import BackupError, not_written
from terracast.flows.running.place import RunningPlace
from terracast.flows.settings import Settings
from terracast.flows.terminal.output import note
from terracast.registry.tracking import Tracking
from terracast.streams.errors import StoreError
from terracast.streams.storage.copying import copied, copy_store, is_store
from terracast.streams.store import Store

PATIENCE, WAIT = 2.0, 1800.0  # seconds: most steps are short; one that makes up days takes minutes
SQLITE_WAIT = 60.0  # seconds
MODELS = "models"  # MLflow's folder of models, in that of artefacts; what lies there is written once
SCRATCH, LOCK = "backup.unfinished", "backup.lock"


@dataclass(frozen=True)
class HeldCopy:
    """The copy: its folder, whose files lie as in the workspace, and the store's newest snapshot in it."""

    folder: Path
    snapshot: str | None


@contextmanager
def held_copy(settings: Settings, place: RunningPlace, contents: Contents) -> Iterator[HeldCopy]:
    """Make the copy, in ``.terracast`` so that links reach, and remove it at the end.

    Raises
    ------
    BackupError
        Another backup of this workspace is under way.
    StoreError, RegistryError
        A step has held its lock for ``WAIT`` seconds.
    """
    with _only_one(place):
        scratch = place.folder / SCRATCH
        shutil.rmtree(scratch, ignore_errors=True)  # of one that was killed
        try:
            scratch.mkdir()
            yield HeldCopy(scratch, _copy(settings, place, contents, scratch))
        except OSError as error:
            raise not_written(error, scratch) from None
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _copy(settings: Settings, place: RunningPlace, contents: Contents, scratch: Path) -> str | None:
    folder, snapshot = settings.folder, None
    with ExitStack() as locks:
        if contents.store is not None and is_store(folder / contents.store):
            snapshot = _hold(Store.open(folder / contents.store), locks)
        database = None if contents.database is None else folder / contents.database
        if database is not None and database.exists():
            locks.enter_context(Tracking.at(database, None).lock(settings.model_name, WAIT))
            copy_database(database, scratch / str(contents.database))
        for part in (contents.artifacts, contents.inbox):
            _copy_files(folder, part, scratch)
        if snapshot is not None:
            copy_store(folder / str(contents.store), scratch / str(contents.store))
    _copy_own(place, scratch)
    _check(scratch, contents.store, snapshot)
    return snapshot


def _hold(store: Store, locks: ExitStack) -> str:
    """Take the store's lock, which says so where it must wait; the newest snapshot."""
    store.wait_seconds = PATIENCE
    try:
        locks.enter_context(store.maintained())
    except StoreError:
        note("a step is under way: the backup waits until it has ended")
        store.wait_seconds = WAIT
        locks.enter_context(store.maintained())
    return store.read().snapshot


def _check(scratch: Path, store: str | None, snapshot: str | None) -> None:
    """The copy of the store can be read, and ends where the store did."""
    found = None if snapshot is None else Store.open(scratch / str(store)).read().snapshot
    if found != snapshot:
        raise BackupError(f"the copy ends at snapshot {found}", where=str(scratch), expected=f"snapshot {snapshot}",
                          remedy="look: terracast store check")


def _copy_files(folder: Path, part: str | None, scratch: Path) -> None:
    """Copy a folder of artefacts, or the inbox: models and things pushed are written once and linked."""
    if part is None:
        return
    for path in sorted((folder / part).rglob("*")):
        if path.is_file() and not path.name.endswith(".lock"):
            once = path.relative_to(folder / part).parts[0] == MODELS
            with suppress(FileNotFoundError):  # of the inbox what a step has taken in: it is in the store
                copied(path, scratch / path.relative_to(folder), linked=once)


def _copy_own(place: RunningPlace, scratch: Path) -> None:
    """Of what ``up`` keeps: Prefect's database (automations, history) and the site."""
    prefect = place.prefect / "prefect.db"
    if prefect.exists():
        copy_database(prefect, scratch / prefect.relative_to(place.folder.parent))
    for path in sorted(place.site.rglob("*")):
        if path.is_file():
            with suppress(FileNotFoundError):  # written anew meanwhile: another file has its place
                copied(path, scratch / path.relative_to(place.folder.parent), linked=False)


def copy_database(source: Path, target: Path) -> None:
    """Copy a SQLite file as it is between two transactions, whoever writes to it meanwhile."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=SQLITE_WAIT)) as opened, \
                closing(sqlite3.connect(target)) as copy:
            opened.backup(copy)
    except sqlite3.Error as error:
        raise BackupError(f"the database cannot be copied: {error}", where=str(source),
                          expected="a sound SQLite file, and room for its copy",
                          remedy="free some space, or restore an earlier backup") from None


@contextmanager
def _only_one(place: RunningPlace) -> Iterator[None]:
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
        lock = (place.folder / LOCK).open("a")
    except OSError as error:
        raise not_written(error, place.folder) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError("another backup of this workspace is under way", where=str(place.folder.parent),
                              expected="one at a time", remedy="let it finish, then run it again") from None
        yield
