"""What: which sort of change explains most of what a node's residual did since it began."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

LOOK = 28  # blocks looked back at for when it began
SLOWEST = 4  # blocks: what takes at least so long to rise is a trend
SURE = 4.0  # how much better, in residual variances, a slow rise must fit than a step
LOOSE = -0.6  # of the slope on the neighbours: a node that follows them hardly or not at all
LONE = 0.35  # share of the growth of errors that a cause must explain to be named


@dataclass(frozen=True)
class Began:
    """How many blocks ago the change began: best guess, and the range of those that fit about as well."""

    age: int
    oldest: int
    youngest: int


@dataclass(frozen=True)
class Sort:
    """A sort of change with its direction and its size, in deviations of the residual."""

    name: str
    direction: str
    size: float


def began(levels: np.ndarray, most: int = LOOK) -> Began:
    """When the mean of ``levels`` (block,) stepped, by least squares over the last ``most`` blocks.

    >>> began(np.repeat([0.0, 1.0], [20, 5]))
    Began(age=5, oldest=5, youngest=5)
    """
    ages = np.arange(1, min(most, len(levels) - 2) + 1)
    costs = np.array([_cost(levels[:-age]) + _cost(levels[-age:]) for age in ages])
    if not len(costs) or not np.isfinite(costs).any():
        return Began(1, 1, 1)
    best = float(np.nanmin(costs))
    noise = max(best / max(np.isfinite(levels).sum() - 2, 1), 1e-12)
    good = ages[costs <= best + 4 * noise]  # twice the log likelihood ratio of one parameter at 95 %
    return Began(int(ages[np.nanargmin(costs)]), int(good.max()), int(good.min()))


def rises(levels: np.ndarray) -> tuple[float, float, int]:
    """Least squares costs of the best step and of the best slow rise (0, then linear, then flat) of ``levels``
    (block,) over its last ``LOOK`` blocks, from the mean before; and how long ago the rise begins."""
    before, after = levels[:-LOOK], levels[-LOOK:]
    before = before[np.isfinite(before)]
    seen = np.isfinite(after)
    moved = np.where(seen, after - (before.mean() if len(before) >= 4 else np.nanmedian(levels)), 0.0)
    shapes, slow, starts = _shapes(len(after))
    masked = np.where(seen, shapes, 0.0)
    explained = (masked @ moved) ** 2 / np.maximum((masked**2).sum(axis=1), 1e-12)
    total = float((moved**2).sum())
    step, rise = (float(explained[one].max(initial=0.0)) for one in (~slow, slow))
    age = len(after) - int(starts[slow][np.argmax(explained[slow])]) if slow.any() else 1
    return total - step, total - rise, age


def sort_of(moments: np.ndarray, cycle: np.ndarray) -> tuple[Sort, int]:
    """The sort of a change of one node, and how many blocks ago it began.

    ``moments`` (block, 5) as ``views.Blocks`` has them, ``cycle`` (block, 2) the cosine and sine streams (NaN:
    not watched). For each beginning, level, gain and cycle are compared by how much of the residual's power each
    explains in all (their likelihood ratios, noise being equal); what none of them explains is a change of scale, and
    a level that rises slowly is a trend.
    """
    off = cycle - _middle(cycle)
    ages, was, now = _either_side(np.concatenate([moments, cycle, (off**2).sum(axis=1, keepdims=True)], axis=1))
    if not len(ages):
        return Sort("level", "up", 0.0), 1
    level = now[:, 0] - was[:, 0]
    slope = now[:, 2] / np.maximum(now[:, 3], 1e-9)
    gain = slope - was[:, 2] / np.maximum(was[:, 3], 1e-9)
    turned = np.nan_to_num(now[:, 5:7] - was[:, 5:7])
    # Each day of dependent hours has some cycle; only what the days have in common is another cycle, and one day
    # alone cannot tell: the power of their mean, less what days that have nothing in common would leave in it.
    shared = (ages * (turned**2).sum(axis=1) - np.nan_to_num(now[:, 7])) / np.maximum(ages - 1, 1)
    powers = np.nan_to_num(np.stack([level**2, gain**2 * now[:, 3], np.where(ages > 1, shared, 0.0) / 2]))
    powers[2] = np.maximum(powers[2], 0.0)
    kind, at = np.unravel_index(int(np.argmax(powers * ages)), powers.shape)
    grown, age = float(now[at, 4] - was[at, 4]), int(ages[at])
    if powers[kind, at] < LONE * abs(grown):
        return Sort("scale", "wider" if grown > 0 else "narrower", abs(grown) ** 0.5), age
    if kind == 2:
        return Sort("seasonality", "moved", float(np.hypot(*turned[at]))), age
    if kind == 1:
        name, direction = ("relation", "loose") if slope[at] < LOOSE else ("scale", "wider" if gain[at] > 0 else
                                                                           "narrower")
        return Sort(name, direction, abs(float(gain[at]))), age
    step, rise, _ = rises(moments[:, 0])
    slow = step - rise > SURE * rise / LOOK
    return Sort("trend" if slow else "level", "up" if level[at] > 0 else "down", abs(float(level[at]))), age


def _middle(cycle: np.ndarray) -> np.ndarray:
    """The usual cycle, (column,): the mean of all blocks but the last ``LOOK``, of all where that leaves too few."""
    before = cycle[:-LOOK] if len(cycle) >= 2 * LOOK else cycle
    seen = np.isfinite(before)
    return np.where(seen, before, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)


def _either_side(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ages, and the means of ``blocks`` (block, column) before and after each; NaN left out."""
    seen = np.isfinite(blocks)
    sums, counts = (np.cumsum(one, axis=0) for one in (np.where(seen, blocks, 0.0), seen))
    ages = np.arange(1, min(LOOK, len(blocks) - 4) + 1)
    ends = len(blocks) - ages - 1
    was = sums[ends] / np.maximum(counts[ends], 1)
    now = (sums[-1] - sums[ends]) / np.maximum(counts[-1] - counts[ends], 1)
    return ages, was, np.where(counts[-1] > counts[ends], now, np.nan)


def _cost(values: np.ndarray) -> float:
    seen = values[np.isfinite(values)]
    return float(((seen - seen.mean()) ** 2).sum()) if len(seen) else 0.0


@lru_cache(maxsize=8)
def _shapes(length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All rises from 0 to 1 within ``length`` blocks (shape, block), whether each is slow, and where it starts."""
    at = np.arange(length)
    pairs = [(start, end) for start in range(length) for end in range(start + 1, length + SLOWEST + 1)
             if end == start + 1 or end >= start + SLOWEST]
    shapes = np.array([np.clip((at - start + 1) / (end - start), 0.0, 1.0) for start, end in pairs])
    return shapes, np.array([end > start + 1 for start, end in pairs]), np.array([start for start, _ in pairs])
