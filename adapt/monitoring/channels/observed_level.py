"""Evidence of the level itself: does what is observed lie where the weeks before had it?

A forecaster that reads what was observed follows a new level within a day, and its errors fall silent. The weeks
before do not follow: each value is put beside the mean of the same hour of the week (of the day, where the window
looked back on holds less than four weeks) in up to eight weeks, and a day of both is compared as a ratio.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from terracast.adapt.monitoring.channels.covariate_shift import mean_seen
from terracast.stats.calendar import DAY, WEEK
from terracast.streams.stateful import Stateful

SEASONS, FEWEST_KNOWN = 8, 2  # seasons before that are averaged, and at least
FEWEST = 4  # seasons that the window looked back on must hold for one of that length
FLOOR = 0.05  # of the usual level, added to both sides of a ratio: nothing beside next to nothing is no change


@dataclass(frozen=True)
class ObservedLevel(Stateful):
    """Reads blocks of what was observed and what the weeks before had.

    Attributes
    ----------
    relative : bool
        Whether they are compared as a ratio, as values that are never negative are; else as a difference.
    unit : ndarray of float, shape (node,)
        Of a ratio: what is added to both sides; of a difference: its deviation in the reference.

    Examples
    --------
    >>> days = np.random.default_rng(0).uniform(90, 110, size=(60, 2, 1))
    >>> level = ObservedLevel.fit(days)
    >>> level.distances(np.array([[[60.0], [100.0]]])).round(2).tolist()
    [[-0.48]]
    """

    relative: bool
    unit: np.ndarray

    kind = "level"

    @classmethod
    def fit(cls, means: np.ndarray) -> ObservedLevel:
        """From blocks (block, 2, node) of a reference."""
        seen, before = means[:, 0], means[:, 1]
        relative = not bool((means < 0).any())
        unit = FLOOR * mean_seen(before) if relative else mean_seen((seen - before - mean_seen(seen - before))**2)**0.5
        return cls(relative, np.where(np.isfinite(unit) & (unit > 0), unit, 1.0))

    @staticmethod
    def rows(levels: np.ndarray) -> np.ndarray:
        """What is averaged over a block of ``levels`` (time, 2, node): both, where both are known."""
        return np.asarray(np.where(np.isfinite(levels).all(axis=1, keepdims=True), levels, np.nan))

    def standardised(self, means: np.ndarray) -> np.ndarray:
        """What the words are made from, (block, 2, node)."""
        return means

    def distances(self, standardised: np.ndarray) -> np.ndarray:
        """The stream of each node, (block, node): the logarithm of a ratio, or a difference in deviations."""
        seen, before = standardised[:, 0], standardised[:, 1]
        unit = self.unit if seen.shape[-1] == len(self.unit) else np.append(self.unit, np.nanmedian(self.unit))
        if not self.relative:
            return np.asarray((seen - before) / unit)
        return np.asarray(np.log((np.maximum(seen, 0.0) + unit) / (np.maximum(before, 0.0) + unit)))

    def enough(self, size: int) -> int:
        """How many of the ``size`` steps of a block must have been seen."""
        return -(-size // 2)

    def is_alarm(self, now: float, before: float, rank: float) -> bool:
        """A level that returns is news, too."""
        return True

    def status(self, standardised: np.ndarray, rank: float) -> str:
        """How things stand, change or not, from what is told (statistic,) of the last blocks."""
        seen, before = map(float, standardised)
        side = "above" if seen > before else "below"
        if self.relative and before > 0:
            return f"the last days lie {100 * abs(seen / before - 1):.0f} % {side} the weeks before"
        return f"the last days lie {side} the weeks before, by {abs(seen - before):.3g}"

    def details(self, now: np.ndarray, before: np.ndarray, usual: np.ndarray, rank: float
                ) -> tuple[dict[str, object], str]:
        """That it is about the weeks before, and the direction, from the statistics (statistic,) of the window."""
        return {"form": "weeks before"}, "up" if now[0] > now[1] else "down"


def against_weeks_before(known: xr.DataArray, times: np.ndarray, step: np.timedelta64, reach: np.timedelta64
                        ) -> np.ndarray:
    """What was observed and what the weeks before had, (time, 2, node).

    Parameters
    ----------
    known : DataArray, dims (time, node)
        The target as known, on a regular clock.
    times : ndarray of datetime64, shape (time,)
        Rising.
    step : timedelta64
        Of the clock.
    reach : timedelta64
        How far back the values are read.

    Examples
    --------
    >>> time = np.datetime64("2024-01-01", "ns") + np.arange(24 * 60) * np.timedelta64(1, "h")
    >>> known = xr.DataArray(np.arange(24.0 * 60)[:, None], {"time": time, "node": ["a"]}, ("time", "node"))
    >>> seen = against_weeks_before(known, time[-1:], np.timedelta64(1, "h"), np.timedelta64(50, "D"))
    >>> float(seen[0, 0, 0] - seen[0, 1, 0]) == 168 * (1 + 7) / 2
    True
    """
    season = season_of(step, reach)
    clock, values = known["time"].values, known.transpose("time", "node").values
    found = [_at(clock, values, times - back * season)
             for back in range(min(SEASONS, int(reach / season)) + 1)]
    past = np.stack(found[1:]) if len(found) > 1 else np.full((1, *found[0].shape), np.nan)
    count = np.isfinite(past).sum(axis=0)
    mean = np.where(np.isfinite(past), past, 0.0).sum(axis=0) / np.maximum(count, 1)
    return np.stack([found[0], np.where(count >= FEWEST_KNOWN, mean, np.nan)], axis=1)


def season_of(step: np.timedelta64, reach: np.timedelta64) -> np.timedelta64:
    """A week, where so much past holds some and they are whole steps; else a day, else a step.

    >>> hour, day = np.timedelta64(1, "h"), np.timedelta64(1, "D")
    >>> [float(season_of(hour, days * day) / day) for days in (64, 5)]
    [7.0, 1.0]
    """
    for season in (WEEK, DAY):
        length, one = np.timedelta64(season, "ns"), step.astype("timedelta64[ns]")
        if length >= one and length % one == np.timedelta64(0, "ns") and FEWEST * length <= reach:
            return length
    return step.astype("timedelta64[ns]")


def _at(clock: np.ndarray, values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Rows of ``values`` at these stamps; NaN where the clock has none."""
    found = np.full((len(times), values.shape[1]), np.nan)
    if len(clock):
        at = np.minimum(np.searchsorted(clock, times), len(clock) - 1)
        there = clock[at] == times
        found[there] = values[at[there]]
    return found
