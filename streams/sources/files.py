"""Files and folders watched: every file that is new or has changed, read whole; the store keeps what is new in it.

A file that grew is read again, and only its new rows count, because the store knows the others. A file that cannot
be read is refused whole, said once, and tried again when it has changed. A file that changes while it is read is
left for the next look. A table of text whose last line has no end may still be in the writing: it is read without
that line, and with it once the file has stood still for a while (without a clock: until the next look).
"""

from __future__ import annotations

import glob
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from terracast.streams.errors import ReadError
from terracast.streams.readers import TEXT, read_counted, wanted_of
from terracast.streams.readers.pieces import PIECE, line_end, pieces
from terracast.streams.readers.tables import Reading
from terracast.streams.readers.text import header_of
from terracast.streams.sources.contract import Cursor, SourceBatch
from terracast.streams.sources.cursor_paths import CursorPaths

UNFINISHED = "unfinished"
SETTLE = pd.Timedelta("1min")
PARTS = (".part", ".partial", ".tmp", ".crdownload", ".filepart", "~")
STILL_CHANGING = "the file is still being written: it is read at the next look"
NO_LINE_END = "the last line has no end yet: it is read when the file has stood still for a while"


@dataclass(frozen=True)
class SeenFile:
    """A file as it was when looked at: ``signature`` is its size and content digest, ``stat`` what tells cheaply
    that it was not touched since, ``state`` "taken", "refused" or "unfinished"."""

    signature: str
    stat: str
    state: str

    @classmethod
    def of(cls, held: object) -> SeenFile | None:
        """From a cursor's entry (a plain signature in cursors of old)."""
        if isinstance(held, str):
            return cls(held, "", "taken")
        return cls(*cast("list[str]", held)) if held else None


class FilesSource:
    """A file, all files of a folder, or a pattern (``**`` too); ``reading``: options of ``streams.readers.read``.

    ``clock`` tells the time (UTC): with it a last line without an end is read once the file was not touched for
    ``settle``; without it, once two looks found the same. Hidden files and those of transfers under way (``.part``,
    ``.tmp`` …) are passed by. Cursor: path to ``SeenFile``, relative to ``root`` where it lies within. A look costs a
    stat per file, and reading and hashing of those that were touched.
    """

    def __init__(self, name: str, domain: str, place: str | Path, reading: Mapping[str, Any], *,
                 clock: Callable[[], np.datetime64] | None = None, settle: pd.Timedelta = SETTLE,
                 root: Path | None = None) -> None:
        self.name, self.domain, self._place, self._reading = name, domain, Path(place), dict(reading)
        self._clock, self._settle, self._paths = clock, settle, CursorPaths(root)

    @property
    def more(self) -> bool:
        """One look sees every file."""
        return False

    def batches(self, cursor: Cursor | None) -> Iterator[SourceBatch]:
        """A batch per new or changed file, in name order."""
        paths = watched_paths(self._place)
        held = self._paths.opened(cursor or {}, paths)
        gone = set(held) - {str(path) for path in paths}
        held = {path: entry for path, entry in held.items() if path not in gone}
        for path in paths:
            before = SeenFile.of(held.get(str(path)))
            try:
                stat = stat_of(path)
                if before and before.stat == stat and before.state != UNFINISHED:
                    continue
                seen = SeenFile(signature_of(path), stat, "taken")
            except OSError:  # moved away in this moment
                continue
            if before and before.signature == seen.signature and before.state != UNFINISHED:
                held[str(path)] = [before.signature, stat, before.state]
                yield SourceBatch(self.domain, None, self._paths.kept(held), str(path))
                continue
            if self._is_large(path):
                yield from self._in_pieces(path, seen, before, held)
            else:
                yield self._batch(path, seen, before, held)

    def committed(self) -> None:
        """Files stay as they are."""

    def close(self) -> None:
        """Nothing is held open."""

    def _batch(self, path: Path, seen: SeenFile, before: SeenFile | None, held: dict[str, object]) -> SourceBatch:
        """Read one file; ``held`` is brought up to date."""
        found, refused, cut = None, None, False
        try:
            cut = path.suffix.lower() in TEXT and _last_line_open(path) \
                and not self._stands_still(path, before, seen)
            found = self._whole_lines(path) if cut else self._read(path)
        except ReadError as error:
            refused = str(error)
        except FileNotFoundError:  # moved away in this moment, which the next lines say
            pass
        try:
            same = stat_of(path) == seen.stat
        except OSError:
            same = False
        if not same:
            return SourceBatch(self.domain, None, self._paths.kept(held), str(path),
                               refused=f"{STILL_CHANGING} ({path.name})")
        state = UNFINISHED if cut else "refused" if refused else "taken"
        held[str(path)] = [seen.signature, seen.stat, state]
        if found is None:
            return SourceBatch(self.domain, None, self._paths.kept(held), str(path), refused=refused)
        return self._handed(found, path, self._paths.kept(held), [NO_LINE_END] if cut else [])

    def _handed(self, found: Reading, path: Path, cursor: Cursor | None, notes: list[str]) -> SourceBatch:
        """What was read, with its counts."""
        panel, rows = found.panel, found.rows
        if panel.attrs.get("stamps_moved"):
            notes.append(f"{panel.attrs['stamps_moved']} rows lay off the clock, by up to "
                         f"{panel.attrs['stamps_moved_by']}: they were taken to the nearest step")
        return SourceBatch(self.domain, panel, cursor, str(path), rejected=dict(rows.rejected),
                           duplicate=rows.duplicate, read=rows.read, missing=rows.missing, joined=rows.joined,
                           notes=tuple(notes), arrived=None if self._clock is None else self._clock())

    def _is_large(self, path: Path) -> bool:
        """Whether a table is read in pieces: one of text, by a step that is known."""
        return path.suffix.lower() in TEXT and "step" in self._reading and path.stat().st_size > PIECE

    def _in_pieces(self, path: Path, seen: SeenFile, before: SeenFile | None,
                   held: dict[str, object]) -> Iterator[SourceBatch]:
        """A large table, so many rows at a time that memory does not grow with the file."""
        cut = _last_line_open(path) and not self._stands_still(path, before, seen)
        refused, notes = None, [NO_LINE_END] if cut else []
        with tempfile.TemporaryDirectory() as folder:
            piece = Path(folder) / path.name
            try:
                _, first = header_of(path, wanted_of(path, domain=self.domain, **self._reading))
                for data, line in pieces(path, first, whole_lines=cut):
                    piece.write_bytes(data)
                    try:
                        found = self._read(piece)
                    except ReadError as error:
                        refused = f"{error} (of the rows from line {line} on)"
                        break
                    yield self._handed(found, path, None, notes)
                    notes = []
            except ReadError as error:
                refused = str(error)
        state = UNFINISHED if cut else "refused" if refused else "taken"
        held[str(path)] = [seen.signature, seen.stat, state]
        yield SourceBatch(self.domain, None, self._paths.kept(held), str(path), refused=refused)

    def _read(self, path: Path) -> Reading:
        latest = {} if self._clock is None else {"latest": self._clock()}
        return read_counted(path, domain=self.domain, **latest, **self._reading)

    def _stands_still(self, path: Path, before: SeenFile | None, seen: SeenFile) -> bool:
        if self._clock is None:
            return before is not None and before.signature == seen.signature
        touched = np.datetime64(os.stat(path).st_mtime_ns, "ns")
        return bool(self._clock() - touched >= self._settle.to_timedelta64())

    def _whole_lines(self, path: Path) -> Reading:
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / path.name
            data = path.read_bytes()
            end = line_end(path)
            part.write_bytes(data[: data.rfind(end) + len(end)])
            return self._read(part)


def watched_paths(place: Path) -> list[Path]:
    """The file itself, the files of a folder, or those of a pattern, by name; hidden ones and parts are passed by."""
    if place.is_dir() and place.suffix != ".zarr":
        with os.scandir(place) as entries:  # it knows what is a file without asking for each
            found = [Path(entry.path) for entry in entries if entry.is_file() or entry.name.endswith(".zarr")]
    elif place.exists():
        return [place]
    else:
        found = [path for path in map(Path, glob.glob(str(place), recursive=True))
                 if path.is_file() or path.suffix == ".zarr"]
    return sorted(path for path in found if not path.name.startswith(".") and not path.name.lower().endswith(PARTS))


def _files_of(path: Path) -> list[Path]:
    """The file itself, or all files of a folder that is one store (Zarr)."""
    return sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]


def stat_of(path: Path) -> str:
    """What changes with every write: size, times of data and of inode, number of the inode."""
    marks = []
    for one in _files_of(path):
        stat = os.stat(one)
        marks.append(f"{one}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}:{stat.st_ino}")
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:16]


def signature_of(path: Path) -> str:
    """Size and content digest: a file copied again is known, a file that grew is not."""
    parts, size = [], 0
    for one in _files_of(path):
        with one.open("rb") as file:
            parts.append((str(one.relative_to(path)), hashlib.file_digest(file, "sha256").hexdigest()))
            size += os.fstat(file.fileno()).st_size
    digest = parts[0][1] if not path.is_dir() else hashlib.sha256(repr(parts).encode()).hexdigest()
    return f"{size}-{digest[:16]}"


def _last_line_open(path: Path) -> bool:
    end = line_end(path)
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) < len(end):
            return False
        file.seek(-len(end), os.SEEK_END)
        return file.read(len(end)) != end
