"""Stuck: a value that stands still for longer than the node's own past makes plausible.

Zeros of rain, of the night, and values at a detection limit stand still by nature: a node has its own longest
run at its floor, a node that keeps coming back to it is not judged at it, and a floor shared with the neighbours is
weather. A node that shows nothing but one value has no such past: zeros tell of its sensor, unless they are ordinary at
other nodes, or for the quantity.
"""

from __future__ import annotations

import numpy as np

from terracast.streams.quality.check_context import CheckContext
from terracast.streams.quality.found import Found
from terracast.streams.quality.neighbours import neighbour_median

MOSTLY_FLOOR = 0.5
STILL_SHARE = 0.05  # of the median change: what moves less does not move
ALWAYS = 1.0  # of the past: a node that never left one value has shown nothing else
ORDINARY = 0.01  # share of zeros at the other nodes from which on they are ordinary
NETWORK = 0.75  # a node's own longest run may be short by chance: no shorter than three in four nodes'


def stuck(sight: CheckContext) -> Found:
    """Values in a run longer than ``stuck_factor`` times the longest of the node's past."""
    run = sight.still_run
    if sight.usual is None:
        long = run >= sight.rows(sight.settings.stuck_unknown, 12)
        long &= (sight.values != 0.0) | _zeros_are_odd(sight)
    else:
        long = run >= _limits(sight)
        if long.any():
            long &= ~_is_natural(sight)
    rows = np.arange(len(run), dtype=np.int32)[:, None]
    return Found(long, rows - run + 1, sight.present)


def _limits(sight: CheckContext) -> np.ndarray:
    usual, settings = sight.known, sight.settings
    shown = usual.floor_share < ALWAYS
    unknown = sight.rows(settings.stuck_unknown, 12) / settings.stuck_factor
    moving, at_floor = (_not_below_network(np.where(shown, longest, np.nan), unknown)
                        for longest in (usual.longest, usual.longest_floor))
    # another season may rest at a detection limit for longer than any before; a value below it is no limit
    rests = shown & (sight.values == usual.floor)
    limits = np.where(_at_floor(sight), np.where(rests, settings.stuck_floor, settings.stuck_factor) * at_floor,
                      settings.stuck_factor * moving)
    return np.maximum(np.ceil(limits) + 1, sight.rows(settings.stuck, 6))


def _not_below_network(longest: np.ndarray, unknown: float) -> np.ndarray:
    known = longest[~np.isnan(longest)]
    if not len(known):
        return np.full(longest.shape, unknown)
    common = np.quantile(known, NETWORK)
    return np.where(np.isnan(longest), common, np.maximum(longest, common))


def _at_floor(sight: CheckContext) -> np.ndarray:
    return np.asarray(sight.values <= sight.known.floor)


def _is_natural(sight: CheckContext) -> np.ndarray:
    """Where standing still says nothing: at a floor that the node is mostly but not always at, or its neighbours are
    at too; at a zero that is ordinary, where the node has shown nothing else."""
    usual = sight.known
    rows, columns = np.nonzero((sight.still_run >= 2) & _at_floor(sight))
    shared = np.zeros(sight.values.shape, bool)
    at_floor = np.where(sight.present, _at_floor(sight), np.nan).astype(np.float32)
    around = neighbour_median(at_floor, usual.neighbours) if len(rows) else at_floor
    shared[rows, columns] = around[rows, columns] >= 0.5
    left = (usual.floor_share < ALWAYS) & ~np.isnan(usual.floor)
    natural = (shared | (usual.floor_share > MOSTLY_FLOOR)) & left & _at_floor(sight)
    return natural | ((sight.values == 0.0) & ~left & ~_zeros_are_odd(sight))


def _zeros_are_odd(sight: CheckContext) -> np.ndarray:
    """Where a zero is none that the quantity or the other nodes show as a matter of course, (time or 1, node): seen up
    to each row, or learned from the past. Of a node without others nothing can be said before something is learned."""
    if sight.natural_zero:
        return np.zeros((1, sight.values.shape[1]), bool)
    if sight.usual is None:
        zeros, seen = np.cumsum(sight.values == 0.0, axis=0), np.cumsum(sight.present, axis=0)
        others = zeros.sum(axis=1, keepdims=True) - zeros
        total = seen.sum(axis=1, keepdims=True) - seen
        return np.asarray((total > 0) & (others < ORDINARY * total))
    share = np.where(sight.usual.floor == 0.0, sight.usual.floor_share, 0.0)
    share = np.where(sight.usual.floor_share < ALWAYS, share, np.nan)  # another dead sensor bears no witness
    known = np.isfinite(share)
    count = known.sum() - known
    others = (np.nansum(share) - np.nan_to_num(share)) / np.maximum(count, 1)
    return np.asarray(others < ORDINARY)[None, :]


def longest_runs(run: np.ndarray, at_floor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The longest still run of each node above its floor and at it."""
    return (np.where(at_floor, 0, run).max(axis=0).astype(np.float64),
            np.where(at_floor, run, 0).max(axis=0).astype(np.float64))
