"""What is watched: a variable of a domain at fixed nodes, and how its past is read as known at a moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr

from terracast.adapt.clock import Moment
from terracast.adapt.correction.experts.covariates import MOST, covariate_names, stacked
from terracast.stfm.forecaster import Request
from terracast.streams.alignment import context
from terracast.streams.stateful import Stateful

ALWAYS = np.datetime64("1678-01-01", "ns")


@dataclass(frozen=True)
class ForecastTask(Stateful):
    """What the loop forecasts: a variable of a domain at fixed nodes, the drivers used, and the times that matter.

    ``history``: how much of the past the forecaster sees; ``cadence``: time between ticks; ``label_timeout``: how long
    after its stamp a late label is still waited for. ``request.issue_time`` is not used. ``beside``: by domain, what a
    mixture reads beside the target, fixed when service begins, or while the past is short; ``covariates_wanted``:
    whether it may read any.
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
    NOT_KEPT = frozenset({"domain", "request", "cadence", "history", "label_timeout"})  # the settings say them

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
