"""How one block stream changed: since when, by how much, and how steadily."""

from __future__ import annotations

import numpy as np


def change_in(past: np.ndarray) -> tuple[float, int]:
    """Where ``past`` (block,) splits best into before and after: the step in its mean, and how many blocks ago.

    The split with the largest standardised step, at least two values on each side; no step where it is too short.

    >>> change_in(np.array([0.0, 0.1, -0.1, 0.0, 2.0, np.nan, 2.1]))
    (2.05, 3)
    """
    at = np.flatnonzero(np.isfinite(past))
    if len(at) < 4:
        return 0.0, len(past)
    sums, count = np.cumsum(past[at]), len(at)
    before = np.arange(2, count - 1)
    steps = (sums[-1] - sums[before - 1]) / (count - before) - sums[before - 1] / before
    best = int(np.argmax(np.abs(steps) * np.sqrt(before * (count - before))))
    return float(steps[best]), int(len(past) - at[before[best]])


def steady_change(past: np.ndarray, age: int) -> tuple[float, float]:
    """The step in the mean of ``past`` (block,) ``age`` blocks ago, and the same in deviations of what came after.

    A stream that moved lies steadily where it moved to; one whose swings grew steps too, but swings on. The second
    figure tells them apart. The deviation is drawn towards 1, a normal block's, by the weight of one block.

    >>> moved, swings = np.array([0.0, 0, 0, 0, 2, 2, 2, 2]), np.array([0.0, 0, 0, 0, 6, -2, 6, -2])
    >>> [steady_change(past, 4)[0] for past in (moved, swings)]
    [2.0, 2.0]
    >>> [round(steady_change(past, 4)[1], 1) for past in (moved, swings)]
    [4.5, 0.6]
    """
    before, after = past[:len(past) - age], past[len(past) - age:]
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if len(before) < 2 or len(after) < 2:
        return 0.0, 0.0
    step = float(after.mean() - before.mean())
    variance = float((((after - after.mean()) ** 2).sum() + 1.0) / (len(after) + 1))
    return step, step / variance ** 0.5
