"""Backup: a workspace in one file, made while it runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from terracast.flows.archive.contents import Contents, contents_of
from terracast.flows.archive.holding import HeldCopy, held_copy
from terracast.flows.archive.manifest import Manifest
from terracast.flows.archive.writing import Member, refuse_target, write_archive
from terracast.flows.running.place import RunningPlace
from terracast.flows.settings import Settings, read_settings
from terracast.flows.settings.clock import as_of
from terracast.flows.terminal.share_shown import Told, silent


def backup(config: Path, target: Path, include: Sequence[str] = (), *, overwrite: bool = False,
           tell: Told = silent) -> dict[str, Any]:
    """Write the workspace of a settings file into one ``.tar.gz``; answers what it holds and what was left out.

    Steps go on meanwhile; one may wait for seconds. ``include``: further files and folders of the workspace's folder.

    Raises
    ------
    BackupError
        The file cannot be written, is there already, or ``include`` names what is not there.
    """
    config, target = config.resolve(), Path(os.path.abspath(target))
    settings = read_settings(config)
    refuse_target(target, overwrite=overwrite)
    contents = contents_of(settings, config, include)
    with held_copy(settings, RunningPlace.of(config), contents) as copy:
        manifest = Manifest(settings.stream.name, settings.model_name, f"{np.datetime_as_string(as_of(None), 's')}Z",
                            config.name, copy.snapshot, contents.store,
                            contents.database, _followed(settings, contents), contents.left_out)
        written = write_archive(target, _members(settings, config, contents, copy, target), manifest, tell)
    return {"file": str(target), "bytes": target.stat().st_size, "stream": written.stream, "made": written.made,
            "snapshot": written.snapshot, "files": len(written.files), "left_out": list(written.left_out)}


def _followed(settings: Settings, contents: Contents) -> str | None:
    """The folder of artefacts, where it moves with the workspace: what is absolute in the settings does not."""
    return None if os.path.isabs(settings.registry.artifacts) else contents.artifacts


def _members(settings: Settings, config: Path, contents: Contents, copy: HeldCopy, target: Path) -> Iterator[Member]:
    """The settings, then what is held still, then the live files that the copy does not have."""
    yield Member(config.name, config, still=False)
    held = {path.relative_to(copy.folder).as_posix(): path for path in sorted(copy.folder.rglob("*"))
            if path.is_file()}
    yield from (Member(name, path, still=True) for name, path in held.items())
    live = {name for text in contents.files for name in _files(settings.folder, text)}
    for name in sorted(live - held.keys() - {config.name}):
        if settings.folder / name != target:
            yield Member(name, settings.folder / name, still=False)


def _files(folder: Path, text: str) -> list[str]:
    path = folder / text
    found = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    return [one.relative_to(folder).as_posix() for one in found]
