"""What belongs to a workspace: what its settings name within its folder. The rest is left out, and told."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from terracast.flows.archive.errors import BackupError
from terracast.flows.settings import Settings
from terracast.registry.tracking import SQLITE
from terracast.streams.redaction import redacted
from terracast.streams.sources.files import watched_paths
from terracast.streams.storage.place import shown

MOST_NAMES = 8  # of what lies in the folder and is left out
OWN = (".terracast",)  # what `up` keeps; of it the archive takes what cannot be made anew
PASSING = (".lock", ".lock.queue", "-wal", "-shm", "-journal")  # ends of names of what only running processes need


@dataclass(frozen=True)
class Contents:
    """Places within the workspace's folder, relative to it; None where they lie elsewhere or are not there yet."""

    store: str | None
    database: str | None
    artifacts: str | None
    inbox: str | None
    files: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Place:
    """Where a key of the settings points: ``within`` the folder, relative to it, and what must be said of it."""

    within: str | None
    note: str | None = None


def contents_of(settings: Settings, config: Path, include: Sequence[str] = ()) -> Contents:
    """What a backup of the workspace takes, and a line for each thing that it leaves out.

    Raises
    ------
    BackupError
        ``include`` names what is not there, or lies outside.
    """
    tracking = settings.registry.tracking
    remote = not tracking.startswith(SQLITE)
    store = _server("store.location", shown(settings.store.location)) if "://" in settings.store.location else _place(
        settings, "store.location", settings.store.location)
    database = _server("registry.tracking", redacted(tracking)) if remote else _place(
        settings, "registry.tracking", tracking.removeprefix(SQLITE))
    artifacts = _place(settings, "registry.artifacts", settings.registry.artifacts)
    inbox = _place(settings, "store.inbox", settings.store.inbox)
    files, told = _source_files(settings)
    files |= {_included(settings, one) for one in include}
    if settings.discovery.knowledge:
        knowledge = _place(settings, "discovery.knowledge", settings.discovery.knowledge)
        files |= {knowledge.within} if knowledge.within else set()
        told += [knowledge.note] if knowledge.note else []
    places = (store, database, artifacts, inbox)
    told += [one.note for one in places if one.note]
    named = files | {one.within for one in places if one.within}
    told += _others(settings.folder, config.name, named)
    return Contents(store.within, database.within, artifacts.within, inbox.within, tuple(sorted(files)), tuple(told))


def _place(settings: Settings, key: str, text: str) -> _Place:
    folder, path = str(settings.folder), os.path.normpath(settings.folder / text)
    if path.startswith(f"{folder}/"):
        within = path.removeprefix(f"{folder}/")
        return _Place(within, None if not os.path.isabs(text) else
                      f"{key} is an absolute path: the copy reads {path} until you write {within}")
    where = "reads it where it is" if os.path.isabs(text) else "looks for it at the same place beside its own folder"
    return _Place(None, f"left out: {key} {text}; the copy {where}")


def _server(key: str, text: str) -> _Place:
    return _Place(None, f"left out: {key} {text}; the copy works on it where it is")


def _source_files(settings: Settings) -> tuple[set[str], list[str]]:
    """The files of sources that lie within, and a line for each source that does not."""
    files: set[str] = set()
    told: list[str] = []
    for number, source in enumerate(settings.sources):
        key = f"sources.{number}"
        if source.type == "push":
            continue
        path = getattr(source, "path", None)  # of files, and of types that other packages bring
        if not isinstance(path, str):
            told.append(f"left out: {key} ({source.type}); the copy reads it where it is")
            continue
        place = _place(settings, f"{key}.path", path)
        if place.within is not None:
            files |= {os.path.relpath(one, settings.folder) for one in watched_paths(settings.folder / path)}
        told += [place.note] if place.note else []
    return files, told


def _included(settings: Settings, text: str) -> str:
    path = os.path.normpath(settings.folder / text)
    if not path.startswith(f"{settings.folder}/") or not os.path.exists(path):
        raise BackupError(f"{text} cannot be included", where="--include",
                          expected=f"a file or folder within {settings.folder}", remedy="correct the path")
    return os.path.relpath(path, settings.folder)


def _others(folder: Path, settings: str, named: Iterable[str]) -> list[str]:
    """A line that names what lies in the folder and is no part of the workspace."""
    tops = {one.partition("/")[0] for one in named} | {settings, *OWN}
    found = sorted(one.name for one in folder.iterdir()
                   if one.name not in tops and not one.name.endswith(PASSING))
    if not found:
        return []
    more = f" and {len(found) - MOST_NAMES} more" if len(found) > MOST_NAMES else ""
    names = ", ".join(found[:MOST_NAMES])
    return [f"left out: {names}{more}: not named in the settings; take them along with --include"]
