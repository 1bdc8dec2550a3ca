"""A durable inbox: what was taken in is on disk before it is acknowledged, and stays until it is in the store."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from terracast.streams.errors import ReadError, TerracastError
from terracast.streams.sources.contract import Cursor, SourceBatch, SourceError
from terracast.streams.sources.panels import arranged
from terracast.streams.sources.pushed import reports_of
from terracast.streams.sources.rows import RowReport, Terms

MOST_BYTES = 64 * 2**20  # of bodies read for one transaction


class InboxFullError(TerracastError):
    """The inbox holds as much as it may: whoever pushes has to wait until it was drained."""


@dataclass(frozen=True)
class Item:
    """One thing taken in; ``received`` in ns since 1970, UTC."""

    digest: str
    received: int
    content_type: str
    path: Path

    @property
    def body(self) -> bytes:
        """What was pushed, to the byte."""
        return self.path.read_bytes().split(b"\n", 1)[1]


class Inbox:
    """A folder with a file per thing taken in, named by its digest; many processes may put in at once.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     inbox = Inbox(Path(folder))
    ...     first = inbox.keep("d1", {"received": 7, "content_type": "application/json"}, b"[1]")
    ...     again = inbox.keep("d1", {"received": 9, "content_type": "application/json"}, b"[1]")
    ...     first, again, [(item.received, item.body) for item in inbox.items()]
    (True, False, [(7, b'[1]')])
    """

    def __init__(self, folder: Path, *, most_items: int = 1000, most_bytes: int = 256 * 2**20) -> None:
        self.folder, self.most_items, self.most_bytes = Path(folder), most_items, most_bytes
        self.folder.mkdir(parents=True, exist_ok=True)

    def keep(self, digest: str, header: Mapping[str, object], body: bytes) -> bool:
        """Put a thing in, on disk before this returns; False if it lies here already. Raises ``InboxFullError``."""
        final = self.folder / f"{digest}.item"
        if final.exists():
            return False
        self._make_room(len(body))
        descriptor, part = tempfile.mkstemp(prefix=".part-", dir=self.folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(json.dumps(header).encode() + b"\n" + body)
                file.flush()
                os.fsync(file.fileno())
            os.link(part, final)  # fails where another process was faster, and never shows half a file
        except FileExistsError:
            return False
        finally:
            os.unlink(part)
        _sync_folder(self.folder)
        return True

    def items(self) -> list[Item]:
        """Everything that waits, in the order of arrival."""
        found = []
        for path in self.folder.glob("*.item"):
            with path.open("rb") as file:
                header = json.loads(file.readline())
            found.append(Item(path.stem, int(header["received"]), str(header["content_type"]), path))
        return sorted(found, key=lambda item: (item.received, item.digest))

    def remove(self, item: Item) -> None:
        """Take a thing out."""
        item.path.unlink(missing_ok=True)

    def waiting(self) -> tuple[int, int]:
        """How many things wait, and their bytes."""
        sizes = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.endswith(".item"):
                    try:
                        sizes.append(entry.stat().st_size)
                    except FileNotFoundError:  # drained in this moment
                        continue
        return len(sizes), sum(sizes)

    def _make_room(self, size: int) -> None:
        items, total = self.waiting()
        if items >= self.most_items or total + size > self.most_bytes:
            raise InboxFullError("the inbox is full", where=f"{items} items, {total} bytes",
                            expected=f"at most {self.most_items} items and {self.most_bytes} bytes",
                            remedy="send it again later")


class InboxSource:
    """What was pushed for a domain, drained in the order of arrival; a thing is deleted when it is in the store.

    The cursor holds the digests of the last ``remember`` things taken, so that a kill between commit and deletion,
    or a sender who repeats himself, counts nothing twice. ``most``: things a transaction takes (and 64 MiB).
    """

    def __init__(self, name: str, terms: Terms, folder: Path, *, most: int = 500, remember: int = 5000) -> None:
        self.name, self.domain, self.terms = name, terms.domain, terms
        self._inbox, self._most, self._remember = Inbox(folder), most, max(most, remember)
        self._handed_over: list[Item] = []
        self._more = False

    @property
    def more(self) -> bool:
        """Whether the last look left something."""
        return self._more

    def batches(self, cursor: Cursor | None) -> Iterator[SourceBatch]:
        """The things that wait, together as few panels as possible."""
        taken = list(cast("list[str]", (cursor or {}).get("taken", [])))
        known = set(taken)
        try:
            items = self._inbox.items()
        except (OSError, ValueError, KeyError) as failed:
            raise SourceError(f"the inbox cannot be read ({failed})", where=self.name,
                              expected="a folder written by the push server", remedy="check the folder") from None
        self._handed_over = [item for item in items if item.digest in known]
        fresh = [item for item in items if item.digest not in known]
        reports: list[RowReport] = []
        size = count = 0
        for item in fresh[: self._most]:
            if size > MOST_BYTES:
                break
            count, size = count + 1, size + item.path.stat().st_size
            taken.append(item.digest)
            self._handed_over.append(item)
            try:
                reports += reports_of(item.body, item.content_type, self.terms, np.datetime64(item.received, "ns"))
            except ReadError as error:  # the settings were changed since it was taken in
                yield SourceBatch(self.domain, None, None, f"push {item.digest[:12]}", refused=str(error))
        self._more = len(fresh) > count
        if not count:
            return
        pieces, label = arranged(reports, self.terms), f"{count} pushes"
        for panel in pieces.panels:
            yield SourceBatch(self.domain, panel, None, label)
        yield SourceBatch(self.domain, None, {"taken": taken[-self._remember:]}, label, rejected=pieces.rejected,
                          duplicate=pieces.repeated)

    def committed(self) -> None:
        """Delete what is in the store."""
        for item in self._handed_over:
            self._inbox.remove(item)
        self._handed_over = []

    def close(self) -> None:
        """Nothing is held open."""


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
