"""The test of drivers in service: one that has begun to hurt is dropped, and it is said so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from terracast.causal.graph.graph import CausalGraph, Driver, Series
from terracast.drivers.paired_e_process import PairedEProcess, PairedError
from terracast.drivers.selection import name_of
from terracast.streams.stateful import Stateful


@dataclass(frozen=True)
class DroppedDriver(Stateful):
    """One driver that was taken out of use: ``loss`` is the share of the error that it cost, ``time`` the issue time
    at which the evidence was enough.
    """

    series: Series
    time: np.datetime64
    loss: float
    e_value: float
    sentence: str


class DriverWatch(Stateful):
    """Compares the forecast in service with a shadow without one driver, for every driver in use.

    The shadow that loses less by ``PairedEProcess`` at ``alpha`` / drivers drops its driver: the chance that a
    watch ever drops any driver without which forecasts lose no less is at most ``alpha``, over all its life
    (same assumption). ``block``: pairs a block, from ``block_length`` at the ablation, or a few horizons. A dropped
    driver stays dropped until a new watch is made. State survives restarts. O(drivers) an issue time.

    >>> rain, flow = Series("weather", "rain"), Series("traffic", "flow")
    >>> watch = DriverWatch([Driver(rain, flow, 2, -0.4, True, "known in time")], block=4)
    >>> time = np.datetime64("2024-01-01T00:00", "ns") + np.arange(300) * np.timedelta64(1, "h")
    >>> draws = np.random.default_rng(0).normal(size=(2, 300)) / 9
    >>> gone = watch.update(time, 1.2 + draws[0], {rain: 1.0 + draws[1]})
    >>> gone[0].sentence
    'rain is no longer used: since 1 Jan 2024 forecasts with it lose 21.3 % more than without it.'
    """

    def __init__(self, drivers: Sequence[Driver], *, block: int, alpha: float = 0.05,
                 graph: CausalGraph | None = None) -> None:
        used = list(dict.fromkeys(one.series for one in drivers if one.used))
        self.alpha, self.count, self.block = alpha, max(1, len(used)), block
        self._evidence = {one: PairedEProcess(block) for one in used}
        self._names = {one: name_of(one, graph) for one in used}
        self._since: dict[Series, str] = {}
        self.dropped: tuple[DroppedDriver, ...] = ()

    @property
    def watched(self) -> tuple[Series, ...]:
        """The series still in use: for each of these a shadow is wanted."""
        gone = {one.series for one in self.dropped}
        return tuple(one for one in self._evidence if one not in gone)

    def update(self, issue_times: np.ndarray, losses: np.ndarray,
               shadows: Mapping[Series, np.ndarray]) -> tuple[DroppedDriver, ...]:
        """Take in losses (n,) in service and of each shadow, in issue order; answers what was dropped now.

        A shadow may be missing (it was not run); a NaN pair is left out. Raises ``PairedError`` on a shadow of
        another driver.
        """
        strange = [str(one) for one in shadows if one not in self._evidence]
        if strange:
            raise PairedError(f"a shadow without {strange[0]}", where="driver watch",
                              expected="one of " + ", ".join(map(str, self._evidence)),
                              remedy="make a new watch when the drivers change")
        fresh: list[DroppedDriver] = []
        for series in [one for one in self.watched if one in shadows]:
            evidence = self._evidence[series]
            for place, time in enumerate(issue_times):
                self._since.setdefault(series, str(np.datetime64(time, "ns")))
                evidence.update(np.asarray(losses[place:place + 1]), np.asarray(shadows[series][place:place + 1]))
                if evidence.proven(self.alpha / self.count):
                    fresh.append(self._drop(series, np.datetime64(time, "ns"), evidence))
                    break
        self.dropped = (*self.dropped, *fresh)
        return tuple(fresh)

    def judged(self, drivers: Sequence[Driver]) -> tuple[Driver, ...]:
        """The drivers with those dropped no longer used, and why: for the receipt and the report."""
        told = {one.series: one.sentence for one in self.dropped}
        return tuple(replace(one, used=False, reason=told[one.series]) if one.used and one.series in told else one
                     for one in drivers)

    def _drop(self, series: Series, time: np.datetime64, evidence: PairedEProcess) -> DroppedDriver:
        cost = evidence.totals[1] / evidence.totals[2] - 1 if evidence.totals[2] > 0 else 0.0
        since = pd.Timestamp(self._since[series])
        sentence = (f"{self._names[series]} is no longer used: since {since.day} {since:%b %Y} forecasts with it lose "
                    f"{100 * cost:.1f} % more than without it.")
        if cost <= 0:  # it hurts lately, not over the whole watch
            sentence = f"{self._names[series]} is no longer used: lately forecasts with it lose more than without it."
        return DroppedDriver(series, time, float(cost), evidence.peak, sentence)

