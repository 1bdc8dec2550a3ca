"""Take out what every series shares with the calendar: daily, weekly and annual cycle, and trend.

Two series that only share a season look linked. Removing the climatology's mean alone leaves a seasonal
variance, and a slow trend links everything, so all three leave at once: slow curve, seasonal mean and spread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from terracast.causal.preprocessing.detrend import slow_part
from terracast.causal.preprocessing.gaussianize import HEAVY, excess_kurtosis, normal_scores

TRANSFORMS = ("none", "log1p", "ranks", "normal")
_ROUNDS = 3  # of backfitting: curve and slot means are nearly orthogonal
_WAVES = 3  # a day's spread is pulled towards this many harmonics
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


def seasonal_spread(values: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Standard deviation of each row's slot, shape (time,), for ``values`` (time,) without mean; NaN-aware.

    A slot of n values knows its spread to 1/sqrt(2n) only: 40 days give 11 %, which would itself be a false season.
    So the log variances are pulled towards a smooth curve over the slots, by as much as their scatter around it
    looks like chance (empirical Bayes). Never below a tenth of the whole spread, so that hours in which nothing
    ever happens do not turn noise into signal. O(time + slots).

    >>> noise = np.random.default_rng(0).normal(size=24 * 40)
    >>> by_slot = noise.reshape(40, 24).std(axis=0)
    >>> bool(np.std(seasonal_spread(noise, np.arange(960) % 24)[:24]) < 0.8 * np.std(by_slot))
    True
    """
    seen = np.isfinite(values)
    count = int(slots.max()) + 1 if len(slots) else 1
    members = np.bincount(slots[seen], minlength=count).astype(float)
    square = np.bincount(slots[seen], values[seen] ** 2, minlength=count)
    whole = square.sum() / max(members.sum(), 1.0)
    used = (members >= 2) & (square > 0)
    if whole <= 0 or used.sum() < 2:
        return np.full(len(values), np.sqrt(max(whole, np.finfo(float).tiny)))
    logs = np.where(used, np.log(np.where(used, square, 1.0) / np.maximum(members, 1.0)), np.log(whole))
    chance = (2.0 + max(excess_kurtosis(values), -1.0)) / np.maximum(members, 2.0)
    waves = _waves(count)
    root = np.sqrt(np.where(used, 1.0 / chance, 0.0))
    smooth = waves @ np.linalg.lstsq(waves * root[:, None], logs * root, rcond=None)[0]
    own = max(0.0, float(((logs - smooth)[used] ** 2).mean() * used.sum() / max(used.sum() - waves.shape[1], 1)
                         - chance[used].mean()))
    pulled = smooth + np.where(used, own / (own + chance), 0.0) * (logs - smooth)
    return np.asarray(np.maximum(np.exp(0.5 * pulled), 0.1 * np.sqrt(whole))[slots])


def _waves(count: int) -> np.ndarray:
    """Constant and harmonics over the slots: of the day for 24 and more, none for weekdays."""
    if count < 24:
        return np.ones((count, 1))
    phase = 2 * np.pi * np.arange(count) / 24
    return np.stack([np.ones(count), *(wave(times * phase) for times in range(1, _WAVES + 1)
                                       for wave in (np.sin, np.cos))], axis=1)


def anomalies(values: np.ndarray, slots: np.ndarray, spacing: float) -> np.ndarray:
    """What is left of ``values`` (time,) without slow curve, seasonal mean and seasonal spread; gaps stay.

    ``spacing``: steps between the knots of the slow curve. Curve and slot means are fitted together by
    backfitting, then once more with the spread as weight. The slow curve may stand beside the season or swing with its
    spread (a slow rise of a day's amplitude): of the two the likelier is taken. O(time).

    >>> hours = np.arange(2400.0)
    >>> noise = np.random.default_rng(0).normal(size=2400)
    >>> left = anomalies(noise + hours / 300 + 5 * np.sin(hours * np.pi / 12), np.arange(2400) % 24, 720.0)
    >>> bool(np.corrcoef(left, noise)[0, 1] > 0.98)
    True
    """
    apart = _parted(values, slots, spacing, swings=False)
    along = _parted(values, slots, spacing, swings=True)
    return min((apart, along), key=_negative_log_likelihood)[0]


def _parted(values: np.ndarray, slots: np.ndarray, spacing: float, swings: bool) -> tuple[np.ndarray, np.ndarray]:
    """What is left, and the spread it was divided by; the slow curve ``swings`` with the spread, or does not."""
    spread = np.ones(len(values))
    for _ in range(2):
        mean, unit = np.zeros(len(values)), spread if swings else np.ones(len(values))
        for _ in range(_ROUNDS):
            curve = unit * slow_part((values - mean) / unit, spacing, unit / spread)
            mean = slot_statistics((values - curve)[:, None], slots)[0][:, 0]
        rest = values - curve - mean
        spread = seasonal_spread(rest, slots)
    return rest / spread, spread


def _negative_log_likelihood(parted: tuple[np.ndarray, np.ndarray]) -> float:
    """Negative log likelihood of a normal law a value, but for a constant."""
    rest, spread = parted
    seen = np.isfinite(rest)
    if not seen.any():
        return 0.0
    return float(np.log(spread[seen]).mean() + 0.5 * np.log(max(float(rest[seen].var()), 1e-300)))


def chosen_transform(values: np.ndarray) -> str:
    """The transform for a variable's values: ranks where many are zero, log1p where skewed and positive, normal
    scores where tails are heavy (excess kurtosis above 3).

    >>> chosen_transform(np.array([0.0, 0, 0, 0, 1, 9])), chosen_transform(np.arange(9.0) - 4)
    ('ranks', 'none')
    """
    seen = values[np.isfinite(values)]
    if not len(seen):
        return "none"
    if seen.min() < 0:
        return "normal" if excess_kurtosis(seen) > HEAVY else "none"
    if (seen == 0).mean() >= 0.2:
        return "ranks"
    spread = seen.std()
    skewness = ((seen - seen.mean()) ** 3).mean() / spread**3 if spread > 0 else 0.0
    if skewness > 1:
        return "log1p"
    return "normal" if excess_kurtosis(seen) > HEAVY else "none"


def transformed(values: np.ndarray, transform: str) -> np.ndarray:
    """Apply one of ``TRANSFORMS`` per column of (time, columns); ranks are shares up to 1, ties averaged."""
    if transform == "normal":
        return normal_scores(values)
    if transform == "log1p":
        return np.asarray(np.log1p(np.maximum(values, 0.0)))
    if transform == "ranks":
        return np.asarray(pd.DataFrame(values).rank(pct=True).to_numpy())
    return values
