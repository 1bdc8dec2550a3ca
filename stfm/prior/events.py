"""Events in cells: crimes, calls, crashes, quakes. Each may set off others near it soon after (Hawkes 1971).

Counts per step and cell: background with people's hours and a hot spot here and there, plus what earlier events
excite, with an exponential memory; over-dispersed, mostly zero.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from terracast.stfm.prior.calendar import activity, holidays, year_of_people
from terracast.stfm.prior.clock import WorldClock
from terracast.stfm.prior.noise import log_uniform, wandering
from terracast.stfm.prior.places import Places
from terracast.stfm.prior.world import Draft, WorldSeries


def events(rng: np.random.Generator, clock: WorldClock, places: Places) -> Draft:
    """Sparse counts of kind ``event``; mean of a cell from about 0.02 to 15 a step.

    >>> from terracast.stfm.prior.clock import draw_clock
    >>> from terracast.stfm.prior.places import draw_places
    >>> rng = np.random.default_rng(0)
    >>> events(rng, draw_clock(rng, 64, ("1h",)), draw_places(rng, 4)).kind
    'event'
    """
    level = log_uniform(rng, 0.02, 15.0) * np.exp(rng.uniform(0.1, 1.3) * rng.standard_normal(places.count))
    usual = activity(rng, clock, places.count, holidays(rng, clock)) ** rng.uniform(0, 1)
    usual = usual * year_of_people(rng, clock, places.count)
    slow = np.exp(log_uniform(rng, 0.02, 0.5) * wandering(rng, clock.steps, places.mixing(rng), rng.uniform(0.8, 2.2)))
    branching = float(rng.beta(1.0, 2.0)) * 0.95
    excites = branching * kernel_in_space(rng, places)
    memory = log_uniform(rng, 0.5, 30.0)
    counts = hawkes(rng, (1 - branching) * level * usual * slow, excites, float(np.exp(-1 / memory)))
    if rng.random() < 0.25:  # nobody counts at some times
        counts = np.where(rng.random(counts.shape) < rng.uniform(0.1, 0.6), 0.0, counts)
    graph = places.nearest_graph(3) if rng.random() < 0.3 else None
    return Draft(clock, places, (WorldSeries("events", counts, "count"),), "incident", kind="event", graph=graph,
                 floor=0.0, whole=True)


def kernel_in_space(rng: np.random.Generator, places: Places) -> np.ndarray:
    """Where the children of an event of the row's cell fall; rows sum to 1."""
    near = np.exp(-places.distances / (places.size * log_uniform(rng, 0.05, 1.0)))
    return np.asarray(near / near.sum(1, keepdims=True))


@nb.njit(cache=True)
def hawkes(rng: np.random.Generator, background: np.ndarray, excites: np.ndarray, keep: float) -> np.ndarray:
    """Counts (time, cell): Poisson around background + excitement, which every event raises and time lets fade.

    An event in cell i has ``excites[i].sum()`` children on average, their delays geometric with ratio ``keep``: so
    with a branching ratio n the mean is background / (1 - n). Capped at 1000 per cell and step. O(time × cell²).
    """
    steps, cells = background.shape
    counts = np.zeros((steps, cells))
    excitement = np.zeros(cells)
    for now in range(steps):
        for cell in range(cells):
            expected = background[now, cell] + (1 - keep) * excitement[cell]
            counts[now, cell] = min(float(rng.poisson(min(expected, 900.0))), 1000.0)
        for cell in range(cells):
            raised = 0.0
            for other in range(cells):
                raised += counts[now, other] * excites[other, cell]
            excitement[cell] = keep * excitement[cell] + raised
    return counts
