"""Writing a backup: one compressed tar file, its list of contents at the end, there whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from io import BufferedReader, BytesIO, RawIOBase
from pathlib import Path
from typing import IO, Any

from terracast.flows.archive.errors import BackupError, not_written
from terracast.flows.archive.manifest import NAME, Manifest, PackedFile
from terracast.flows.terminal.share_shown import Told

LEVEL = 1  # of compression: most of what is kept is compressed already
IN_MEMORY = 1 << 24  # bytes of a live file that are held in memory, more on the disk
OWNER_ALONE = 0o600  # Prefect's database may hold a user's secrets
PIECE = 1 << 20


@dataclass(frozen=True)
class Member:
    """A file of the backup: its name in it, and where it lies; ``still``: nobody writes to it."""

    name: str
    path: Path
    still: bool


def write_archive(target: Path, members: Iterable[Member], manifest: Manifest, tell: Told) -> Manifest:
    """Write the members and the manifest, which is returned with the files it lists.

    It is written under another name, flushed to the disk, then renamed. A live file that goes away meanwhile is left
    out; one that is being written is taken as far as it is.

    Raises
    ------
    BackupError
        No room, or a folder that may not be written; nothing is left of it.
    """
    wanted = list(members)
    whole = sum(one.path.stat().st_size for one in wanted if one.path.exists()) or 1
    scratch = target.with_name(f".{target.name}.part")
    try:
        with open(os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_TRUNC, OWNER_ALONE), "wb") as file:
            with gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=file, mtime=0) as packed, \
                    tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive:
                files: dict[str, PackedFile] = {}
                done = 0
                for one in wanted:
                    found = _add(archive, one)
                    if found is not None:
                        files[one.name], done = found, done + found.size
                    tell(min(1.0, done / whole), "writing")
                told = replace(manifest, files=files)
                text = told.to_json().encode()
                archive.addfile(_info(NAME, len(text)), BytesIO(text))
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(target)
        _flush_folder(target.parent)
    except OSError as error:
        raise not_written(error, target) from None
    finally:
        scratch.unlink(missing_ok=True)
    return told


def _add(archive: tarfile.TarFile, member: Member) -> PackedFile | None:
    """Put one file in; None where it has gone."""
    try:
        opened = member.path.open("rb")
    except FileNotFoundError:
        if member.still:
            raise
        return None
    with opened as file:
        if member.still:
            return _packed(archive, member, file)
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as spooled:  # its size must be known, and it may be growing
            shutil.copyfileobj(file, spooled, PIECE)
            return _packed(archive, member, spooled)


def _packed(archive: tarfile.TarFile, member: Member, file: IO[bytes]) -> PackedFile:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    read = _Hashed(file)
    archive.addfile(_info(member.name, size, member.path.stat().st_mtime), BufferedReader(read, PIECE))
    return PackedFile(size, read.digest.hexdigest())


def _info(name: str, size: int, time: float = 0.0) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.size, found.mtime, found.mode = size, time, OWNER_ALONE
    return found


class _Hashed(RawIOBase):
    """A file whose digest is known when it was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes."""
        data = self._file.read(len(buffer))
        buffer[:len(data)] = data
        self.digest.update(data)
        return len(data)


def refuse_target(target: Path, *, overwrite: bool) -> None:
    """Say at once where no backup can be written."""
    if target.is_dir():
        raise BackupError("a folder", where=str(target), expected="the name of a file",
                          remedy=f"write {target / 'backup.tar.gz'}")
    if not target.parent.is_dir():
        raise BackupError("there is no such folder", where=str(target.parent), expected="a folder that is there",
                          remedy=f"make it: mkdir -p {target.parent}")
    if target.exists() and not overwrite:
        raise BackupError("the file is there already", where=str(target), expected="a new name",
                          remedy="choose another, or say --overwrite")


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
