"""Clock shift: a station whose stamps run ahead or behind, seen against its neighbours or its own daily
cycle.

A clock belongs to the station: the evidence of all its variables is also put together, as an hour's shift of
one noisy variable can often not be told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from terracast.streams.quality.check_context import CheckContext, day_class
from terracast.streams.quality.found import Found, nothing_found, onset
from terracast.streams.quality.settings import QualitySettings
from terracast.streams.quality.stuck import MOSTLY_FLOOR
from terracast.streams.quality.windows import nan_median, shifted, trailing_mean

MOST = 2.5  # deviations that one hour may count for: a spike says nothing about the clock
STILL = 4  # nor does a still run
CHANCE = 4.5  # standard errors: many nodes, shifts and hours are looked at
ENOUGH_NEIGHBOURS = 4
ENOUGH_WINDOWS = 6
RECENT_SHARE = 7  # the last seventh of the window must still speak for it


def shifts(step: np.timedelta64, settings: QualitySettings) -> tuple[int, ...]:
    """Shifts looked for, in rows; none for steps of more than two hours.

    >>> shifts(np.timedelta64(1, "h"), QualitySettings(clock_hours=1))
    (1, -1)
    """
    if pd.Timedelta(step) > pd.Timedelta("2h"):
        return ()
    each = max(1, round(pd.Timedelta("1h") / pd.Timedelta(step)))
    return tuple(sign * hours * each for hours in range(1, settings.clock_hours + 1) for sign in (1, -1))


def clock_shift(sights: Mapping[str, CheckContext], together: np.ndarray) -> dict[str, Found]:
    """Values that fit what was expected an hour or more earlier or later better than their own hour.

    Judged on the mean evidence over ``clock_window``: a variable's own beyond its own limit, or that of all
    variables beyond ``together`` (shift, node), where the variable does not speak against it. The first
    values of a shift are known to be of it only later.
    """
    found = {name: nothing_found(sight.values.shape) for name, sight in sights.items()}
    some = next(iter(sights.values()))
    window = some.rows(some.settings.clock_window, 48)
    for at, shift in enumerate(shifts(some.step, some.settings)):
        cells = {name: evidence(sight, shift) for name, sight in sights.items()}
        all_mean = trailing_mean(pooled([*cells.values()]), window, window // 2, some.first)
        with np.errstate(invalid="ignore"):
            station = all_mean > np.maximum(together[at], some.settings.clock_evidence)
        for name, sight in sights.items():
            mask = _shift_mask(sight, cells[name], sight.known.clock[at], station, window)
            if mask.any():
                found[name] = _joined(found[name], mask, onset(cells[name], mask, 2 * window), sight.present)
    return found


def _shift_mask(sight: CheckContext, cell: np.ndarray, limit: np.ndarray, station: np.ndarray,
                window: int) -> np.ndarray:
    mean = trailing_mean(cell, window, window // 2, sight.first)
    recent = trailing_mean(cell, max(6, window // RECENT_SHARE), 1, sight.first)
    with np.errstate(invalid="ignore"):
        own = mean > np.maximum(limit, sight.settings.clock_evidence)
        mask = (own | (station & (mean > 0))) & (recent > 0)
    return mask & sight.present & (sight.known.floor_share <= MOSTLY_FLOOR)


def _joined(found: Found, mask: np.ndarray, since: np.ndarray, only: np.ndarray) -> Found:
    if found.since is not None:
        since = np.where(found.mask & (~mask | (found.since < since)), found.since, since)
    return Found(found.mask | mask, since, only)


def evidence(sight: CheckContext, shift: int) -> np.ndarray:
    """By how much a shift of so many rows (positive: the stamps run ahead) explains each value better."""
    usual = sight.known
    daily = (usual.profile / usual.scale)[day_class(sight.time, sight.step)]
    observed, expected = sight.anomalies + daily, sight.expected + daily
    with np.errstate(invalid="ignore"):
        moved = observed - shifted(expected, shift) if shift > 0 else shifted(observed, -shift) - expected
        unmoved = _bounded(sight.innovation - sight.persistent_shift)
        better = unmoved - _bounded(moved / usual.noise - sight.persistent_shift)
    return np.where(sight.still_run < STILL, better, np.nan).astype(np.float32)


def pooled(cells: Sequence[np.ndarray]) -> np.ndarray:
    """The sum of the variables' evidence; NaN where none has any."""
    total, seen = np.zeros_like(cells[0]), np.zeros(cells[0].shape, bool)
    for cell in cells:
        valid = ~np.isnan(cell)
        total += np.where(valid, cell, np.float32(0.0))
        seen |= valid
    return np.where(seen, total, np.float32(np.nan))


def _bounded(error: np.ndarray) -> np.ndarray:
    return np.minimum(np.abs(error), MOST)


def limit_from_past(cell: np.ndarray, window: int, settings: QualitySettings, neighbours: np.ndarray) -> np.ndarray:
    """The limit of a shift's mean evidence, (node,), from the past's evidence.

    In the past a shift made things worse, by some amount; a real one makes them better by about the same
    amount. The limit lies ``clock_share`` of that way up, and ``clock_factor`` times the past's own swing
    above its middle, which must be more than the mean of a window does by chance. ``neighbours`` (node,): how many a
    node has. Without ``ENOUGH_NEIGHBOURS`` slow noise looks like a shift, and a past of less than ``ENOUGH_WINDOWS``
    windows has not shown its own swing: then only overwhelming evidence counts, and none where both are so.
    """
    lonely, young = neighbours < ENOUGH_NEIGHBOURS, (~np.isnan(cell)).sum(axis=0) < ENOUGH_WINDOWS * window
    few = lonely | young
    factor = np.where(few, settings.clock_few_factor, settings.clock_factor)
    wanted = np.where(few, settings.clock_few_share, settings.clock_share)
    mean = trailing_mean(cell, window, window // 2)
    middle = nan_median(mean)
    highest = np.max(np.where(np.isnan(mean), -np.inf, mean), axis=0, initial=-np.inf)
    swing = factor * (highest - middle)
    chance = CHANCE * np.nan_to_num(_spread(cell)) / np.sqrt(window)
    limit = np.maximum(middle + np.maximum(swing, chance), -wanted * middle)
    return np.where(lonely & young, np.inf, limit)


def _spread(cell: np.ndarray) -> np.ndarray:
    valid = ~np.isnan(cell)
    count = np.maximum(valid.sum(axis=0), 1)
    filled = np.where(valid, cell, 0.0).astype(np.float64)
    return np.sqrt(np.maximum((filled**2).sum(axis=0) / count - (filled.sum(axis=0) / count) ** 2, 0.0))
