"""Take out what every series shares with the calendar: daily, weekly and annual cycle, and trend.

Two series that only share a season look linked. Removing the climatology's mean alone leaves a seasonal
variance, and a slow trend links everything, so all three leave: running median, climatology mean and spread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

TRANSFORMS = ("none", "log1p", "ranks")
_WEEKDAYS_FROM = 26  # weeks of data that give every hour of the week a spread worth dividing by
_DAY_TYPES_FROM = 8
_CYCLES_FROM = 5


@dataclass(frozen=True)
class Calendar:
    """Which rows share a slot of the season: ``slots`` of shape (time,), and ``words`` that say how."""

    slots: np.ndarray
    words: str


def calendar(time: np.ndarray, step: pd.Timedelta) -> Calendar:
    """Slots by hour of day (with the weekday where data are long enough); none for too few cycles.

    >>> hours = pd.date_range("2020-01-01", periods=24 * 10, freq="h").values
    >>> calendar(hours, pd.Timedelta("1h")).words
    'hour of day'
    """
    stamps = pd.DatetimeIndex(time)
    weeks = (stamps[-1] - stamps[0] + step) / pd.Timedelta(days=7)
    hour = np.asarray(stamps.hour)
    weekday = np.asarray(stamps.day_of_week)
    if step < pd.Timedelta(days=1):
        if step <= pd.Timedelta(hours=1) and weeks >= _WEEKDAYS_FROM:
            return Calendar(hour + 24 * weekday, "hour of day and weekday")
        if step <= pd.Timedelta(hours=1) and weeks >= _DAY_TYPES_FROM:
            return Calendar(hour + 24 * (weekday >= 5), "hour of day on workdays and weekends")
        if 7 * weeks >= _CYCLES_FROM:
            return Calendar(hour, "hour of day")
    elif step == pd.Timedelta(days=1) and weeks >= _DAY_TYPES_FROM:
        return Calendar(weekday, "weekday")
    return Calendar(np.zeros(len(stamps), dtype=int), "")


def slot_statistics(values: np.ndarray, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each row's slot, both of shape (time, columns); NaN-aware. O(values)."""
    count = int(slots.max()) + 1 if len(slots) else 0
    seen = np.isfinite(values)
    filled = np.where(seen, values, 0.0)
    members = np.zeros((count, values.shape[1]))
    np.add.at(members, slots, seen)
    total = np.zeros_like(members)
    np.add.at(total, slots, filled)
    mean = np.divide(total, members, out=np.zeros_like(total), where=members > 0)
    square = np.zeros_like(members)
    np.add.at(square, slots, np.where(seen, values - mean[slots], 0.0) ** 2)
    spread = np.sqrt(np.divide(square, members, out=np.zeros_like(square), where=members > 0))
    return mean[slots], spread[slots]


def without_season(values: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Subtract each slot's mean and divide by its spread; ``values`` has shape (time, columns).

    A slot's spread is held above a tenth of the column's own, so that hours in which nothing ever happens
    do not turn noise into signal.

    >>> day = np.array([[0.0], [10.0], [2.0], [14.0]])
    >>> without_season(day, np.array([0, 1, 0, 1])).ravel().tolist()
    [-1.0, -1.0, 1.0, 1.0]
    """
    mean, spread = slot_statistics(values, slots)
    whole = np.sqrt(np.nanmean(np.where(np.isfinite(values), (values - mean) ** 2, np.nan), axis=0))
    floor = np.maximum(0.1 * whole, np.finfo(float).tiny)
    return np.asarray((values - mean) / np.maximum(spread, floor))


def without_slow_part(values: np.ndarray, time: np.ndarray, window: pd.Timedelta) -> np.ndarray:
    """Subtract a centred running median over ``window`` from each column; gaps stay. O(time x log window)."""
    frame = pd.DataFrame(values, index=pd.DatetimeIndex(time))
    rows = max(3, int(window / (frame.index[1] - frame.index[0]))) if len(frame) > 1 else 3
    slow = frame.rolling(rows, center=True, min_periods=max(2, rows // 8)).median()
    return np.asarray((frame - slow.fillna(frame.median())).to_numpy())


def chosen_transform(values: np.ndarray) -> str:
    """The transform for a variable's values: ranks where many are zero, log1p where skewed and positive.

    >>> chosen_transform(np.array([0.0, 0, 0, 0, 1, 9])), chosen_transform(np.arange(9.0) - 4)
    ('ranks', 'none')
    """
    seen = values[np.isfinite(values)]
    if not len(seen) or seen.min() < 0:
        return "none"
    if (seen == 0).mean() >= 0.2:
        return "ranks"
    spread = seen.std()
    skewness = ((seen - seen.mean()) ** 3).mean() / spread**3 if spread > 0 else 0.0
    return "log1p" if skewness > 1 else "none"


def transformed(values: np.ndarray, transform: str) -> np.ndarray:
    """Apply one of ``TRANSFORMS`` per column of (time, columns); ranks are shares up to 1, ties averaged."""
    if transform == "log1p":
        return np.asarray(np.log1p(np.maximum(values, 0.0)))
    if transform == "ranks":
        return np.asarray(pd.DataFrame(values).rank(pct=True).to_numpy())
    return values
