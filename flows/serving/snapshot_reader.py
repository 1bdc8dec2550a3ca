"""The store as those who ask over HTTP see it: each snapshot is read once, and the next one as soon as it is there.

A part of an answer is read when somebody first asks for it, and kept while the snapshot is the newest one. Ages are
counted for each request; what turns with the clock alone (a source becomes overdue) is read again at that instant.
Nothing is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, cast

import numpy as np

from terracast.flows.forecast import newest_forecast
from terracast.flows.metrics import of_champion, of_store
from terracast.flows.reporting.freshness import freshness
from terracast.flows.service.loop_state import loop_part
from terracast.flows.service.serving_history import entries
from terracast.flows.settings import Settings, read_settings
from terracast.flows.status import open_episodes, store_bytes, stored_status
from terracast.flows.workspace import Workspace
from terracast.streams.clock import Clock
from terracast.streams.errors import StoreError
from terracast.streams.storage.failures import reading
from terracast.streams.storage.place import holds_store
from terracast.streams.store import View

Part = TypeVar("Part")

AGAIN = 3  # times that a reading is tried, where a step tidied the store meanwhile
REGISTRY_SECONDS = 5.0  # for which the registry's answer stands, where it is no file that can be looked at
SIZE_SECONDS = 30.0  # for which the size on the disk stands
MOST_TEXT = 16 * 2**20  # bytes of answers that are kept for one snapshot


class SnapshotReading:
    """One snapshot, read at the instant ``at`` (UTC); it stands until ``until``, or for ever where that is None."""

    def __init__(self, workspace: Workspace, view: View, at: np.datetime64) -> None:
        self.workspace, self.view, self.at, self.snapshot = workspace, view, at, view.snapshot
        with reading(workspace.store.location, "the newest snapshot"):
            self.until = _holds_until(workspace, view, at)
        self._parts: dict[object, Any] = {}
        self._size = 0

    def part(self, name: str) -> Any:
        """A part by its name, read when it is first asked for."""
        if name not in self._parts:
            with reading(self.workspace.store.location, name):
                self._parts[name] = PARTS[name](self.workspace, self.view, self.at)
        return self._parts[name]

    def text(self, key: tuple[object, ...], make: Callable[[], bytes]) -> bytes:
        """What was made for this key before, or is made now; kept while there is room."""
        if key in self._parts:
            return cast("bytes", self._parts[key])
        made = make()
        size = self._size + len(made) + len(str(key))
        if size <= MOST_TEXT:
            self._parts[key], self._size = made, size
        return made


class SnapshotReader:
    """Reads the newest snapshot for many threads.

    Parameters
    ----------
    config : Path
        The settings file; read again when it changes.
    """

    def __init__(self, config: Path) -> None:
        self.config = config
        self._lock = Lock()
        self._opened: tuple[object, Workspace] | None = None
        self._held: SnapshotReading | None = None
        self._champion: tuple[object, dict[str, Any]] = ((), {})
        self._bytes: tuple[object, int] = ((), 0)

    @property
    def settings(self) -> Settings:
        """As they stand in the file now."""
        return self._opened[1].settings if self._opened and self._opened[0] == _stamp(self.config) else read_settings(
            self.config)

    def ask(self, at: np.datetime64, answer: Callable[[SnapshotReading], Part]) -> Part:
        """What ``answer`` makes of the newest snapshot at ``at``; one thread at a time. Raises ``TerracastError``."""
        for attempt in range(AGAIN):
            with self._lock:
                workspace = self._workspace()
                head = workspace.store.read().snapshot  # a look at the branch: nothing is read but its name
                try:
                    held = self._held
                    if held is None or held.snapshot != head or not _stands(held, at):
                        held = self._held = SnapshotReading(workspace, workspace.store.read(), at)
                    return answer(held)
                except StoreError:
                    self._held = None
                    if attempt + 1 == AGAIN or workspace.store.read().snapshot == head:
                        raise
        raise AssertionError("the last attempt answers or raises")

    def champion(self) -> dict[str, Any]:
        """The version in service as ``terracast metrics`` has it, asked anew when the registry's file has changed."""
        with self._lock:
            workspace = self._workspace()
            file = workspace.registry.tracking.database
            key: object = int(time.monotonic() / REGISTRY_SECONDS)
            if file is not None:
                key = _stamp(file), _stamp(file.with_name(file.name + "-wal"))
            if self._champion[0] != (workspace, key):
                self._champion = (workspace, key), of_champion(workspace)
            return self._champion[1]

    def size(self) -> int:
        """Bytes of the store on the disk, at most ``SIZE_SECONDS`` old; 0 on object storage."""
        with self._lock:
            workspace, key = self._workspace(), int(time.monotonic() / SIZE_SECONDS)
            if self._bytes[0] != (workspace, key):
                self._bytes = (workspace, key), store_bytes(workspace)
            return self._bytes[1]

    def _workspace(self) -> Workspace:
        stamp = _stamp(self.config)
        if self._opened is None or self._opened[0] != stamp:
            settings = read_settings(self.config)
            location = settings.store.location
            if not holds_store(location if "://" in location else settings.path(location)):
                raise StoreError("no store yet", where=location, expected="a stream in service",
                                 remedy="run `terracast watch --once` first")
            self._held, self._opened = None, (stamp, Workspace.open(self.config))
        return self._opened[1]


def clock_and_last(workspace: Workspace, view: View, at: np.datetime64) -> tuple[Clock, np.datetime64 | None]:
    """The target's clock, and the instant up to which steps have gone, on its even axis."""
    last: np.datetime64 | None = loop_part(workspace, view, "last_tick")
    return workspace.clock, last


def _episodes(workspace: Workspace, view: View, at: np.datetime64) -> dict[str, list[dict[str, Any]]]:
    """Open and closed episodes, each as ``terracast status --json`` has the open ones."""
    active = open_episodes(workspace, view)
    ids, known = {one.id for one in active}, loop_part(workspace, view, "episodes_by_id") or {}
    over = [one.shown(workspace.clock.shown) for name, one in known.items() if name not in ids]
    return {"open": [one.to_json() for one in active], "closed": [one.to_json() for one in over]}


PARTS: dict[str, Callable[[Workspace, View, np.datetime64], Any]] = {
    "forecast": lambda workspace, view, at: newest_forecast(workspace, at, view=view),
    "status": stored_status,
    "episodes": _episodes,
    "history": lambda workspace, view, at: [one.to_json() for one in entries(view)],
    "numbers": of_store,
    "last": clock_and_last,
}


def _stands(held: SnapshotReading, at: np.datetime64) -> bool:
    return bool(held.at <= at and (held.until is None or at <= held.until))


def _holds_until(workspace: Workspace, view: View, at: np.datetime64) -> np.datetime64 | None:
    """Up to when the clock alone changes nothing: no source turns overdue, no forecast of the future is due."""
    found = [one.holds_until for one in freshness(workspace, view, at) if one.holds_until is not None]
    issued = view.ledger(f"forecasts/{workspace.settings.stream.domain}", at)
    ahead = [] if issued is None else [one for one in issued["issue_time"].values if one > at]
    found += [one - np.timedelta64(1, "ns") for one in ahead]
    return min(found, default=None)


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file is written; empty where there is none."""
    try:
        told = path.stat()
    except OSError:
        return ()
    return told.st_mtime_ns, told.st_size, told.st_ino
