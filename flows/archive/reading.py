"""Reading a backup: every member is checked before anything of it is put in place."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from terracast.flows.archive.errors import BackupError, not_written
from terracast.flows.archive.manifest import NAME, Manifest, PackedFile
from terracast.flows.terminal.share_shown import Told

PIECE = 1 << 20
LONGEST_LIST = 1 << 28  # bytes of a list of contents


def unpack(archive: Path, scratch: Path, tell: Told) -> Manifest:
    """Unpack a backup into an empty folder and compare it with its list of contents, which is returned.

    Written are plain files of this user alone, below ``scratch``.

    Raises
    ------
    BackupError
        The file is cut off, damaged or no backup; a member is a link, a device, or lies outside; what is listed and
        what is there differ.
    """
    found: dict[str, PackedFile] = {}
    listed: bytes | None = None
    try:
        with archive.open("rb") as file, gzip.GzipFile(fileobj=file) as packed:
            whole = os.fstat(file.fileno()).st_size or 1
            with tarfile.open(fileobj=packed, mode="r|") as members:
                for one in members:
                    _refuse_member(one, found, archive)
                    content = members.extractfile(one)
                    assert content is not None, "it is a plain file"
                    if one.name == NAME:
                        listed = content.read(LONGEST_LIST)
                    else:
                        found[one.name] = _written(content, scratch / one.name, one)
                    tell(min(1.0, file.tell() / whole), "unpacking")
            while packed.read(PIECE):  # to the end, where the checksum of the whole is
                pass
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, UnicodeError) as error:
        raise BackupError(f"it cannot be read to its end ({str(error) or type(error).__name__})", where=str(archive),
                          expected="a whole file that `terracast backup` wrote",
                          remedy="copy it again, or restore another backup") from None
    if listed is None:
        raise BackupError("it has no list of contents", where=str(archive),
                          expected="a whole file that `terracast backup` wrote", remedy="restore another backup")
    manifest = Manifest.from_json(listed, archive)
    _refuse_difference(manifest, found, archive)
    return manifest


def _refuse_member(member: tarfile.TarInfo, found: dict[str, PackedFile], archive: Path) -> None:
    """Only plain files with names of their own, below the folder: a backup holds nothing else."""
    path = PurePosixPath(member.name)
    wrong = ("it lies outside of the folder" if path.is_absolute() or ".." in path.parts or "\0" in member.name else
             "it is no plain file" if not member.isreg() or member.issparse() else
             "its name is none" if str(path) != member.name or member.name == "." else
             "it is there twice" if member.name in found else None)
    if wrong is not None:
        raise BackupError(f"{member.name[:200]!r} is refused: {wrong}", where=str(archive),
                          expected="a file that `terracast backup` wrote", remedy="restore another backup")


def _written(content: IO[bytes], path: Path, member: tarfile.TarInfo) -> PackedFile:
    digest, size = hashlib.sha256(), 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            while data := content.read(PIECE):
                digest.update(data)
                size += file.write(data)
        os.utime(path, (member.mtime, member.mtime))
    except OSError as error:
        raise not_written(error, path) from None
    return PackedFile(size, digest.hexdigest())


def _refuse_difference(manifest: Manifest, found: dict[str, PackedFile], archive: Path) -> None:
    listed = dict(manifest.files)
    for name in sorted(listed.keys() | found.keys()):
        if listed.get(name) != found.get(name):
            what = "is missing" if name not in found else "is not listed" if name not in listed else "was changed"
            raise BackupError(f"{name} {what}", where=str(archive), expected="what its list of contents says",
                              remedy="copy it again, or restore another backup")
    if manifest.settings not in found:
        raise BackupError(f"{manifest.settings} is missing", where=str(archive), expected="the settings file",
                          remedy="restore another backup")
