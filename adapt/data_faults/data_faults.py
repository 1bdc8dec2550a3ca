"""Faults of the data, not of the world: what is told of sensors, reports, drivers and wiring, each as a data ticket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from terracast.adapt.data_faults.flag_tickets import FlagTickets
from terracast.adapt.data_faults.lost_drivers import DriverFeed, stamps_of
from terracast.adapt.data_faults.rewiring import Rewiring
from terracast.adapt.data_faults.silence import ReportWatch
from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.streams.quality.known_flags import KnownFlags
from terracast.streams.stateful import Stateful

DAY = np.timedelta64(1, "D")
LEARNED = 28  # days from which the wiring is learned
MOST_NODES = 2000  # pairs are compared up to so many


@dataclass
class DataFaults(Stateful):
    """Watches what the forecaster reads, beside its errors.

    Parameters
    ----------
    reports : ReportWatch
        Which nodes of the target report at all.
    flagged : FlagTickets
        What ``streams.quality`` flags of the target and its drivers.
    drivers : dict
        The drivers by name (``domain.variable``), told where one is lost.
    wirings : dict
        The wiring of each variable, in whole days of several steps.
    heard : datetime64
        The days before it were compared.

    Examples
    --------
    >>> times = np.datetime64("2020-01-01", "ns") + np.arange(24 * 40) * np.timedelta64(1, "h")
    >>> draws = np.random.default_rng(0).normal(size=(2, len(times), 2))
    >>> panel = xr.Dataset({"x": (("time", "node"), draws[0]), "d.wind": (("time", "node"), draws[1])},
    ...                    {"time": times, "node": ["a", "b"]})
    >>> reports = ReportWatch.fit(("a", "b"), np.timedelta64(1, "h"), np.ones((720, 2), bool), 24)
    >>> faults = DataFaults(reports, FlagTickets("d", "x", ("a", "b"))).watching(panel.isel(time=slice(0, 720)))
    >>> panel["d.wind"][24 * 35:] = np.nan
    >>> heard = [faults.update(times[row], panel.isel(time=slice(0, row)), {}) for row in range(24 * 30, 24 * 40, 6)]
    >>> [(one.ticket, one.details) for told in heard for one in told]
    [('lost driver', {'driver': 'd.wind'})]
    """

    reports: ReportWatch
    flagged: FlagTickets
    drivers: dict[str, DriverFeed] = field(default_factory=dict)
    wirings: dict[str, Rewiring] = field(default_factory=dict)
    compared_until: np.datetime64 = field(default_factory=lambda: np.datetime64("NaT", "ns"))

    def watching(self, panel: xr.Dataset) -> DataFaults:
        """The same with drivers and wiring learned from the reference ``panel`` of (time, node) variables: all but the
        target are drivers."""
        times, nodes = panel["time"].values.astype("datetime64[ns]"), self.flagged.nodes
        if len(times) < 2:
            return self
        step = np.median(np.diff(times).astype(np.int64)).astype("timedelta64[ns]")
        self.compared_until = _next_day(times[-1])
        for name in map(str, panel.data_vars):
            seen = stamps_of(panel[name])
            if name != self.flagged.target and len(seen) >= 2:
                self.drivers[name] = DriverFeed.fit(seen, step)
            if 1 < len(nodes) <= MOST_NODES and step < DAY:
                last = times >= times[-1] - LEARNED * DAY
                days, values = times[last].astype("datetime64[D]"), panel[name].transpose("time", "node").values[last]
                self.wirings[name] = Rewiring.fit([values[days == day] for day in np.unique(days)], nodes)
        return self

    def relearnt(self, panel: xr.Dataset, step: np.timedelta64, block: int) -> DataFaults:
        """The same with what is usual learned anew from a longer reference ``panel``, watched in blocks of so many
        steps; data tickets go on."""
        nodes, target = self.flagged.nodes, self.flagged.target
        seen = np.isfinite(panel[target].transpose("time", "node").values)
        return DataFaults(ReportWatch.fit(nodes, step, seen, block), self.flagged).watching(panel)

    def update(self, now: np.datetime64, panel: xr.Dataset, flags: Mapping[str, KnownFlags]) -> list[Evidence]:
        """Data tickets at ``now`` from what is known of the last days: the ``panel`` that the forecaster reads, of
        (time, node) variables, and the ``flags`` of each domain."""
        found = self.flagged.update(now, flags, [name for name in self.drivers if name in panel])
        for name, driver in self.drivers.items():
            if name in panel and driver.update(now, panel[name]) and not self.flagged.alarmed_since(name,
                                                                                                    driver.newest):
                found.append(Evidence(now, driver.newest, self.flagged.nodes, "health", "none", 0.0, "lost driver",
                                      {"driver": name}))
        times = panel["time"].values.astype("datetime64[ns]")
        while self.wirings and self.compared_until + 2 * DAY <= now:
            found += self._compared(self.compared_until, times, panel)
            self.compared_until = self.compared_until + DAY
        return found

    def _compared(self, day: np.datetime64, times: np.ndarray, panel: xr.Dataset) -> list[Evidence]:
        """Tickets of the wiring of one day; none where the panel does not reach back to its beginning."""
        rows = (times >= day) & (times < day + DAY)
        if not rows.any() or times[0] > day:
            return []
        return [one for name, wiring in self.wirings.items() if name in panel
                for one in wiring.update(day, panel[name].transpose("time", "node").values[rows].astype(float))]


def _next_day(time: np.datetime64) -> np.datetime64:
    return (time.astype("datetime64[D]") + 1).astype("datetime64[ns]")
