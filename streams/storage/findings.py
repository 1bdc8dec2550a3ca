"""One finding of the integrity check: what, where, and the way out, in one line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import zarr

from terracast.streams.storage.arrays import plain_name, read_array
from terracast.streams.storage.failures import first_line


@dataclass(frozen=True)
class Finding:
    """Something in the store that is damaged or does not agree.

    >>> print(Finding("time goes backwards at row 7", "observations/air", "restore an earlier snapshot"))
    observations/air: time goes backwards at row 7; restore an earlier snapshot
    """

    what: str
    where: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.remedy}".replace("\n", " ")

    def within(self, snapshot: str) -> Finding:
        """The same about a snapshot other than the newest."""
        return replace(self, where=f"snapshot {snapshot}, {self.where}")

    @classmethod
    def unreadable(cls, what: str, where: str, failed: Exception) -> Finding:
        """What cannot be read at all."""
        return cls(f"{what} cannot be read ({type(failed).__name__}: {first_line(failed)})", where,
                   "restore the folder from a backup, or go back to an earlier snapshot that is sound")


def read_rows(array: zarr.Array, where: str, rows: slice) -> tuple[np.ndarray | None, tuple[Finding, ...]]:
    """Some rows of an array, or why they cannot be read."""
    try:
        return read_array(array, rows), ()
    except Exception as failed:  # damage shows as any error of icechunk, zarr or a codec
        what = f"rows {rows.start} to {rows.stop - 1}"
        return None, (Finding.unreadable(what, f"{where}/{plain_name(array.basename)}", failed),)


def row_blocks(array: zarr.Array) -> list[slice]:
    """An array's rows, a chunk's at a time."""
    count, depth = array.shape[0], array.chunks[0]
    return [slice(first, min(first + depth, count)) for first in range(0, count, depth)]


def unreadable_rows(array: zarr.Array, where: str) -> Iterator[Finding]:
    """What of an array cannot be read."""
    for rows in row_blocks(array) if array.ndim else ():
        yield from read_rows(array, where, rows)[1]
    if not array.ndim:
        try:
            read_array(array)
        except Exception as failed:
            yield Finding.unreadable("the value", f"{where}/{plain_name(array.basename)}", failed)
