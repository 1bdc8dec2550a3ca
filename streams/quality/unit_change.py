"""Change of unit: values that make no sense as declared and much sense in a unit that it is mistaken for."""

from __future__ import annotations

import numpy as np

from terracast.streams.quality.check_context import CLIP, CheckContext
from terracast.streams.quality.found import Found, nothing_found, onset
from terracast.streams.quality.stuck import MOSTLY_FLOOR
from terracast.streams.quality.units import Alternative
from terracast.streams.quality.windows import nan_median, trailing_mean

EXPLAINED = 2.5  # mean absolute deviation that may be left after undoing the unit
STILL = 4  # values in a still run say nothing about the unit
MOST_OF_WAY = 1.5
RECENT = 3  # rows that must still speak for it


def unit_change(whole: CheckContext) -> Found:
    """Values that a known other unit explains better, by more than ``unit_factor`` times what the past shows.

    Evidence of a cell: by how many deviations undoing the unit brings it nearer to what hour and neighbours
    let expect. Judged on its mean over ``unit_window``; the first values are known to be of it only later.
    """
    window = whole.rows(whole.settings.unit_window, 12)
    sight = whole.last(2 * window)
    best = nothing_found(sight.values.shape)
    for at, one in enumerate(sight.alternatives):
        cell, left = evidence(sight, one)
        past = sight.known.unit[at] if len(sight.known.unit) > at else np.inf
        with np.errstate(invalid="ignore"):
            limit = np.maximum(sight.settings.unit_evidence, past)
            mask = (trailing_mean(cell, window, window // 2) > limit) & (
                trailing_mean(cell, RECENT) > 0) & (trailing_mean(left, window, window // 2) < EXPLAINED)
            mask &= sight.present & (sight.known.floor_share <= MOSTLY_FLOOR)
        if mask.any():
            since = onset(cell, mask, 2 * window)
            if best.since is not None:
                since = np.where(best.mask & (~mask | (best.since < since)), best.since, since)
            best = Found(best.mask | mask, since, sight.present)
    return best.below(len(whole.values) - len(best.mask))


def evidence(sight: CheckContext, one: Alternative) -> tuple[np.ndarray, np.ndarray]:
    """How much nearer undoing the unit brings each value, and how far it then still is, in deviations."""
    with np.errstate(over="ignore", invalid="ignore"):
        undone = (sight.standardised(one.undone(sight.values)) - sight.expected) / sight.known.noise
        left = np.minimum(np.abs(undone), CLIP)
        nearer = np.minimum(np.abs(sight.innovation), CLIP) - left
    return np.where(sight.still_run < STILL, nearer, np.nan), left


def past_evidence(sight: CheckContext) -> np.ndarray:
    """The limit of each alternative's mean evidence, (alternative, node), from the past.

    In the past undoing the unit made things worse, by some amount; for a real change of unit it makes them
    better by about the same (less where values become nearly nothing, so the way is bounded). The limit lies
    ``unit_share`` of that way up, and ``unit_factor`` times the past's highest.
    """
    window = sight.rows(sight.settings.unit_window, 12)
    limits = []
    for one in sight.alternatives:
        mean = trailing_mean(evidence(sight, one)[0], window, window // 2)
        highest = np.max(np.where(np.isnan(mean), -np.inf, mean), axis=0, initial=-np.inf)
        way = np.minimum(-sight.settings.unit_share * nan_median(mean), MOST_OF_WAY)
        limits.append(np.maximum(sight.settings.unit_factor * highest, way))
    return np.array(limits).reshape(len(limits), sight.values.shape[1])
