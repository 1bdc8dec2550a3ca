"""What a backup holds, written into it: its files with size and digest, and what to put where."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from terracast.flows.archive.errors import BackupError

NAME = "terracast-backup.json"
FORMAT = 1


@dataclass(frozen=True)
class PackedFile:
    """One file: its size in bytes and the SHA-256 of its content."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The list of contents of a backup; all places are relative to the workspace's folder.

    Attributes
    ----------
    stream, model : str
        The stream's name, and its model's in MLflow.
    made : str
        When it was made, UTC.
    settings : str
        The settings file.
    snapshot : str or None
        The store's newest snapshot within; None: no store lies within.
    store, database, artifacts : str or None
        Where the settings say these are, if that is within.
    left_out : tuple of str
        A line for each thing that the copy lacks, or reads where it is.
    files : mapping
        Every file within but this one.
    """

    stream: str
    model: str
    made: str
    settings: str
    snapshot: str | None
    store: str | None
    database: str | None
    artifacts: str | None
    left_out: tuple[str, ...] = ()
    files: Mapping[str, PackedFile] = field(default_factory=dict)

    def to_json(self) -> str:
        """As it is written."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: bytes, archive: Path) -> Manifest:
        """As it was written; raises ``BackupError`` where it is none, or one of another format."""
        try:
            held = json.loads(text)
            found = held.pop("format")
            if found == FORMAT:
                held["files"] = {name: PackedFile(int(one["size"]), str(one["sha256"]))
                                 for name, one in held["files"].items()}
                return cls(**{**held, "left_out": tuple(held["left_out"])})
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BackupError("its list of contents is damaged", where=str(archive),
                              expected="a file that `terracast backup` wrote",
                              remedy="restore another backup") from None
        raise BackupError(f"a backup of format {found}", where=str(archive), expected=f"format {FORMAT}",
                          remedy="restore it with the version of Terracast that made it")
