"""The files of a local store as they are at one instant, for a backup, without keeping steps waiting for long.

Icechunk writes chunks, manifests, snapshots and transaction logs once, under names of their own, and never changes
them; only the small files of ``refs`` and the configuration are replaced. So links to the former are enough: they hold
the data even if a compaction deletes the names meanwhile. (Source: Icechunk's specification, "file layout".)
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from terracast.streams.storage.place import DATA

WRITTEN_ONCE = ("chunks", "manifests", "snapshots", "transactions")


def is_store(folder: Path) -> bool:
    """Whether a store lies in the folder."""
    return (folder / DATA).is_dir()


def copy_store(folder: Path, target: Path) -> None:
    """Copy the store in ``folder`` to ``target``, which is made; hold its writer lock meanwhile (``Store.maintained``).

    On one file system this writes little, whatever the store's size; across two it copies every byte.
    """
    data = folder / DATA
    for path in sorted(data.rglob("*")):
        if path.is_file():
            copied(path, target / path.relative_to(folder), linked=path.relative_to(data).parts[0] in WRITTEN_ONCE)


def copied(path: Path, target: Path, *, linked: bool) -> None:
    """Copy a file, its folders made; ``linked``: by a link where the file system can, as it will never be changed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if linked:
        try:
            os.link(path, target)
            return
        except OSError:  # another file system, or one without links; or a file of another user
            pass
    shutil.copy2(path, target)
