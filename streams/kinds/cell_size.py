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
MOVER_STEPS = ("1D", "6h", "1h", "15min", "5min", "1min", "10s", "1s")
FIXES = (2.0, 0.8)  # of a mover in a step, at least
COVERED = 0.1  # share of the steps of the span that hold a fix, at least


def cell_size(lat: np.ndarray, lon: np.ndarray, steps: int, *, enough: float = ENOUGH,
              visit: np.ndarray | None = None) -> float:
    """Degrees a side: the smallest of 1, 2, 5 · 10^k with which the median cell that holds anything holds enough, and
    not more than ``MOST_CELLS`` do. ``visit``: the number of the mover and step of each row, which count once a cell.

    >>> random = np.random.default_rng(0)
    >>> cell_size(random.uniform(50, 51, 20_000), random.uniform(10, 11, 20_000), steps=365)
    0.1
    """
    chosen = next(size for size in SIZES if size <= 10)
    for size in (size for size in SIZES if size <= chosen):
        cell = occupied(lat, lon, size)[0]
        if visit is not None:
            many_cells = int(cell.max(initial=0)) + 1
            cell = np.unique(visit.astype(np.int64) * many_cells + cell) % many_cells
        many = np.bincount(cell)
        if len(many) > MOST_CELLS or np.median(many) < max(enough, A_STEP * steps):
            break
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
    """The longest step of which enough hold a fix, and so many of the whole span that the record is no handful of days.

    A mover sends two fixes in it or, where that leaves too few steps, about one. Where no step is enough, the one of
    which most hold a fix: what is too few is told, not hidden behind a clock of seconds that is nearly always empty.

    >>> minute = np.datetime64("2020-01-01", "ns") + np.arange(3000) * np.timedelta64(1, "m")
    >>> mover_step(minute, np.zeros(3000, int)), mover_step(minute[:400], np.zeros(400, int))
    ('15min', '1min')
    """
    order = np.lexsort((time, mover))
    gaps = np.diff(time[order])[mover[order][1:] == mover[order][:-1]]
    gaps = gaps[gaps > np.timedelta64(0)]
    usual = pd.Timedelta(np.median(gaps.astype(np.int64)) if len(gaps) else 0, "ns")
    filled: dict[str, int] = {}
    for fixes in FIXES:
        for step in (one for one in MOVER_STEPS if pd.Timedelta(one) >= fixes * usual):
            numbers = time.astype(np.int64) // pd.Timedelta(step).value
            filled[step] = len(np.unique(numbers))
            if filled[step] < COVERED * (numbers.max() - numbers.min() + 1):
                filled.pop(step)
            elif filled[step] >= LEAST_STEPS:
                return step
    return max(filled, key=lambda step: filled[step]) if filled else MOVER_STEPS[0]
