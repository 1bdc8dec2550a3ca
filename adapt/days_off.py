"""Days off: a holiday is expected, and is neither news nor a measure of what is normal.

Where people are counted, a holiday is as far from the weeks before as a strike. Left among the blocks that limits are
learnt from, ten of them a year widen every limit. So what the monitor compares leaves them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from terracast.adapt.monitoring.channels.covariate_shift import mean_seen
from terracast.adapt.monitoring.channels.observed_level import against_weeks_before
from terracast.adapt.monitoring.statistics.reference_scale import MAD_TO_DEVIATION
from terracast.stats.holidays import are_off
from terracast.streams.stateful import Stateful

DAY = np.timedelta64(1, "D").astype("timedelta64[ns]")
FEWEST_DAYS, FEWEST_OFF = 60, 3  # days known, and days off among them, from which on they can be told apart
MOST_NODES = 100  # whose days are compared
SURE, SURE_OF_MANY = 3.0, 6.0  # deviations of a mean of as many other days: of one country, of the best of many
FARTHEST = 5.0  # deviations that a day counts at most
TINY = 1e-9


@dataclass(frozen=True)
class DaysOff(Stateful):
    """The days off of a country, whole days of a time zone.

    >>> days = DaysOff("DE", "Europe/Berlin")
    >>> days.cover(np.array(["2024-12-23T22:00", "2024-12-23T23:00"], "datetime64[ns]")).tolist()
    [False, True]
    """

    country: str
    zone: str = "UTC"

    def cover(self, times: np.ndarray) -> np.ndarray:
        """Which instants (time,), UTC, lie in them."""
        return are_off(self.days(times), self.country)

    def left_out(self, values: xr.DataArray) -> xr.DataArray:
        """The same values (time, …), unknown on days off."""
        return values.where(xr.DataArray(~self.cover(values["time"].values), dims="time"))

    def days(self, times: np.ndarray) -> np.ndarray:
        """The day (datetime64[D]) of each instant (time,), UTC, in its zone."""
        stamps = pd.DatetimeIndex(times).tz_localize("UTC").tz_convert(self.zone).tz_localize(None)
        return stamps.to_numpy().astype("datetime64[D]")


def unlike_others(candidates: Sequence[DaysOff], known: xr.DataArray, step: np.timedelta64, history: np.timedelta64
                  ) -> DaysOff | None:
    """Those of the ``candidates``, all of one time zone, whose days off lie farthest off the weeks before.

    None where the past, ``known`` (time, node), does not show that they are unlike other days: then they are watched
    like any. Of many candidates one fits by chance sooner, so more is asked of it. O(values + candidates × days).
    """
    if not candidates or not known.sizes["time"]:
        return None
    means = _daily(known, candidates[0], step)
    days = means["time"].values
    seen, before = against_weeks_before(means, days, DAY, history).transpose(1, 0, 2)
    seen = np.where(np.isfinite(before), seen, np.nan)
    if not np.isfinite(seen).any():
        return None
    off = np.log((seen + TINY) / (before + TINY)) if np.nanmin(means.values) >= 0 else seen - before
    some = np.isfinite(off).any(axis=1)
    sizes = _sizes(off[some])
    evidence = [_evidence(sizes, are_off(days[some].astype("datetime64[D]"), one.country)) for one in candidates]
    best = int(np.argmax(evidence))
    return candidates[best] if evidence[best] >= (SURE if len(candidates) == 1 else SURE_OF_MANY) else None


def _daily(known: xr.DataArray, days: DaysOff, step: np.timedelta64) -> xr.DataArray:
    """Means of each day (time, node) of which half was seen, at every few nodes of many: a thousand say no more."""
    few = known.transpose("time", "node")[:, ::-(-known.sizes["node"] // MOST_NODES)]
    held = pd.DataFrame(few.values).groupby(days.days(few["time"].values))
    means = held.mean().where(held.count() >= max(1, int(DAY / step) // 2))
    return xr.DataArray(means.to_numpy(), {"time": means.index.to_numpy().astype("datetime64[ns]")}, ("time", "node"))


def _sizes(off: np.ndarray) -> np.ndarray:
    """How far each day (day, node) lies off the usual day, over the nodes, in deviations (day,)."""
    off = np.where(np.isfinite(off), off, np.nan)[:, np.isfinite(off).any(axis=0)]
    centred = off - np.nanmedian(off, axis=0)
    scale = MAD_TO_DEVIATION * np.nanmedian(np.abs(centred), axis=0)
    mean = mean_seen((centred / np.where(scale > 0, scale, np.nan)).T)
    if not np.isfinite(mean).any():  # no node ever moved
        return mean
    whole = MAD_TO_DEVIATION * np.nanmedian(np.abs(mean))
    return np.minimum(np.abs(mean) / (whole if whole > 0 else np.nan), FARTHEST)


def _evidence(sizes: np.ndarray, are: np.ndarray) -> float:
    """By how many deviations of a mean of so many other days the days that ``are`` off lie farther off; 0 where there
    are too few to say."""
    seen = np.isfinite(sizes)
    ours, others = sizes[seen & are], sizes[seen & ~are]
    if len(others) < FEWEST_DAYS or len(ours) < FEWEST_OFF:
        return 0.0
    return float((ours.mean() - others.mean()) / max(others.std(), TINY) * len(ours)**0.5)
