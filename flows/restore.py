"""Restore: a workspace out of its backup, in a folder of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from terracast.flows.archive.errors import BackupError, not_written
from terracast.flows.archive.manifest import Manifest
from terracast.flows.archive.reading import unpack
from terracast.flows.terminal.share_shown import Told, silent
from terracast.registry.relocation import follow
from terracast.streams.store import Store

SCRATCH = ".restore.unfinished"
ENDINGS = (".tar.gz", ".tgz")


def restore(archive: Path, folder: Path | None = None, *, tell: Told = silent) -> dict[str, Any]:
    """Put the workspace of a backup into a folder that is new or empty; answers where, and what it lacks.

    All is checked before anything is put in place, and the settings file comes last: a folder without it is no
    workspace. Whatever goes wrong, the folder is left as it was. Default: a folder named after the file.

    Raises
    ------
    BackupError
        The file is no whole backup, or the folder is not empty or cannot be written.
    """
    if not archive.is_file():
        raise BackupError("there is no such file", where=str(archive), expected="a file that `terracast backup` wrote",
                          remedy="check the path")
    target = Path(os.path.abspath(folder or _plain_name(archive.name)))
    with _empty(target) as scratch:
        manifest = unpack(archive, scratch, tell)
        try:
            for one in sorted(scratch.iterdir()):
                if one.name != manifest.settings:
                    one.rename(target / one.name)
            _settle(target, manifest)
            (scratch / manifest.settings).rename(target / manifest.settings)
        except OSError as error:
            raise not_written(error, target) from None
    return {"folder": str(target), "config": str(target / manifest.settings), "stream": manifest.stream,
            "made": manifest.made, "snapshot": manifest.snapshot, "files": len(manifest.files),
            "bytes": sum(one.size for one in manifest.files.values()), "left_out": list(manifest.left_out)}


def _settle(target: Path, manifest: Manifest) -> None:
    """Check that the store is the one that was copied, and let MLflow's addresses follow."""
    if manifest.store is not None and manifest.snapshot is not None:
        found = Store.open(target / manifest.store).read().snapshot
        if found != manifest.snapshot:
            raise BackupError(f"the store ends at snapshot {found}", where=str(target),
                              expected=f"snapshot {manifest.snapshot}", remedy="restore another backup")
    if manifest.database is not None and manifest.artifacts is not None:
        follow(target / manifest.database, target / manifest.artifacts, manifest.model)


@contextmanager
def _empty(target: Path) -> Iterator[Path]:
    """A folder to unpack in, within ``target``; both are left as they were where the block fails."""
    if target.exists() and not target.is_dir():
        raise BackupError("a file", where=str(target), expected="a new or empty folder", remedy="name it with --folder")
    new = not target.exists()
    if not new and any(target.iterdir()):
        unfinished = (target / SCRATCH).exists()
        raise BackupError("the folder holds a restore that was killed" if unfinished else "the folder is not empty",
                          where=str(target), expected="a new or empty folder",
                          remedy=f"remove it: rm -r {target}" if unfinished else "name another with --folder")
    scratch = target / SCRATCH
    try:
        scratch.mkdir(parents=True)
    except OSError as error:
        raise not_written(error, target) from None
    try:
        yield scratch
    except BaseException:
        for one in target.iterdir():
            if one.is_dir():
                shutil.rmtree(one, ignore_errors=True)
            else:
                one.unlink(missing_ok=True)
        if new:
            target.rmdir()
        raise
    shutil.rmtree(scratch, ignore_errors=True)


def _plain_name(name: str) -> str:
    """The name of the folder for a file.

    >>> _plain_name("air-2024-05-01.tar.gz"), _plain_name("air")
    ('air-2024-05-01', 'air.restored')
    """
    for ending in ENDINGS:
        if name.endswith(ending) and name != ending:
            return name.removesuffix(ending)
    return f"{name}.restored"
