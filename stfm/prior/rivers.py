"""Rivers: rain and snow melt fill soils and linear reservoirs, whose outflow runs down a tree of reaches.

A lumped model after HBV (Bergström 1976): degree-day snow, a soil store that lets through a growing share of rain,
a quick and a slow linear reservoir, and one more reservoir per reach. Water is conserved to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np

from terracast.stfm.prior.clock import DAY, WorldClock
from terracast.stfm.prior.noise import log_uniform, wandering, white
from terracast.stfm.prior.places import Places
from terracast.stfm.prior.weather import sky
from terracast.stfm.prior.world import Draft, WorldSeries, chosen_drivers, driver

RUN_IN = 365


@dataclass(frozen=True)
class Basin:
    """Per node: ``area``, capacity of the soil (mm), share lost per step from the quick, slow and reach stores,
    melt per degree and step (mm), evaporation per step (mm) when warm; ``below`` is the next node down, -1 the sea."""

    area: np.ndarray
    capacity: np.ndarray
    quick: np.ndarray
    slow: np.ndarray
    reach: np.ndarray
    melt: np.ndarray
    dry: np.ndarray
    below: np.ndarray


def rivers(rng: np.random.Generator, clock: WorldClock, places: Places) -> Draft:
    """Discharge or stage on a river tree; rain and temperature may be known.

    >>> from terracast.stfm.prior.clock import draw_clock
    >>> from terracast.stfm.prior.places import draw_places
    >>> rng = np.random.default_rng(0)
    >>> bool((rivers(rng, draw_clock(rng, 64, ("1D",)), draw_places(rng, 4)).target.values > 0).all())
    True
    """
    # The stores fill in a run-in that the panel does not show.
    longer = WorldClock(clock.start - RUN_IN * clock.step, clock.step, clock.steps + RUN_IN, clock.zone)
    air = sky(rng, longer, places)
    rain = air["rain"] / (air["rain"].mean() + 1e-9) * rng.uniform(0.8, 6.0) * clock.step / DAY
    basin = draw_basin(rng, clock, places.count)
    flow, _ = drain(rain, air["temperature"], basin.area, basin.capacity, basin.quick, basin.slow, basin.reach,
                    basin.melt, basin.dry, basin.below)
    rain, temperature, flow = rain[RUN_IN:], air["temperature"][RUN_IN:], flow[RUN_IN:]
    measured = np.exp(log_uniform(rng, 0.002, 0.1) * white(rng, clock.steps, np.eye(places.count)))
    slow_error = 0.1 * rng.random() * wandering(rng, clock.steps, np.eye(places.count), 2.0)
    values = (flow + 0.002 * flow.mean() + 1e-9) * measured * np.exp(slow_error)
    name, units = "discharge", "m3 s-1"
    if rng.random() < 0.25:
        name, units, values = "stage", "m", rng.uniform(0, 3) + (values / values.mean()) ** rng.uniform(0.3, 0.6)
    drivers = chosen_drivers(rng, [driver("rain", rain, rng, "mm"), driver("temperature", temperature, rng, "degC")])
    graph = np.zeros((places.count, places.count))
    inland = basin.below >= 0
    graph[np.flatnonzero(inland), basin.below[inland]] = 1.0
    return Draft(clock, places, (WorldSeries(name, values, units), *drivers), "river", floor=0.0,
                 graph=graph if rng.random() < 0.7 else None)


def draw_basin(rng: np.random.Generator, clock: WorldClock, nodes: int) -> Basin:
    """A tree whose nodes flow to a node of lower number; residence times from half a day to a year."""
    def share(low: float, high: float) -> np.ndarray:
        days = np.exp(rng.uniform(np.log(low), np.log(high)) + 0.4 * rng.standard_normal(nodes))
        return np.asarray(1 - np.exp(-clock.step / DAY / days))

    below = np.array([-1] + [int(rng.integers(max(0, node - 3), node)) for node in range(1, nodes)])
    if rng.random() < 0.3:
        below[:] = -1  # stations on rivers of their own
    lively = rng.uniform(0.1, 1.0)
    return Basin(area=np.exp(rng.uniform(2, 8) + lively * rng.standard_normal(nodes)),
                 capacity=np.exp(rng.uniform(3.0, 6.0) + 0.3 * rng.standard_normal(nodes)),
                 quick=share(0.5, 12.0), slow=share(20.0, 400.0), reach=share(0.1, 3.0),
                 melt=rng.uniform(1.0, 6.0) * clock.step / DAY * np.ones(nodes),
                 dry=rng.uniform(0.2, 4.0) * clock.step / DAY * np.ones(nodes), below=below)


@nb.njit(cache=True)
def drain(rain: np.ndarray, temperature: np.ndarray, area: np.ndarray, capacity: np.ndarray, quick: np.ndarray,
          slow: np.ndarray, reach: np.ndarray, melt: np.ndarray, dry: np.ndarray, below: np.ndarray,
          ) -> tuple[np.ndarray, np.ndarray]:
    """Flow out of each reach (time, node) and the water balance (4,): fallen, evaporated, to the sea, still stored.

    Volumes are mm × area. A node's reach takes its own land's water and what nodes of higher number send in the
    same step. O(time × node).
    """
    steps, nodes = rain.shape
    flow = np.zeros((steps, nodes))
    snow, soil, upper, lower, river = (np.zeros(nodes), 0.5 * capacity, np.zeros(nodes), np.zeros(nodes),
                                       np.zeros(nodes))
    fallen, gone, sea = (0.5 * capacity * area).sum(), 0.0, 0.0
    for now in range(steps):
        sent = np.zeros(nodes)
        for node in range(nodes - 1, -1, -1):
            warm, water = temperature[now, node], rain[now, node]
            fallen += water * area[node]
            if warm < 0.0:
                snow[node] += water
                water = 0.0
            thaw = min(snow[node], melt[node] * max(warm, 0.0))
            snow[node] -= thaw
            water += thaw
            passed = water * min(soil[node] / capacity[node], 1.0) ** 2
            soil[node] += water - passed
            over = max(soil[node] - capacity[node], 0.0)
            soil[node] -= over
            lost = min(soil[node], dry[node] * max(warm, 0.0) / 15.0 * soil[node] / capacity[node])
            soil[node] -= lost
            gone += lost * area[node]
            upper[node] += passed + over
            fast = quick[node] * upper[node]
            deep = 0.3 * fast
            upper[node] -= fast
            lower[node] += deep
            base = slow[node] * lower[node]
            lower[node] -= base
            river[node] += (fast - deep + base) * area[node] + sent[node]
            out = reach[node] * river[node]
            river[node] -= out
            flow[now, node] = out
            if below[node] >= 0:
                sent[below[node]] += out
            else:
                sea += out
    stored = ((snow + soil + upper + lower) * area + river).sum()
    return flow, np.array([fallen, gone, sea, stored])
