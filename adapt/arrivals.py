"""Which ticks are made: a silence that is longer than what a forecaster looks back gets no ticks of its own.

A loop that was off makes up the ticks that it missed. Where nothing new became known for longer than ``history``, a
forecast would be made from nothing: the last one before stands until values come again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from terracast.adapt.clock import Moment
from terracast.adapt.task import ForecastTask
from terracast.streams.bitemporal import RecordedDomain

FEWEST = 2  # as the plain rules want; told again here, since what reads the clock alone must not load models


def sees_enough(moment: Moment, watched: ForecastTask) -> bool:
    """Whether a forecaster that looks back for ``watched.history`` finds something to forecast from: two values of the
    target at least, which tell a level and a width. O(values of that time)."""
    return is_enough(watched.labels(moment, moment.now - watched.history))


def is_enough(seen: xr.DataArray) -> bool:
    """The same of values (time, node) of the target that a forecaster was given."""
    return int(np.isfinite(seen.values).sum()) >= FEWEST


@dataclass(frozen=True)
class Arrivals:
    """When values of the target became known: ``known`` (arrival,) rising, and ``newest`` (arrival,), the last stamp
    of which a value was known from then on.

    >>> day = np.datetime64("2024-01-01", "ns") + np.arange(3) * np.timedelta64(1, "D")
    >>> arrivals = Arrivals(day + np.timedelta64(1, "D"), day)
    >>> week, daily = np.timedelta64(7, "D"), np.timedelta64(1, "D")
    >>> arrivals.next_tick(day[0] + 7 * daily, day[0] + 8 * daily, daily, week) is not None  # still within a week
    True
    >>> arrivals.next_tick(day[0] + 7 * daily, day[0] + 30 * daily, daily, week) is None
    True
    """

    known: np.ndarray
    newest: np.ndarray

    @classmethod
    def of(cls, held: RecordedDomain, watched: ForecastTask) -> Arrivals:
        """Of the watched target at the watched nodes; revisions are no news. O(values log values)."""
        panel = held.panel
        if watched.request.target not in panel:
            return cls(np.zeros(0, "datetime64[ns]"), np.zeros(0, "datetime64[ns]"))
        rows, columns = np.nonzero(np.isfinite(panel[watched.request.target].transpose("time", "node").values)
                                   & np.isin(panel["node"].values, list(watched.nodes)))
        known, stamps = panel["known_time"].values[rows, columns], panel["time"].values[rows]
        order = np.argsort(known, kind="stable")
        return cls(known[order], np.maximum.accumulate(stamps[order]))

    def next_tick(self, tick: np.datetime64, now: np.datetime64, cadence: np.timedelta64, history: np.timedelta64
                  ) -> np.datetime64 | None:
        """The first tick from ``tick`` on, up to ``now``, that is to be made; None where none is."""
        while tick <= now:
            after = int(np.searchsorted(self.known, tick, side="right"))
            if after and self.known[after - 1] > tick - cadence:
                return tick
            until = min(self.known[after], now) if after < len(self.known) else now
            if after and until - self.newest[after - 1] <= history:
                return tick
            if after == len(self.known):
                return None
            tick = tick - ((tick - self.known[after]) // cadence) * cadence
        return None
