"""Evidence in the units of the data: how far from the forecast, and how far from the weeks before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from terracast.adapt.monitoring.diagnosis.effect import WEEKS, effect_since
from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.stats.calendar import WEEK
from terracast.streams.stateful import Stateful

MOVED = ("level", "trend", "scale")  # what has an effect on the mean, or may have
MEMORY = 0.02  # weight of the newest forecast in the typical spread
REACH = np.timedelta64(WEEKS * WEEK, "ns")


@dataclass
class DataUnits(Stateful):
    """Knows how wide forecasts of short leads usually are, (node,): a deviation of a residual is so many units.

    >>> units = DataUnits(np.array([2.0, 4.0]))
    >>> at = np.datetime64("2024-06-20", "ns")
    >>> clue = Evidence(at, at, ("b",), "level", "down", 2.0, size=1.5)
    >>> units.of(clue, np.ones(2), ("a", "b"), lambda since: None).amount
    -6.0
    """

    spread: np.ndarray

    def learn(self, spread: np.ndarray) -> None:
        """Take in the mean ``spread`` (node,) of one more forecast, NaN where there is none."""
        before = np.where(np.isfinite(self.spread), self.spread, spread)
        self.spread = np.where(np.isfinite(spread), before + MEMORY * (spread - before), before)

    def of(self, clue: Evidence, scale: np.ndarray, nodes: tuple[str, ...],
           observed: Callable[[np.datetime64], xr.DataArray | None]) -> Evidence:
        """The same evidence with ``amount`` and ``effect``.

        Parameters
        ----------
        clue : Evidence
            What the monitor found.
        scale : ndarray of float, shape (node,)
            Normal deviation of each node's residual.
        nodes : tuple of str
            Their names.
        observed : callable
            Answers the target (time, node) as known now from an instant on.
        """
        if clue.change_type not in MOVED:
            return clue
        at = [nodes.index(node) for node in clue.nodes]
        known = [one for one in scale[at] * self.spread[at] if np.isfinite(one)]
        sign = -1.0 if clue.direction == "down" else 1.0
        amount = sign * clue.size * float(np.mean(known)) if known and clue.size else None
        values = observed(clue.since - REACH)
        effect = None if values is None else effect_since(
            clue.since, values["time"].values, values.transpose("time", "node").values[:, at])
        return replace(clue, amount=amount, effect=effect)
