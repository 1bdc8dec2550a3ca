"""Saturated: many values exactly at one ceiling, with few just below it, more often than the node's past
shows."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter1d

from terracast.streams.quality.check_context import CheckContext
from terracast.streams.quality.found import Found
from terracast.streams.quality.stuck import MOSTLY_FLOOR

NEAR = 0.03  # of the way from the window's mean to its ceiling: "just below"
PILED = 3.0  # times as often as the values next below: a highest whole degree is visited often, too
HITS_FACTOR = 2.0
DIFFERENT, FEWEST_DIFFERENT = 30, 20  # values that a node shows: to judge its own weeks, and the network's highest
TOP_HITS = 3  # at the highest value that any node ever gave
PART = 65536


def saturated(sight: CheckContext) -> Found:
    """Values at a ceiling that was hit ``saturation_hits`` times in separate visits within the window, or
    that the network has come to again and again as its highest value. Earlier hits are known as such only
    later.
    """
    window = sight.rows(sight.settings.saturation_window, 24)
    hits, top = ceiling_hits(sight.values, window, sight.first), network_top_hits(sight)
    needed = np.full(sight.values.shape[1], float(sight.settings.saturation_hits))
    if sight.usual is not None:
        needed = np.maximum(needed, HITS_FACTOR * np.nan_to_num(sight.usual.hits) + 1)
        hits = np.where((sight.values > sight.usual.floor) & (sight.usual.floor_share <= MOSTLY_FLOOR), hits, 0)
        top = np.where(sight.values > sight.usual.floor, top, 0)
    different = _different(sight)
    own = (hits >= needed) & (different >= DIFFERENT)
    mask = (own | (top >= TOP_HITS) & (different >= FEWEST_DIFFERENT)) & (sight.values != 0.0)  # dry weeks
    rows = np.arange(len(mask), dtype=np.int32)[:, None]
    return Found(mask, np.broadcast_to(np.maximum(rows - window + 1, 0), mask.shape), _same_as_next(sight, mask))


def _different(sight: CheckContext) -> np.ndarray:
    """How many different values each node shows, (node,): the highest of a few counts or whole degrees is no limit."""
    ordered = np.sort(sight.values, axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray((np.diff(ordered, axis=0) > 0).sum(axis=0) + 1)


def ceiling_hits(values: np.ndarray, window: int, first: int = 0) -> np.ndarray:
    """How often the trailing window's highest value was reached, at cells that reach it; 0 where it is a
    plain peak: one visit only (stuck rather than saturated), or many values just below, or as many at the values
    next below as rounding makes.
    Rows before ``first`` are only looked back at.

    >>> ceiling_hits(np.array([[5.0], [1.0], [5.0], [2.0], [5.0], [5.0]]), 6).ravel().tolist()
    [0, 0, 2, 0, 0, 4]
    """
    low = np.where(np.isnan(values), -np.inf, values)
    highest = maximum_filter1d(low, window, axis=0, origin=(window - 1) // 2, mode="constant", cval=-np.inf)
    again = (low == highest) & np.isfinite(low)
    again[:first] = False
    hits = np.zeros(values.shape, np.int32)
    rows, columns = np.nonzero(again)
    for start in range(0, len(rows), PART):  # in parts: memory stays at PART × window
        part = slice(start, start + PART)
        hits[rows[part], columns[part]] = _hits_in_windows(low, rows[part], columns[part], window)
    return hits


def _hits_in_windows(low: np.ndarray, rows: np.ndarray, columns: np.ndarray, window: int) -> np.ndarray:
    back = rows[:, None] - np.arange(window)
    values = np.where(back >= 0, low[np.maximum(back, 0), columns[:, None]], -np.inf)
    ceiling = low[rows, columns][:, None]
    at_ceiling = values == ceiling
    visits = (at_ceiling[:, 1:] & ~at_ceiling[:, :-1]).sum(axis=1) + at_ceiling[:, 0]
    valid = np.isfinite(values)
    mean = np.where(valid, values, 0.0).sum(axis=1) / np.maximum(valid.sum(axis=1), 1)
    near = ceiling - NEAR * (ceiling - mean[:, None])
    just_below = ((values >= near) & ~at_ceiling).sum(axis=1)
    count = at_ceiling.sum(axis=1)
    piled = count > np.maximum(just_below, PILED * _next_two(values, ceiling))
    return np.asarray(np.where((visits >= 2) & piled, count, 0))


def _next_two(values: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """How often, in the mean, each row of ``values`` shows the two values next below its ``ceiling``."""
    counts = np.zeros(len(values))
    for _ in range(2):
        ceiling = np.where(values < ceiling, values, -np.inf).max(axis=1, keepdims=True)
        counts += ((values == ceiling) & np.isfinite(ceiling)).sum(axis=1)
    return counts / 2


def network_top_hits(sight: CheckContext) -> np.ndarray:
    """How often the highest value of all nodes so far was reached, at cells that reach it; a ceiling only if
    few values came just below it. (time, node) int32.
    """
    values = np.where(sight.present, sight.values, -np.inf)
    best = values.max(axis=1)
    before = float(sight.usual.top[0]) if sight.usual is not None else -np.inf
    highest = np.maximum(np.maximum.accumulate(best), before)
    at_top = (values == highest[:, None]) & sight.present
    start = np.concatenate([[before], highest[:-1]])
    raised = highest > start  # a new ceiling: counting begins anew
    counted = np.cumsum(at_top.any(axis=1))  # nodes that share a sensor hit it once
    near = np.cumsum(((values >= (1 - NEAR) * highest[:, None]) & ~at_top).any(axis=1))
    base_row = np.maximum.accumulate(np.where(raised, np.arange(len(highest)), -1))
    base = np.where(base_row > 0, counted[np.maximum(base_row - 1, 0)], 0)
    near_base = np.where(base_row > 0, near[np.maximum(base_row - 1, 0)], 0)
    held = float(sight.usual.top_hits[0]) if sight.usual is not None else 0.0
    hits = counted - base + np.where(base_row < 0, held, 0.0)
    piled = (hits > near - near_base) & (highest > 0)
    return np.asarray(np.where(at_top & piled[:, None], hits[:, None], 0).astype(np.int32))


def _same_as_next(sight: CheckContext, mask: np.ndarray) -> np.ndarray:
    """Cells that hold the value at which the next flagged cell of the node is saturated."""
    ahead = np.where(mask, sight.values, np.nan)[::-1]
    rows = np.arange(len(mask))[:, None]
    last = np.maximum.accumulate(np.where(~np.isnan(ahead), rows, 0), axis=0)
    return np.asarray(np.take_along_axis(ahead, last, axis=0)[::-1] == sight.values)
