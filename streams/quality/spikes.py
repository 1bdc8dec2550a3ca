"""Spikes: a value far from what the node's own last values and its neighbours let expect."""

from __future__ import annotations

import numpy as np

from streams.quality.found import Cells, Found
from streams.quality.sight import Sight
from streams.quality.stuck import MOSTLY_FLOOR
from streams.quality.windows import nan_median, shifted

PAST = 3  # last values of the node; their median does not echo one spike
SHARED = 0.5  # a jump of which the neighbours make this share is weather


def spike(sight: Sight) -> Found:
    """Jumps beyond ``spike_deviations`` and beyond ``spike_factor`` times the largest of the past.

    A jump that stays (the next two values lie with it) was a step and no spike: the flag is taken back then.
    """
    usual = sight.known
    jump = jumps(sight)
    with np.errstate(invalid="ignore"):
        limit = np.maximum(sight.settings.spike_deviations, sight.settings.spike_factor * usual.spike)
        mask = (np.abs(jump) > limit) & (usual.floor_share <= MOSTLY_FLOOR) & ~_shared(sight)
    return Found(mask, cleared=_stayed(sight, mask, jump))


def jumps(sight: Sight) -> np.ndarray:
    """How far each value lies from where it was expected, in robust deviations of the node's innovations."""
    surprise = np.clip(sight.surprise, -1e4, 1e4)
    memory = np.nan_to_num(sight.known.memory).astype(np.float32)
    innovation = surprise - memory * np.nan_to_num(_recent(surprise))
    return innovation / np.sqrt(np.maximum(1 - memory**2, 0.04))


def _recent(values: np.ndarray) -> np.ndarray:
    return nan_median(np.stack([shifted(values, back) for back in range(1, PAST + 1)]), axis=0)


def _shared(sight: Sight) -> np.ndarray:
    """Where the neighbours have jumped the same way."""
    own = sight.anomalies - np.nan_to_num(_recent(sight.anomalies))
    theirs = sight.around - _recent(sight.around)
    with np.errstate(invalid="ignore"):
        return np.asarray((own * theirs > 0) & (np.abs(theirs) > SHARED * np.abs(own)))


def _stayed(sight: Sight, mask: np.ndarray, jump: np.ndarray) -> Cells:
    rows, columns = np.nonzero(mask)
    judged = rows + 2 < len(mask)
    rows, columns = rows[judged], columns[judged]
    size = np.abs(jump[rows, columns]) / 2
    stays = np.ones(len(rows), bool)
    for ahead in (1, 2):
        moved = np.abs(sight.surprise[rows + ahead, columns] - sight.surprise[rows, columns])
        stays &= moved < size  # NaN, no value: not judged
    return rows[stays], columns[stays], rows[stays] + 2
