"""Files that were packed (gz, bz2, xz, zip): unpacked into a folder of their own for as long as they are read."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from terracast.streams.errors import ReadError

PACKED: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
ZIP = ".zip"


def is_packed(path: Path) -> bool:
    """Whether a file is a packed one, by its ending."""
    return path.suffix.lower() in (*PACKED, ZIP) and path.is_file()


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The file itself, or what is packed in it: of an archive the largest file. Raises ``ReadError``.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "x.csv.gz").write_bytes(gzip.compress(b"a,b"))
    ...     with unpacked(Path(folder) / "x.csv.gz") as inner:
    ...         inner.name, inner.read_text()
    ('x.csv', 'a,b')
    """
    if not is_packed(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            inner = _from_archive(path, Path(folder)) if path.suffix.lower() == ZIP else Path(folder) / path.stem
            if path.suffix.lower() != ZIP:
                with PACKED[path.suffix.lower()](path) as packed, inner.open("wb") as plain:
                    shutil.copyfileobj(packed, plain)
        except (OSError, EOFError, zipfile.BadZipFile, lzma.LZMAError) as wrong:
            raise ReadError(f"it cannot be unpacked ({str(wrong)[:80]})", where=str(path), expected="a whole file",
                            remedy="fetch it again") from wrong
        yield inner


def _from_archive(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path) as archive:
        held = [one for one in archive.infolist() if not one.is_dir()]
        if not held:
            raise zipfile.BadZipFile("nothing in it")
        largest = max(held, key=lambda one: one.file_size)
        inner = folder / Path(largest.filename).name
        with archive.open(largest) as packed, inner.open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    return inner
