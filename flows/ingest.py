"""Ingest: new or changed files of the sources into the store, cursor and data in one transaction."""

from __future__ import annotations

import glob
import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from prefect import flow

from flows.settings import Settings, SourceSettings
from flows.workspace import Workspace
from streams.errors import TerracastError
from streams.readers import read
from streams.store import Transaction


@dataclass(frozen=True)
class FileAnswer:
    """What became of one file: rows by fate, or the one line why it was refused."""

    path: str
    domain: str
    new: int = 0
    late: int = 0
    duplicate: int = 0
    revised: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    refused: str | None = None


def ingest_new(settings: Settings, step: Transaction) -> tuple[FileAnswer, ...]:
    """Ingest every file that the cursor does not know in its present form.

    A file that cannot be read is refused whole and remembered, so that it is reported once and tried again only
    when it has changed. Nothing of it reaches the store.
    """
    answers = []
    for source in settings.sources:
        name = f"{source.domain}:{source.path}"
        cursor = step.cursor(name) or {}
        for path in _files(settings, source):
            signature = _signature(path)
            if cursor.get(str(path)) == signature:
                continue
            answers.append(_ingest_file(path, source, step))
            cursor = {**cursor, str(path): signature}
            step.set_cursor(name, cursor)
    return tuple(answers)


def _ingest_file(path: Path, source: SourceSettings, step: Transaction) -> FileAnswer:
    try:
        panel = read(path, domain=source.domain, kind=source.kind, step=source.step, delay=source.delay,
                     known_time=source.known_time, variables=list(source.variables) or None, wide=source.wide,
                     units=source.units or None)
        done = step.ingest(source.domain, panel)
    except TerracastError as error:
        return FileAnswer(str(path), source.domain, refused=str(error))
    return FileAnswer(str(path), source.domain, done.new, done.late, done.duplicate, done.revised,
                      dict(done.rejected))


def _files(settings: Settings, source: SourceSettings) -> list[Path]:
    """The files of a source in name order: one file, all of a folder, or a pattern."""
    place = settings.folder / source.path
    if place.is_dir():
        return sorted(path for path in place.iterdir() if path.is_file() and not path.name.startswith("."))
    if place.is_file():
        return [place]
    return sorted(Path(name) for name in glob.glob(str(place)))


def _signature(path: Path) -> str:
    """Size and content digest: a file copied again is known, a file that grew is not."""
    with path.open("rb") as file:
        return f"{path.stat().st_size}-{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"


@flow(name="ingest")
def ingest(config: str = "terracast.toml") -> dict[str, Any]:
    """Ingest new files in one transaction; answers rows new, late, duplicate, revised, rejected, and the snapshot."""
    workspace = Workspace.open(config)
    with workspace.store.transaction("ingest") as step:
        answers = ingest_new(workspace.settings, step)
    return {"files": [asdict(answer) for answer in answers], "snapshot": workspace.store.read().snapshot}
