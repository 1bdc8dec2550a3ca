"""Negative transfer in service: once a day a shadow forecast without each driver; one that hurts is dropped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from terracast.adapt.candidate import rows_at
from terracast.adapt.clock import Moment
from terracast.adapt.evaluation.scores import crps
from terracast.adapt.loop import Loop
from terracast.causal.graph.graph import CausalGraph, Driver, Series
from terracast.drivers.ablation import mean_known
from terracast.drivers.driver_watch import DriverWatch, DroppedDriver
from terracast.drivers.selection import inputs_of
from terracast.stfm.wall_clock import forecast_by_clock
from terracast.streams.stateful import Stateful

EVERY = np.timedelta64(1, "D").astype("timedelta64[ns]")


@dataclass(frozen=True)
class Shadows(Stateful):
    """The model's forecasts of one issue time whose labels are still to come: with all drivers in use, and without
    each; arrays (lead, node, quantile)."""

    issue_time: np.datetime64
    whole: np.ndarray
    without: Mapping[Series, np.ndarray]


class NegativeTransferMonitor(Stateful):
    """Watches the drivers that the loop serves with.

    The shadow is made by the model in service from a context that lacks one driver: models are trained with silent
    drivers, and this is exactly what is served once the driver is dropped. Both are scored by the labels known when
    the forecast is over. Costs one forecast a day for each driver, and one more. State is exact to the bit.
    """

    def __init__(self, watch: DriverWatch, begun: Mapping[str, Sequence[str]],
                 earlier: Sequence[DroppedDriver] = ()) -> None:
        self.watch = watch
        self.begun = {domain: tuple(names) for domain, names in begun.items()}
        self.earlier = tuple(earlier)
        self.open: list[Shadows] = []
        self.last: np.datetime64 | None = None

    @classmethod
    def begin(cls, drivers: tuple[Driver, ...], graph: CausalGraph, loop: Loop, *, remembered: np.timedelta64,
              before: Mapping[str, Any] | None = None) -> Self:
        """For a loop that begins with ``drivers`` from ``graph``; ``before``: the state of the service that ends.

        A block is longer than a horizon and than ``remembered``, how long losses remembered in the ablation.
        """
        pace = max(EVERY, loop.watched.cadence)
        block = max(math.ceil(loop.watched.request.leads[-1] / pace) + 1, math.ceil(remembered / pace))
        return cls(DriverWatch(drivers, block=block, graph=graph), inputs_of(drivers),
                   () if before is None else cls.restore(before).dropped)

    @property
    def dropped(self) -> tuple[DroppedDriver, ...]:
        """All that was dropped in this service and in those before it."""
        return (*self.earlier, *self.watch.dropped)

    def tick(self, loop: Loop, moment: Moment) -> tuple[DroppedDriver, ...]:
        """After the loop's own tick at ``moment``: score what is over, drop what hurts, issue what is due."""
        dropped = self._score(loop, moment)
        if dropped:
            loop.watched = replace(loop.watched, drivers=_less(loop.watched.drivers, self.watch.dropped))
        if self.watch.watched and (self.last is None or moment.now - self.last >= EVERY):
            self.open.append(self._issued(loop, moment))
            self.last = moment.now
        return dropped

    def _issued(self, loop: Loop, moment: Moment) -> Shadows:
        context = loop.watched.panel(moment, moment.now - loop.watched.history)
        request = loop.watched.request.at(moment.now)

        def values(panel: Any) -> np.ndarray:
            forecast = forecast_by_clock(loop.champion.model, panel, request)
            return np.asarray(forecast[request.target].values[0], "float64")

        return Shadows(moment.now, values(context),
                       {one: values(context.drop_vars(str(one))) for one in self.watch.watched})

    def _score(self, loop: Loop, moment: Moment) -> tuple[DroppedDriver, ...]:
        request = loop.watched.request
        until = moment.now - request.leads[-1] - loop.watched.label_timeout
        over = [one for one in self.open if one.issue_time <= until]
        if not over:
            return ()
        self.open = [one for one in self.open if one.issue_time > until]
        labels = loop.watched.labels(moment, over[0].issue_time)
        dropped: list[DroppedDriver] = []
        for one in over:
            known = rows_at(labels, request.at(one.issue_time).valid_times)

            def loss(values: np.ndarray, known: np.ndarray = known) -> np.ndarray:
                return np.array([mean_known(crps(values, known, request.quantiles))])

            shadows = {series: loss(values) for series, values in one.without.items()}
            dropped += self.watch.update(np.array([one.issue_time]), loss(one.whole), shadows)
        return tuple(dropped)


def cooled_down(drivers: Sequence[Driver], state: Mapping[str, Any] | None, since: np.datetime64) -> tuple[Driver, ...]:
    """The drivers without those that service dropped after ``since``: these rest for as long as a search looks back."""
    if state is None:
        return tuple(drivers)
    lately = {one.series: one.sentence for one in NegativeTransferMonitor.restore(state).dropped if one.time >= since}
    return tuple(replace(one, used=False, reason=lately[one.series]) if one.used and one.series in lately else one
                 for one in drivers)


def _less(drivers: Mapping[str, Sequence[str]], dropped: Sequence[DroppedDriver]) -> dict[str, tuple[str, ...]]:
    gone = {one.series for one in dropped}
    left = {domain: tuple(name for name in names if Series(domain, name) not in gone)
            for domain, names in drivers.items()}
    return {domain: names for domain, names in left.items() if names}
