"""Where a panel's reports lie in the store: rows and columns of one window, read and written array by array."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import zarr

from terracast.streams.storage.arrays import read_array, write_array
from terracast.streams.storage.observations import StoredDomain


@dataclass(frozen=True)
class Cells:
    """``rows`` and ``columns`` of a ``window`` of stored rows that is ``width`` nodes wide.

    ``whole``: they are all of the window, in order. ``unwritten``: nothing was ever written in the window, so it
    need not be read.
    """

    window: slice
    rows: np.ndarray
    columns: np.ndarray
    width: int
    whole: bool
    unwritten: bool

    @classmethod
    def of(cls, held: StoredDomain, time: np.ndarray, columns: np.ndarray, unwritten: bool) -> Cells:
        """The cells of stamps that are held and of columns."""
        window, width = held.rows(time[0], time[-1]), len(held.nodes)
        rows = np.searchsorted(held.time[window], time)
        whole = len(rows) == window.stop - window.start and np.array_equal(columns, np.arange(width))
        return cls(window, rows, columns, width, whole, unwritten)

    def read(self, array: zarr.Array) -> np.ndarray:
        """The values that the array holds in these cells."""
        block = read_array(array, self.window)
        return block if self.whole else block[np.ix_(self.rows, self.columns)]

    def write(self, array: zarr.Array, values: np.ndarray, taken: np.ndarray) -> None:
        """Put the taken values into the array; only the rows from the first to the last taken one are written."""
        taken_rows = np.flatnonzero(taken.any(axis=1))
        if not len(taken_rows):
            return
        first, stop = int(self.rows[taken_rows[0]]), int(self.rows[taken_rows[-1]]) + 1
        target = slice(self.window.start + first, self.window.start + stop)
        stored = np.dtype("datetime64[ns]") if values.dtype.kind == "M" else np.dtype(array.dtype)
        values = values.astype(stored, copy=False)
        if self.whole and taken.all():
            write_array(array, target, values)
            return
        if self.unwritten:
            missing = np.array("NaT" if stored.kind == "M" else np.nan, dtype=stored)
            block = np.full((stop - first, self.width), missing)
        else:
            block = read_array(array, target)
        among = (self.rows >= first) & (self.rows < stop)
        places = np.ix_(self.rows[among] - first, self.columns)
        block[places] = np.where(taken[among], values[among], block[places])
        write_array(array, target, block)
