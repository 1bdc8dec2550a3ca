"""Evidence of the level itself: does what is observed lie where the weeks before had it?

A forecaster that reads what was observed follows a new level within a day, and its errors fall silent. The weeks
before do not follow: each value is put beside the mean of the same hour of the week (of the day, where the window
looked back on holds less than four weeks) in up to eight weeks, and a day of both is compared as a ratio. What weather
and calendar explain of it is taken off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from terracast.adapt.monitoring.channels.covariate_shift import mean_seen
from terracast.adapt.monitoring.diagnosis.effect import Effect, half_width
from terracast.stats.calendar import DAY, WEEK
from terracast.streams.stateful import Stateful

FEWEST_BEFORE = 8  # blocks before a change, from which on it has a size
SEASONS, FEWEST_KNOWN = 8, 2  # seasons before that are averaged, and at least
FEWEST = 4  # seasons that the window looked back on must hold for one of that length
PENALTY = 5.0  # of the ridge, blocks a node: fewer say little of the weather
RUN, FOLDS = 7, 5  # blocks of one fold at a time, and folds
FLOOR = 0.05  # of the usual level, added to both sides of a ratio: nothing beside next to nothing is no change


@dataclass(frozen=True)
class ObservedLevel(Stateful):
    """Reads blocks of what was observed and what the weeks before had, of the target and of what is outside it.

    A wet week has fewer cyclists, and that is no change. A ridge on the reference says how far the target leaves the
    weeks before when weather or calendar do; what it makes one expect is what the target is compared with. One set of
    coefficients serves all nodes.

    Attributes
    ----------
    relative : bool
        Whether they are compared as a ratio, as values that are never negative are; else as a difference.
    unit : ndarray of float, shape (node,)
        Of a ratio: what is added to both sides; of a difference: its deviation in the reference.
    spread, coefficients : ndarray of float, shape (variable,)
        Of what is outside: its deviation from the weeks before in the reference, and what one such deviation is worth.

    Examples
    --------
    >>> days = np.random.default_rng(0).uniform(90, 110, size=(60, 2, 1))
    >>> level = ObservedLevel.fit(days)
    >>> level.distances(level.standardised(np.array([[[60.0], [100.0]]]))).round(2).tolist()
    [[-0.48]]
    """

    relative: bool
    unit: np.ndarray
    spread: np.ndarray
    coefficients: np.ndarray

    kind = "level"

    @classmethod
    def fit(cls, means: np.ndarray) -> ObservedLevel:
        """From blocks (block, statistic, node) of a reference, see ``levels_of``. O(values × variables)."""
        seen, before = means[:, 0], means[:, 1]
        relative = not bool((means[:, :2] < 0).any())
        unit = FLOOR * mean_seen(before) if relative else mean_seen((seen - before - mean_seen(seen - before))**2)**0.5
        unit = np.where(np.isfinite(unit) & (unit > 0), unit, 1.0)
        outside = _outside(means)
        spread = np.sqrt(np.array([np.nanmean(one**2) if np.isfinite(one).any() else 0.0 for one in outside]))
        spread = np.where(spread > 0, spread, np.inf)  # what never moves says nothing
        plain = cls(relative, unit, spread, np.zeros(len(spread)))
        strayed = plain.distances(means[:, :2])
        strayed = strayed - mean_seen(strayed)
        rows = np.nan_to_num(outside / spread[:, None, None])[:, np.isfinite(strayed)]
        gram = rows @ rows.T + PENALTY * means.shape[2] * np.eye(len(rows))
        return replace(plain, coefficients=np.linalg.solve(gram, rows @ strayed[np.isfinite(strayed)]))

    @classmethod
    def crossed(cls, means: np.ndarray) -> np.ndarray:
        """Distances (block, node) of a reference's own blocks, every fifth week from the coefficients of the others."""
        whole = cls.fit(means)
        found = whole.distances(whole.standardised(means))
        fold = np.arange(len(means)) // RUN % FOLDS
        for number in np.unique(fold) if len(whole.spread) and len(means) > FOLDS * RUN else ():
            one = replace(whole, coefficients=cls.fit(means[fold != number]).coefficients)
            found[fold == number] = one.distances(one.standardised(means[fold == number]))
        return found

    @staticmethod
    def rows(levels: np.ndarray) -> np.ndarray:
        """What is averaged over a block of ``levels`` (time, statistic, node): those where the target's are known."""
        return np.asarray(np.where(np.isfinite(levels[:, :2]).all(axis=1, keepdims=True), levels, np.nan))

    def standardised(self, means: np.ndarray) -> np.ndarray:
        """What was observed and what was to be expected, (block, 2, node)."""
        off = np.einsum("v,vbn->bn", self.coefficients / self.spread, np.nan_to_num(_outside(means)))
        before = means[:, 1]
        expected = (np.maximum(before, 0.0) + self.unit) * np.exp(off) - self.unit if self.relative else (
            before + off * self.unit)
        return np.stack([means[:, 0], expected], axis=1)

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

    def effect(self, standardised: np.ndarray, distances: np.ndarray, age: int) -> Effect | None:
        """How far the last ``age`` blocks of a place lie off what was to be expected, beside the blocks before them, by
        what is ``standardised`` (block, 2) and its ``distances`` (block,). None where too little was seen.

        The interval is that of a difference of means, see ``half_width``. In simulation it held 84 to 90 % of changes.
        """
        now, before = (one[np.isfinite(one)] for one in (distances[-age:], distances[:-age]))
        expected = float(mean_seen(standardised[-age:])[1])
        if not len(now) or len(before) < FEWEST_BEFORE or not np.isfinite(expected) or (
                self.relative and expected <= 0):
            return None
        moved = float(now.mean() - before.mean())
        half = half_width(before, now)
        three = moved, moved - half, moved + half
        unit = float(np.mean(self.unit))
        if not self.relative:
            return Effect(three[0] * unit, three[1] * unit, three[2] * unit)
        share = [math.expm1(one) * (expected + unit) / expected for one in three]  # a ratio has the unit on both sides
        return Effect(share[0] * expected, share[1] * expected, share[2] * expected,
                      (100 * share[0], 100 * share[1], 100 * share[2]))

    def details(self, now: np.ndarray, before: np.ndarray, usual: np.ndarray, rank: float
                ) -> tuple[dict[str, object], str]:
        """That it is about the weeks before, and the direction, from the statistics (statistic,) of the window."""
        form = "weeks and weather" if self.coefficients.any() else "weeks before"
        return {"form": form}, "up" if now[0] > now[1] else "down"


def _outside(means: np.ndarray) -> np.ndarray:
    """How far what is outside the target leaves its weeks before, (variable, block, node)."""
    return np.asarray((means[:, 2::2] - means[:, 3::2]).transpose(1, 0, 2))


def levels_of(known: xr.DataArray, outside: xr.DataArray | None, times: np.ndarray, step: np.timedelta64,
              reach: np.timedelta64) -> np.ndarray:
    """What was observed and what the weeks before had, (time, statistic, node): of the target, then of each variable
    ``outside`` (time, variable, node) it. See ``against_weeks_before``."""
    found = [against_weeks_before(known, times, step, reach)]
    if outside is not None:
        found += [against_weeks_before(outside.sel(variable=name), times, step, reach)
                  for name in outside["variable"].values]
    return np.concatenate(found, axis=1)


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
