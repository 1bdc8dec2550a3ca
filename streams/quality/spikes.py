"""Spikes: a value far from what the node's own last values and its neighbours let expect."""

from __future__ import annotations

import numpy as np

from terracast.streams.quality.check_context import CheckContext, day_class
from terracast.streams.quality.found import Cells, Found
from terracast.streams.quality.stuck import MOSTLY_FLOOR
from terracast.streams.quality.windows import nan_median, nan_quantile, shifted

PAST = 3  # last values of the node; their median does not echo one spike
SHARED = 0.5  # a jump of which the neighbours make this share is weather
PLAIN = 3  # how much nearer to the plain scale than elsewhere jumps are measured
LARGEST = 0.9995


def spike(whole: CheckContext) -> Found:
    """Jumps beyond ``spike_deviations`` and beyond ``spike_factor`` times what the past's largest that way
    were.

    One value later more is known: a smaller jump that goes right back is a spike after all, as few natural
    ones do; two values later a jump that stays was a step and no spike, and its flag is taken back.
    """
    sight = whole.last(2 * PAST + 2)
    usual, least = sight.known, sight.settings.spike_deviations
    innovation = plain_innovation(sight)
    jump, peak = jumps(sight, innovation), peaks(innovation)
    with np.errstate(invalid="ignore"):
        up, down = np.maximum(least, sight.settings.spike_factor * usual.spike[:2])
        back = np.maximum(least, sight.settings.peak_factor * usual.spike[2])
        possible = (usual.floor_share <= MOSTLY_FLOOR) & ~_shared(sight)
        mask = ((jump > up) | (-jump > down)) & possible
        raised = (peak > back) & ~mask & possible
    rows, columns = np.nonzero(raised[:-1])
    return Found(mask, raised=(rows, columns, rows + 1), cleared=_stayed(innovation, mask, jump)
                 ).below(len(whole.values) - len(mask))


def plain_innovation(sight: CheckContext) -> np.ndarray:
    """How far each value lies from the expected one, in the deviations that are usual at the expected level.

    Measured on log(1 + x / offset) with a larger offset than elsewhere: a spike up from nearly nothing must
    not be pressed together with the usual unrest near nothing.
    """
    usual = sight.known
    if not usual.offset:
        return np.clip(sight.innovation, -1e4, 1e4)
    daily = usual.profile[day_class(sight.time, sight.step)]
    with np.errstate(over="ignore", invalid="ignore"):
        level = np.expm1(np.clip(daily + sight.expected * usual.scale, 0.0, 50.0)) * usual.offset
        offset = usual.offset * PLAIN
        width = usual.scale * usual.noise * (usual.offset + level) / (offset + level)
        moved = np.log1p(np.maximum(sight.values, 0.0) / offset) - np.log1p(level / offset)
        return np.clip(moved / width, -1e4, 1e4).astype(np.float32)


def jumps(sight: CheckContext, innovation: np.ndarray) -> np.ndarray:
    """How far each value lies from where the last ones let expect it, in robust deviations of that."""
    memory = np.nan_to_num(sight.known.memory).astype(np.float32)
    innovation = innovation - memory * np.nan_to_num(_recent(innovation))
    return innovation / np.sqrt(np.maximum(1 - memory**2, 0.04))


def peaks(innovation: np.ndarray) -> np.ndarray:
    """By how much each value stands out from both the last values before and the next one; 0 where it does
    not.

    >>> peaks(np.array([[0.0], [5.0], [1.0], [1.0]])).ravel().tolist()[1:3]
    [4.0, 0.0]
    """
    before = innovation - _recent(innovation)
    after = np.concatenate([innovation[:-1] - innovation[1:],
                            np.full((1, innovation.shape[1]), np.nan, innovation.dtype)])
    with np.errstate(invalid="ignore"):
        return np.where(before * after > 0, np.minimum(np.abs(before), np.abs(after)), 0.0)


def past_jumps(sight: CheckContext) -> np.ndarray:
    """The past's largest jumps up, down, and there and back; (3, node)."""
    innovation = plain_innovation(sight)
    jump = jumps(sight, innovation)
    return np.stack([nan_quantile(one, LARGEST) for one in (jump, -jump, peaks(innovation))])


def _recent(values: np.ndarray) -> np.ndarray:
    return nan_median(np.stack([shifted(values, back) for back in range(1, PAST + 1)]), axis=0)


def _shared(sight: CheckContext) -> np.ndarray:
    """Where the neighbours have jumped the same way."""
    own = sight.anomalies - np.nan_to_num(_recent(sight.anomalies))
    theirs = sight.neighbour_median - _recent(sight.neighbour_median)
    with np.errstate(invalid="ignore"):
        return np.asarray((own * theirs > 0) & (np.abs(theirs) > SHARED * np.abs(own)))


def _stayed(innovation: np.ndarray, mask: np.ndarray, jump: np.ndarray) -> Cells:
    rows, columns = np.nonzero(mask)
    judged = rows + 2 < len(mask)
    rows, columns = rows[judged], columns[judged]
    size = np.abs(jump[rows, columns]) / 2
    stays = np.ones(len(rows), bool)
    for ahead in (1, 2):
        moved = np.abs(innovation[rows + ahead, columns] - innovation[rows, columns])
        stays &= moved < size  # NaN, no value: not judged
    return rows[stays], columns[stays], rows[stays] + 2
