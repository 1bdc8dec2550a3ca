"""Raster files watched: each that is new or has changed is read in pieces of some steps, never whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from terracast.streams.errors import PanelError, ReadError
from terracast.streams.sources.contract import Cursor, SourceBatch
from terracast.streams.sources.cursor_paths import CursorPaths
from terracast.streams.sources.files import STILL_CHANGING, SeenFile, signature_of, stat_of, watched_paths


class RasterSource:
    """A raster file, all of a folder, or a pattern; ``read`` gives the panels of one. Cursor: path to ``SeenFile``,
    relative to ``root`` where it lies within.

    A file that cannot be read is refused and told once; one that changes while it is read is left for the next look.
    """

    def __init__(self, name: str, domain: str, place: str | Path, read: Callable[[Path], Iterator[xr.Dataset]], *,
                 clock: Callable[[], np.datetime64] | None = None, root: Path | None = None) -> None:
        self.name, self.domain, self._place, self._read, self._clock = name, domain, Path(place), read, clock
        self._paths = CursorPaths(root)

    @property
    def more(self) -> bool:
        """One look sees every file."""
        return False

    def batches(self, cursor: Cursor | None) -> Iterator[SourceBatch]:
        """The pieces of each new or changed file, in name order; the cursor moves with the last."""
        paths = watched_paths(self._place)
        there = {str(path) for path in paths}
        held = {path: entry for path, entry in self._paths.opened(cursor or {}, paths).items() if path in there}
        for path in paths:
            before = SeenFile.of(held.get(str(path)))
            try:
                stat = stat_of(path)
                if before is not None and before.stat == stat:
                    continue
                seen = SeenFile(signature_of(path), stat, "taken")
            except OSError:  # moved away in this moment
                continue
            if before is not None and before.signature == seen.signature:
                held[str(path)] = [seen.signature, stat, before.state]
                yield SourceBatch(self.domain, None, self._paths.kept(held), str(path))
                continue
            yield from self._pieces(path, seen, held)

    def committed(self) -> None:
        """Files stay as they are."""

    def close(self) -> None:
        """Nothing is held open."""

    def _pieces(self, path: Path, seen: SeenFile, held: dict[str, object]) -> Iterator[SourceBatch]:
        refused = None
        try:
            for panel in self._read(path):
                yield SourceBatch(self.domain, panel, None, str(path),
                                  arrived=None if self._clock is None else self._clock())
        except (ReadError, PanelError) as wrong:
            refused = str(wrong)
        except FileNotFoundError:
            refused = f"{STILL_CHANGING} ({path.name})"
        try:
            same = stat_of(path) == seen.stat
        except OSError:
            same = False
        if not same:
            yield SourceBatch(self.domain, None, self._paths.kept(held), str(path),
                              refused=f"{STILL_CHANGING} ({path.name})")
            return
        held[str(path)] = [seen.signature, seen.stat, "refused" if refused else "taken"]
        yield SourceBatch(self.domain, None, self._paths.kept(held), str(path), refused=refused)
