"""How large cells are and how long steps, where nobody says: such that a usual cell has enough to be forecast."""

from __future__ import annotations

import numpy as np
import pandas as pd

from terracast.streams.kinds.cells import occupied

SIZES = tuple(step * 10.0**power for power in range(1, -5, -1) for step in (5.0, 2.0, 1.0))  # degrees, large to small
MOST_CELLS = 400
ENOUGH, A_STEP = 100, 0.2  # events that a usual cell holds: in all, and a step
LEAST_STEPS = 200
BUSY = 5.0  # events a step, over all places
EVENT_STEPS = ("1D", "1h")
MOVER_STEPS = ("1h", "15min", "5min", "1min", "10s", "1s")
FIXES = 2  # of a mover in a step, at least


def cell_size(lat: np.ndarray, lon: np.ndarray, steps: int, *, enough: float = ENOUGH,
              a_step: float = A_STEP) -> float:
    """Degrees a side: the smallest of 1, 2, 5 · 10^k with which the median cell that holds anything holds enough, and
    not more than ``MOST_CELLS`` do.

    >>> random = np.random.default_rng(0)
    >>> cell_size(random.uniform(50, 51, 20_000), random.uniform(10, 11, 20_000), steps=365)
    0.1
    """
    chosen = next(size for size in SIZES if size <= 10)
    for size in (size for size in SIZES if size <= chosen):
        many = np.bincount(occupied(lat, lon, size)[0])
        if len(many) > MOST_CELLS:
            break
        if np.median(many) >= max(enough, a_step * steps):
            chosen = size
    return float(f"{chosen:.1g}")


def event_step(time: np.ndarray) -> str:
    """A day where there are days enough; an hour where there are not, and hours are busy; a week where days are not.

    >>> hour = np.datetime64("2020-01-01", "ns") + np.arange(10_000) * np.timedelta64(1, "h")
    >>> event_step(hour), event_step(np.repeat(hour[:400], 10))
    ('1D', '1h')
    """
    days = max(float((time.max() - time.min()) / np.timedelta64(1, "D")), 1.0)
    a_day = len(time) / days
    dated = bool((time.astype("datetime64[D]") == time).mean() > 0.9)  # dates alone say no hour
    if days < LEAST_STEPS and not dated and a_day >= 24 * BUSY:
        return "1h"
    return "7D" if a_day < BUSY and days >= 7 * LEAST_STEPS / 2 else "1D"


def mover_step(time: np.ndarray, mover: np.ndarray) -> str:
    """The longest step of which enough hold a fix, and in which a mover sends two fixes or more."""
    order = np.lexsort((time, mover))
    gaps = np.diff(time[order])[mover[order][1:] == mover[order][:-1]]
    gaps = gaps[gaps > np.timedelta64(0)]
    usual = pd.Timedelta(np.median(gaps.astype(np.int64)) if len(gaps) else 0, "ns")
    long = [step for step in MOVER_STEPS if pd.Timedelta(step) >= FIXES * usual] or [MOVER_STEPS[0]]
    for step in long:
        if len(np.unique(time.astype(np.int64) // pd.Timedelta(step).value)) >= LEAST_STEPS:
            return step
    return long[-1]
