"""What is watched: a variable of a domain at fixed nodes, and how its past is read as known at a moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr

from terracast.adapt.clock import Moment
from terracast.adapt.correction.experts.covariates import MOST, covariate_names, stacked
from terracast.adapt.days_off import DAY, DaysOff, unlike_others
from terracast.stats.summer_time import AFTER, LONGEST_STEP, clock_changes, follows_clocks
from terracast.stfm.forecaster import Request
from terracast.streams.alignment import context
from terracast.streams.schema.domains import CALENDAR, WEATHER, side_in
from terracast.streams.stateful import Stateful

MOST_STEPS = 105_120  # a year of five minutes
LOOKED_AT = np.timedelta64(3 * 366, "D").astype("timedelta64[ns]")  # of the past, for days off
ALWAYS = np.datetime64("1678-01-01", "ns")


@dataclass(frozen=True)
class ForecastTask(Stateful):
    """What the loop forecasts: a variable of a domain at fixed nodes, the drivers used, and the times that matter.

    ``history``: how much of the past the forecaster sees; ``cadence``: time between ticks; ``label_timeout``: how long
    after its stamp a late label is still waited for. ``request.issue_time`` is not used. ``beside``: by domain, what a
    mixture reads beside the target, fixed when service begins, or while the past is short; ``covariates_wanted``:
    whether it may read any. ``outside``: by domain, what the target cannot have caused (weather, calendar), by which
    the monitor knows what level to expect. ``holidays``: those that may count here; ``days_off``: those of them
    that the past shows to be unlike other days, or that somebody named: the monitor leaves them out. ``zone``: the time
    zone that people read, where the source speaks of one. ``clocks``: the zone whose clocks the target may follow when
    they are changed, None where no clocks are; ``clock_zone``: the same where it does, and ``request`` says it, too.
    """

    domain: str
    nodes: tuple[str, ...]
    request: Request
    cadence: np.timedelta64
    history: np.timedelta64
    label_timeout: np.timedelta64
    drivers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    covariates_wanted: bool = False
    outside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    holidays: tuple[DaysOff, ...] = ()
    days_off: DaysOff | None = None
    zone: str = "UTC"
    clocks: str | None = None
    clock_zone: str | None = None
    NOT_KEPT = frozenset({"domain", "request", "cadence", "history", "label_timeout", "zone"})  # the settings say them

    def with_covariates(self, moment: Moment) -> ForecastTask:
        """The same where a mixture reads the drivers and all that is known by now to move in the target's domain."""
        drivers = {domain: names for domain, names in self.drivers.items() if domain != self.domain}
        others = covariate_names(self._own_nodes(moment, ALWAYS), self.request.target)
        beside = {self.domain: others[:MOST - sum(map(len, drivers.values()))], **drivers}
        return replace(self, beside=beside, covariates_wanted=True)

    def covariates(self, moment: Moment, since: np.datetime64) -> xr.DataArray | None:
        """What a mixture reads (time, variable, node) as known at the moment; None without any. A driver that has been
        dropped since service began is silent."""
        names = [f"{domain}.{name}" for domain, names in self.beside.items() for name in names]
        if not names:
            return None
        own = self._own_nodes(moment, since)
        read = {self.domain: (own, self.beside.get(self.domain, ()))}
        read |= {domain: (moment.known(domain, since), names) for domain, names in self.drivers.items()
                 if domain != self.domain}
        return stacked(context(own, self.request.target, read)).reindex(variable=names)

    def with_outside(self, moment: Moment) -> ForecastTask:
        """The same with all of weather and calendar that is known by now to move, outside the target's own domain."""
        domains = [domain for domain in (WEATHER, CALENDAR) if domain in moment.domains and domain != self.domain]
        return replace(self, outside={domain: covariate_names(moment.known(domain), self.request.target)
                                      for domain in domains})

    def with_days_off(self, moment: Moment) -> ForecastTask:
        """The same where days off are left out, if the past as known by now shows that those of some candidate are
        unlike other days. Longer steps than a day know no days."""
        if self.request.step > DAY or self.days_off is not None:
            return self
        known = self.labels(moment, moment.now - min(LOOKED_AT, MOST_STEPS * self.request.step))
        return replace(self, days_off=unlike_others(self.holidays, known, self.request.step, self.history))

    def on_clocks_of(self, zone: str | None) -> ForecastTask:
        """The same where forecasts read the past by the clocks of a ``zone``, by the sun where it is None."""
        return replace(self, clock_zone=zone, request=replace(self.request, clock_zone=zone))

    def with_clocks(self, moment: Moment, zone: str | None) -> ForecastTask:
        """The same on the clocks of a ``zone`` if the past as known by now shows that the target follows them; where
        no change of clocks lies in it, whatever is no weather is taken to."""
        if zone is None or self.request.step > LONGEST_STEP:
            return replace(self, clocks=None).on_clocks_of(None)
        known = self.labels(moment, moment.now - min(LOOKED_AT, MOST_STEPS * self.request.step))
        target = known.transpose("time", "node")
        follows = follows_clocks(target["time"].values, target.values.astype("float64"), zone)
        if follows is None:
            follows = side_in(known.to_dataset(name=self.request.target), self.request.target) != WEATHER
        return replace(self, clocks=zone).on_clocks_of(zone if follows else None)

    def has_seen_change(self, now: np.datetime64) -> bool:
        """Whether since the last step enough is known of the days after a change of clocks to look again who follows
        them."""
        due = now - AFTER
        return self.clocks is not None and len(clock_changes(due - self.cadence, due, self.clocks)) > 0

    def is_off(self, times: np.ndarray) -> np.ndarray:
        """Which instants (time,) lie in days that the monitor leaves out."""
        return np.zeros(len(times), bool) if self.days_off is None else self.days_off.cover(times)

    def ordinary(self, values: xr.DataArray) -> xr.DataArray:
        """Values (time, …) that the monitor compares: unknown on days off."""
        return values if self.days_off is None or not values.sizes["time"] else self.days_off.left_out(values)

    def ordinary_rows(self, panel: xr.Dataset) -> xr.Dataset:
        """Of a panel (time, node) the rows that do not lie in days off; all of it where none would be left."""
        off = self.is_off(panel["time"].values)
        return panel if off.all() or not off.any() else panel.isel(time=~off)

    def values_outside(self, moment: Moment, since: np.datetime64) -> xr.DataArray | None:
        """What is outside the target (time, variable, node) at its own times and nodes, as known at the moment; None
        without any."""
        names = [f"{domain}.{name}" for domain, names in self.outside.items() for name in names]
        if not names:
            return None
        held = {domain: (moment.known(domain, since), names) for domain, names in self.outside.items() if names}
        return stacked(context(self._own_nodes(moment, since), self.request.target, held)).reindex(variable=names)

    def panel(self, moment: Moment, since: np.datetime64) -> xr.Dataset:
        """The forecaster's context as known at the moment: target and drivers on the watched nodes."""
        drivers = {domain: (moment.known(domain, since), names) for domain, names in self.drivers.items()}
        return context(self._own_nodes(moment, since), self.request.target, drivers)

    def context(self, moment: Moment) -> xr.Dataset:
        """The panel as far back as the forecaster looks; after an outage longer than that, one row in which nothing was
        seen."""
        return self.recent(self.panel(moment, moment.now - self.history), moment.now)

    def recent(self, panel: xr.Dataset, now: np.datetime64) -> xr.Dataset:
        """The same of a ``panel`` known at ``now`` that reaches at least so far back."""
        begin = int(np.searchsorted(panel["time"].values, now - self.history))
        panel = panel.isel(time=slice(begin, None)) if begin else panel
        return panel if panel.sizes["time"] else panel.reindex(time=[now])

    def labels(self, moment: Moment, since: np.datetime64) -> xr.DataArray:
        """The target (time, node) as known at the moment."""
        return self._own_nodes(moment, since)[self.request.target]

    def _own_nodes(self, moment: Moment, since: np.datetime64) -> xr.Dataset:
        panel = moment.known(self.domain, since)
        if tuple(panel["node"].values) == self.nodes:
            return panel
        return panel.reindex(node=list(self.nodes))
