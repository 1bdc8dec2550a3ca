"""How much: a change in the data's own units and in percent, beside the same hours of the weeks before.

A forecaster follows a new level within a day, so its errors cannot say for long how large a change was. The weeks
before can: each value since the onset is compared with the mean of the same hour of the week (of the same hour of the
day, where there are less than two weeks; of all values, where a step is a day or more and weeks do not repeat).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.stats.calendar import DAY, WEEK
from terracast.streams.stateful import Stateful

WEEKS = 4  # compared with
FEWEST_DAYS = 3  # with values before the onset
ENOUGH_DAYS = 7  # since the onset, from which on their own spread counts: what grew may vary more, too
CERTAIN = 1.645  # deviations of the 90 % interval
MOST_ALIKE = 0.9  # autocorrelation of days that is still believed


@dataclass(frozen=True)
class Effect(Stateful):
    """Mean difference to the weeks before, in the data's units, with its 90 % interval.

    Attributes
    ----------
    amount, low, high : float
        Units of the data; positive: higher than before.
    percent : tuple of float, optional
        The same three in percent of what the weeks before had; None where values are not all positive (a percentage
        of degrees says nothing).
    """

    amount: float
    low: float
    high: float
    percent: tuple[float, float, float] | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0

    def to_json(self) -> dict[str, object]:
        """As a program reads it."""
        return {"amount": self.amount, "low": self.low, "high": self.high,
                "percent": None if self.percent is None else list(self.percent)}


def effect_since(onset: np.datetime64, times: np.ndarray, values: np.ndarray) -> Effect | None:
    """What changed at the ``onset``, on average over the columns.

    Parameters
    ----------
    onset : datetime64
        The first instant of the change.
    times : ndarray of datetime64, shape (time,)
        Rising and evenly spaced. Only the last ``WEEKS`` weeks before the onset count.
    values : ndarray of float, shape (time, node)
        Of the nodes that changed; NaN: not observed.

    Returns
    -------
    Effect or None
        None where less than ``FEWEST_DAYS`` days were observed before the onset, or nothing after it.

    Notes
    -----
    The interval is that of a difference of means of days (Welch): from the variance of the days before the onset and,
    from a week on, of those since, over their numbers, times (1 + r) / (1 − r) for their autocorrelation r. O(values).

    Examples
    --------
    >>> times = np.datetime64("2024-01-01", "ns") + np.arange(24 * 35) * np.timedelta64(1, "h")
    >>> noise = np.random.default_rng(0).normal(size=len(times))
    >>> counts = 100 + 50 * np.sin(np.arange(len(times)) * np.pi / 12) + noise
    >>> counts[24 * 30:] *= 0.6
    >>> found = effect_since(times[24 * 30], times, counts[:, None])
    >>> round(found.percent[0]), round(found.amount), found.is_clear
    (-40, -40, True)
    """
    stamps = times.astype("datetime64[ns]").astype(np.int64)
    begins = int(onset.astype("datetime64[ns]").astype(np.int64))
    step = int(np.median(np.diff(stamps))) if len(stamps) > 1 else DAY
    rows = stamps >= begins - WEEKS * WEEK
    stamps, values = stamps[rows], np.asarray(values, float)[rows]
    after = stamps >= begins
    expected = _expected(stamps, values, after, step)
    days = np.unique(stamps // max(DAY, step), return_inverse=True)[1]
    seen = np.isfinite(values) & np.isfinite(expected)
    off, base = (_by_day(one, seen, days) for one in (values - expected, expected))
    late = np.zeros(len(off), bool)
    late[days[after]] = True
    late &= ~np.isin(np.arange(len(off)), days[~after])  # the day of the onset belongs to both
    before, since = off[~late & np.isfinite(off)], off[late & np.isfinite(off)]
    if len(before) < FEWEST_DAYS or not len(since):
        return None
    amount, half = float(since.mean()), half_width(before, since)
    usual = float(np.nanmean(base[late]))
    lowest = np.nanmin(values) if np.isfinite(values).any() else np.nan
    told = amount, amount - half, amount + half
    share = 100 / usual if lowest >= 0 and usual > 0 else None
    return Effect(*told, None if share is None else (share * told[0], share * told[1], share * told[2]))


def half_width(before: np.ndarray, since: np.ndarray) -> float:
    """Half of the 90 % interval of a difference of means of days (Welch), for days that remember each other.

    Parameters
    ----------
    before, since : ndarray of float, shape (day,)
        Means of days before and since the onset, all seen.

    Examples
    --------
    >>> draws = np.random.default_rng(0)
    >>> 0.5 < half_width(draws.normal(size=40), draws.normal(size=5)) < 1.0
    True
    """
    alike = float(np.clip(np.nan_to_num(np.corrcoef(before[:-1], before[1:])[0, 1]), 0.0, MOST_ALIKE)) if (
        len(before) > FEWEST_DAYS and before.std() > 0) else 0.0
    each = (before, since if len(since) >= ENOUGH_DAYS else before)
    variance = sum(float(one.var(ddof=1)) / days for one, days in zip(each, (len(before), len(since)), strict=True))
    return CERTAIN * float(((1 + alike) / (1 - alike) * variance) ** 0.5)


def _expected(stamps: np.ndarray, values: np.ndarray, after: np.ndarray, step: int) -> np.ndarray:
    """What the rows before the onset make one expect of each row, (time, node); a row before it is left out of its
    own expectation, else what it strays from it would look too small."""
    span = int(stamps[~after][-1] - stamps[~after][0]) if (~after).any() else 0
    season = WEEK if step < WEEK and span >= 2 * WEEK else DAY if step < DAY else step
    phase = np.unique(stamps % season // step, return_inverse=True)[1]
    seen = np.isfinite(values) & ~after[:, None]
    sums = np.zeros((int(phase.max(initial=0)) + 1, values.shape[1]))
    counts = np.zeros(sums.shape)
    np.add.at(sums, phase, np.where(seen, values, 0.0))
    np.add.at(counts, phase, seen)
    others = counts[phase] - seen
    total = sums[phase] - np.where(seen, values, 0.0)
    return np.where(others > 0, total / np.maximum(others, 1), np.nan)


def _by_day(values: np.ndarray, seen: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Mean over the seen values of each day, (day,); NaN where there is none."""
    count = int(days.max(initial=-1)) + 1
    sums = np.bincount(days, np.where(seen, values, 0.0).sum(axis=1), count)
    counts = np.bincount(days, seen.sum(axis=1), count)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
