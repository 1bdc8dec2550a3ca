"""Clock shift: a station whose stamps run ahead or behind, seen against its neighbours or its own daily cycle."""

from __future__ import annotations

import numpy as np
import pandas as pd

from streams.quality.found import Found, nothing_found, onset
from streams.quality.sight import CLIP, Sight
from streams.quality.stuck import MOSTLY_FLOOR
from streams.quality.windows import nan_median, shifted, trailing_mean

RECENT_SHARE = 7  # the last seventh of the window must still speak for it


def shifts(sight: Sight) -> tuple[int, ...]:
    """Shifts looked for, in rows; none for steps of more than two hours."""
    step = pd.Timedelta(sight.step)
    if step > pd.Timedelta("2h"):
        return ()
    each = max(1, round(pd.Timedelta("1h") / step))
    return tuple(sign * hours * each for hours in range(1, sight.settings.clock_hours + 1) for sign in (1, -1))


def clock_shift(sight: Sight) -> Found:
    """Values that fit what was expected an hour or more earlier or later better than their own hour.

    Judged on the mean evidence over ``clock_window`` against ``clock_factor`` times the past's largest. The
    first values of a shift are known to be of it only later.
    """
    found = nothing_found(sight.values.shape)
    window, past = sight.rows(sight.settings.clock_window, 48), sight.known.clock
    recent = max(6, window // RECENT_SHARE)
    for at, shift in enumerate(shifts(sight)):
        cell = evidence(sight, shift)
        with np.errstate(invalid="ignore"):
            limit = _limit(past[at], sight.settings.clock_factor)
            mask = (trailing_mean(cell, window, window // 2) > limit) & (trailing_mean(cell, recent) > 0)
            mask &= sight.present & (sight.known.floor_share <= MOSTLY_FLOOR)
        if mask.any():
            since = onset(cell, mask, window)
            if found.since is not None:
                since = np.where(found.mask & (~mask | (found.since < since)), found.since, since)
            found = Found(found.mask | mask, since, sight.present)
    return found


def _limit(past: np.ndarray, factor: float) -> np.ndarray:
    return np.asarray(past)


def evidence(sight: Sight, shift: int) -> np.ndarray:
    """By how much a shift of so many rows (positive: the stamps run ahead) explains each value better.

    Both errors are whitened by the memory of the node's surprises, so that hours count one by one.
    """
    usual = sight.known
    observed, expected = _observed(sight), _expected(sight)
    with np.errstate(invalid="ignore"):
        own = _innovation(observed - expected, usual.memory)
        if shift > 0:
            moved = observed - shifted(expected, shift)
        else:
            moved = shifted(observed, -shift) - expected
        return (np.minimum(np.abs(own), CLIP) - np.minimum(np.abs(_innovation(moved, usual.memory)), CLIP)
                ) / usual.noise


def _observed(sight: Sight) -> np.ndarray:
    """Values in the node's robust deviations, the hour's median not taken off."""
    from streams.quality.sight import day_class
    return sight.anomalies + (sight.known.profile / sight.known.scale)[day_class(sight.time, sight.step)]


def _expected(sight: Sight) -> np.ndarray:
    from streams.quality.sight import day_class
    return sight.expected + (sight.known.profile / sight.known.scale)[day_class(sight.time, sight.step)]


def _innovation(error: np.ndarray, memory: np.ndarray) -> np.ndarray:
    return error - np.nan_to_num(memory).astype(np.float32) * shifted(error, 1)


def past_evidence(sight: Sight) -> np.ndarray:
    """Centre and spread of the window's mean evidence in the past, as the limit per (shift, node)."""
    window = sight.rows(sight.settings.clock_window, 48)
    limits = []
    for shift in shifts(sight):
        mean = trailing_mean(evidence(sight, shift), window, window // 2)
        middle = nan_median(mean)
        highest = np.max(np.where(np.isnan(mean), -np.inf, mean), axis=0, initial=-np.inf)
        limits.append(middle + sight.settings.clock_factor * (highest - middle))
    return np.array(limits).reshape(len(limits), sight.values.shape[1])
