"""Lost drivers: a driver that stops arriving is a data ticket. A forecaster goes on without it, worse, and no training
mends that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from terracast.streams.stateful import Stateful

DAY = np.timedelta64(1, "D")
SHORTEST = 4  # a driver is lost after at least so many steps, and a day


@dataclass
class DriverFeed(Stateful):
    """One driver: ``overdue_after``, how much later than usual its newest value may be; ``newest``, the stamp of its
    last value; ``usual``, the least age of the newest value that was seen at a tick."""

    overdue_after: np.timedelta64
    newest: np.datetime64
    usual: np.timedelta64 | None = None
    lost: bool = False

    @classmethod
    def fit(cls, seen: np.ndarray, step: np.timedelta64) -> DriverFeed:
        """From the stamps (time,) at which any node of the reference has a value, two at least."""
        return cls(max(DAY, SHORTEST * step, 2 * np.max(np.diff(seen))), seen[-1])

    def update(self, now: np.datetime64, values: xr.DataArray) -> bool:
        """Whether it is lost from now on, by its ``values`` (time, node) as known now."""
        times = stamps_of(values)
        if len(times) and times[-1] > self.newest:
            self.newest = times[-1]
        age = now - self.newest
        self.usual = age if self.usual is None or age < self.usual else self.usual
        before, self.lost = self.lost, bool(age - self.usual >= self.overdue_after)
        return self.lost and not before


def stamps_of(values: xr.DataArray) -> np.ndarray:
    """The stamps (time,) at which any node has a value."""
    seen = np.isfinite(values.transpose("time", "node").values).any(axis=1)
    return np.asarray(values["time"].values[seen].astype("datetime64[ns]"))
