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

MOVED = ("level", "trend", "scale", "seasonality")  # what has an effect on the mean, or may have
SWUNG = ("scale", "seasonality")  # what a factor on all values shows as, too
FACTOR = 10.0  # percent from which on a mean that moved explains it
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
        """The same evidence with ``amount`` and ``effect``; a factor on all values is told as one, though it widens
        swings and the daily cycle, too: the everyday reading wins.

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
        if clue.effect is not None:  # the channel that found it knows better what was to be expected
            return replace(clue, amount=amount)
        values = observed(clue.since - REACH)
        effect = None if values is None else effect_since(
            clue.since, values["time"].values, values.transpose("time", "node").values[:, at])
        found = replace(clue, amount=amount, effect=effect)
        return _as_factor(found) if clue.change_type in SWUNG and effect is not None else found


def _as_factor(clue: Evidence) -> Evidence:
    """A change of swings or of the cycle as one of the level, where the mean moved the same way by a clear factor."""
    effect = clue.effect
    if effect is None or effect.percent is None or not effect.is_clear or abs(effect.percent[0]) < FACTOR:
        return clue
    up = effect.amount > 0
    if clue.change_type == "scale" and up != (clue.direction in ("up", "wider")):
        return clue
    return replace(clue, change_type="level", direction="up" if up else "down", amount=None,
                   details={**clue.details, "form": "weeks before"})
