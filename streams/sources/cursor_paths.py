"""The paths in a cursor of files: those within the workspace are kept relative to it, so that it can be moved."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CursorPaths:
    """Names files in a cursor.

    Parameters
    ----------
    root : Path or None
        The folder of the settings file; None: every path is kept as it is.

    Examples
    --------
    >>> paths = CursorPaths(Path("/air"))
    >>> paths.kept({"/air/in/a.csv": "seen", "/data/b.csv": "seen"})
    {'in/a.csv': 'seen', '/data/b.csv': 'seen'}
    >>> paths.opened({"/moved/from/in/a.csv": "seen"}, [Path("/air/in/a.csv")])
    {'/air/in/a.csv': 'seen'}
    """

    root: Path | None

    def kept(self, entries: Mapping[str, object]) -> dict[str, object]:
        """The entries as a cursor keeps them; O(entries)."""
        return {self._name(path): entry for path, entry in entries.items()}

    def opened(self, cursor: Mapping[str, object], watched: Iterable[Path]) -> dict[str, object]:
        """The entries by the path at which each file lies now; O(entries + watched).

        Cursors of old hold absolute paths. Where the workspace was moved since, such a path is that of the file
        watched whose name within the workspace it ends with; its digest then says whether it is the same file.
        """
        if self.root is None:
            return dict(cursor)
        entries = {path if os.path.isabs(path) else str(self.root / path): entry for path, entry in cursor.items()}
        there = {str(path) for path in watched}
        strangers = _by_file_name(path for path in cursor if os.path.isabs(path) and path not in there)
        for path in sorted(there - entries.keys()) if strangers else ():
            name = self._name(path)
            moved = [one for one in strangers.get(os.path.basename(path), ()) if one.endswith(f"/{name}")]
            if moved and not os.path.isabs(name):
                entries[path] = entries.pop(moved[0])
                strangers[os.path.basename(path)].remove(moved[0])
        return entries

    def _name(self, path: str) -> str:
        inside = f"{self.root}/"
        return path.removeprefix(inside) if self.root is not None else path


def _by_file_name(paths: Iterable[str]) -> dict[str, list[str]]:
    """Paths by their last part, the shortest first: one that ends alike deeper down belongs to another file."""
    found: dict[str, list[str]] = {}
    for path in sorted(paths, key=len):
        found.setdefault(os.path.basename(path), []).append(path)
    return found
