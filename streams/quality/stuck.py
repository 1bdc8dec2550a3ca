"""Stuck: a value that stands still for longer than the node's own past makes plausible.

Zeros of rain, of the night, and values at a detection limit stand still by nature: a node has its own longest
run at its floor, a variable that lies there most of the time is not judged at it, and a floor shared with the
neighbours is weather.
"""

from __future__ import annotations

import numpy as np

from streams.quality.found import Found
from streams.quality.neighbours import neighbour_median
from streams.quality.sight import Sight

MOSTLY_FLOOR = 0.5
STILL_SHARE = 0.05  # of the median change: what moves less does not move
NETWORK = 0.75  # a node's own longest run may be short by chance: no shorter than three in four nodes'


def stuck(sight: Sight) -> Found:
    """Values in a run longer than ``stuck_factor`` times the longest of the node's past."""
    run = sight.still_run
    if sight.usual is None:
        long = (run >= sight.rows(sight.settings.stuck_unknown, 12)) & (sight.values != 0.0)
    else:
        long = run >= _limits(sight)
        if long.any():
            long &= ~(_at_floor(sight) & _floor_is_natural(sight))
    rows = np.arange(len(run), dtype=np.int32)[:, None]
    return Found(long, rows - run + 1, sight.present)


def _limits(sight: Sight) -> np.ndarray:
    usual, factor = sight.known, sight.settings.stuck_factor
    shortest = sight.rows(sight.settings.stuck, 6)
    moving = np.maximum(np.ceil(factor * _not_below_network(usual.longest)) + 1, shortest)
    at_floor = np.maximum(np.ceil(factor * _not_below_network(usual.longest_floor)) + 1, shortest)
    return np.where(_at_floor(sight), at_floor, moving)


def _not_below_network(longest: np.ndarray) -> np.ndarray:
    known = longest[~np.isnan(longest)]
    if not len(known):
        return np.full(longest.shape, np.inf)
    common = np.quantile(known, NETWORK)
    return np.where(np.isnan(longest), common, np.maximum(longest, common))


def _at_floor(sight: Sight) -> np.ndarray:
    return np.asarray(sight.values <= sight.known.floor)


def _floor_is_natural(sight: Sight) -> np.ndarray:
    """Where standing at the floor says nothing: nearly always there, or the neighbours are there too."""
    usual = sight.known
    rows, columns = np.nonzero((sight.still_run >= 2) & _at_floor(sight))
    shared = np.zeros(sight.values.shape, bool)
    at_floor = np.where(sight.present, _at_floor(sight), np.nan).astype(np.float32)
    around = neighbour_median(at_floor, usual.neighbours) if len(rows) else at_floor
    shared[rows, columns] = around[rows, columns] >= 0.5
    return shared | (usual.floor_share > MOSTLY_FLOOR)


def longest_runs(run: np.ndarray, at_floor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The longest still run of each node above its floor and at it."""
    return (np.where(at_floor, 0, run).max(axis=0).astype(np.float64),
            np.where(at_floor, run, 0).max(axis=0).astype(np.float64))
