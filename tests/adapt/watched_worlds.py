"""Small worlds whose laws are known: what a monitor is shown of errors, context and intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.signal import lfilter
from scipy.special import ndtri

from terracast.adapt.evaluation.scores import pit, residual
from terracast.adapt.monitoring.channels.covariate_shift import Contexts, features
from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.adapt.monitoring.monitor import Monitor

HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
Each = Callable[[int], np.ndarray]
START = np.datetime64("2019-01-01", "ns")
QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
LEADS, HISTORY, NODES = 6, 72, 6
MEMORY = 0.9
NAMES = tuple("abcdef")


@dataclass(frozen=True)
class World:
    """Hourly values (time, node), their forecasts (issue, lead, node, quantile), issued every six hours, and what the
    monitor is shown of them: residuals and PITs (issue, lead, node), features (issue, feature, node)."""

    times: np.ndarray
    values: np.ndarray
    residuals: np.ndarray
    pits: np.ndarray
    contexts: np.ndarray

    @classmethod
    def of(cls, seed: int, days: int, moved: Each = lambda day: np.zeros(NODES),
           width: Each = lambda day: np.ones(NODES), missed: Each = lambda day: np.zeros(NODES),
           yearly: float = 0.0) -> World:
        """Autocorrelated values, half of them common to all nodes, with a daily (and a ``yearly``) cycle.

        The forecast knows the law: conditional median and deviation. Of each day (node,): what the world has ``moved``
        by, which the forecast knows too; what the ``width`` of served intervals is multiplied by; and by how much
        forecasts have ``missed`` what happened.
        """
        draws = np.random.default_rng(seed)
        rows = 24 * days
        shocks = draws.normal(size=(rows, NODES + 1)) * (1 - MEMORY**2) ** 0.5
        noise = lfilter([1.0], [1.0, -MEMORY], shocks, axis=0)
        noise = (noise[:, :1] + noise[:, 1:]) / 2**0.5
        hour = np.arange(rows + LEADS)
        known, hidden = (np.repeat([each(day) for day in range(days + 1)], 24, axis=0)[:len(hour)]
                         for each in (moved, missed))
        usual = 10 + np.sin(hour * np.pi / 12)[:, None] + yearly * np.sin(2 * np.pi * hour / 8766)[:, None] + known
        issued = np.arange(HISTORY, rows - LEADS, LEADS)
        lead = np.arange(1, LEADS + 1)
        ahead = issued[:, None] + lead - 1  # an issue at row r knows the rows before r
        median = usual[ahead] + MEMORY ** lead[:, None] * noise[issued - 1][:, None]
        spread = (1 - MEMORY ** (2 * lead)) ** 0.5
        values = usual[:rows] + noise + hidden[:rows]
        served = np.array([width(row // 24) for row in issued])[:, None] * spread[:, None]
        wide = median[..., None] + spread[:, None, None] * ndtri(QUANTILES)
        told = median[..., None] + served[..., None] * ndtri(QUANTILES)
        labels = values[ahead]
        times = START + np.arange(rows) * HOUR
        contexts = np.stack([features(xr.Dataset({"x": (("time", "node"), values[row - HISTORY:row])},
                                                 {"time": times[row - HISTORY:row], "node": list(NAMES)}), ("x",))
                             for row in issued])
        return cls(times[ahead], values, residual(wide, labels, QUANTILES), pit(told, labels, QUANTILES), contexts)

    def fit(self, days: int, per_month: float, *, pits: bool = True, inputs: bool = True) -> Monitor:
        """A monitor whose reference are the first ``days``."""
        count = int(np.searchsorted(self.times[:, -1], START + days * DAY))
        times = self.times[:count]
        return Monitor.fit(self.residuals[:count].reshape(-1, NODES), times.ravel(), per_month, seed=1, nodes=NAMES,
                           pits=self.pits[:count].reshape(-1, NODES) if pits else None,
                           inputs=Contexts(times[:, 0], self.contexts[:count], ("x",)) if inputs else None)

    def watched(self, monitor: Monitor, first: int, last: int) -> list[Evidence]:
        """What the monitor says of the days from ``first`` to ``last``."""
        found: list[Evidence] = []
        rows = (self.times[:, 0] >= START + first * DAY) & (self.times[:, -1] < START + last * DAY)
        for row in np.flatnonzero(rows):
            found += monitor.observe(self.times[row], self.residuals[row], pits=self.pits[row],
                                     context=self.contexts[row])
        return found
