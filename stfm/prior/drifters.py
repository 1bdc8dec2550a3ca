"""Drifters: platforms carried by a flow, which measure the water or air that they pass through.

The flow is that of a stream function (so it has no sources): travelling eddies, a mean current, and circles of inertia
or tide; a platform may also steam its own course. The measured field has a gradient, eddies and a day of its own.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from terracast.stfm.prior.clock import DAY, WorldClock
from terracast.stfm.prior.noise import log_uniform, ornstein, remembering, white
from terracast.stfm.prior.places import Places
from terracast.stfm.prior.profiles import harmonic
from terracast.stfm.prior.world import Draft, WorldSeries, chosen_drivers, driver

WAVES = 6


def drifters(rng: np.random.Generator, clock: WorldClock, places: Places) -> Draft:
    """A field measured under way, kind ``point``; the platform's velocity may be known.

    >>> from terracast.stfm.prior.clock import draw_clock
    >>> from terracast.stfm.prior.places import draw_places
    >>> rng = np.random.default_rng(0)
    >>> drifters(rng, draw_clock(rng, 64, ("1h",)), draw_places(rng, 4)).positions.shape[2]
    2
    """
    scale = float(np.clip(places.size, 1.0, 300.0))
    eddies = Eddies(rng, scale, clock.steps)
    # An eddy is crossed in ten to some hundred steps, whatever the step is.
    pace = scale / log_uniform(rng, 10.0, 300.0)
    positions = _tracks(rng, clock, places, eddies, pace)
    values = _measured(rng, clock, places, positions, eddies, scale)
    speed = np.diff(positions, axis=0, prepend=positions[:1]) * 1000 / clock.step
    candidates = [driver("eastward_velocity", speed[..., 0], rng, "m s-1"),
                  driver("northward_velocity", speed[..., 1], rng, "m s-1")]
    past = tuple(WorldSeries(one.name, one.values, one.units, "past_driver") for one in chosen_drivers(rng, candidates))
    return Draft(clock, places, (WorldSeries("temperature", values, "degC"), *past), "ocean", kind="point",
                 positions=positions)


class Eddies:
    """A stream function that is a sum of travelling waves."""

    def __init__(self, rng: np.random.Generator, scale: float, steps: int) -> None:
        self.waves = rng.standard_normal((WAVES, 2)) * 2.5 / scale
        self.phase = rng.uniform(0, 2 * np.pi, WAVES)
        self.turning = 2 * np.pi * rng.standard_normal(WAVES) / log_uniform(rng, 20.0, 2.0 * steps)
        self.size = rng.exponential(size=WAVES) / np.sqrt(WAVES)

    def height(self, at: np.ndarray, step: np.ndarray | float) -> np.ndarray:
        """The stream function at positions (..., 2), at ``step`` (broadcast against ...)."""
        angle = self._angle(at, step)
        return np.asarray((self.size * np.sin(angle)).sum(-1))

    def _angle(self, at: np.ndarray, step: np.ndarray | float) -> np.ndarray:
        there = at[..., 0:1] * self.waves[:, 0] + at[..., 1:2] * self.waves[:, 1]
        return np.asarray(there + self.phase + np.asarray(step)[..., None] * self.turning)


def _tracks(rng: np.random.Generator, clock: WorldClock, places: Places, eddies: Eddies, pace: float) -> np.ndarray:
    """Positions (time, node, 2) in km: the flow, plus a drift and circles that all share, and what each has."""
    drift = pace * rng.standard_normal(2) * rng.uniform(0, 0.6)
    turning = 2 * np.pi * rng.uniform(0.3, 2.0) / max(clock.per_day, 3.0) * np.arange(clock.steps)
    circle = pace * rng.uniform(0, 1.0) * np.stack([np.cos(turning), -np.sin(turning)], 1)
    own = remembering(white(rng, clock.steps, np.eye(2 * places.count)), float(np.exp(-1 / log_uniform(rng, 1, 60))))
    pushed = drift + circle[:, None] + pace * rng.uniform(0.05, 0.6) * own.reshape(clock.steps, -1, 2)
    strength = pace * places.size * rng.uniform(0, 0.6)
    return carried(places.xy, pushed, strength, eddies.waves, eddies.phase, eddies.turning, eddies.size)


@nb.njit(cache=True)
def flow(x: float, y: float, step: float, waves: np.ndarray, phase: np.ndarray, turning: np.ndarray,
         size: np.ndarray) -> tuple[float, float]:
    """(-∂/∂y, ∂/∂x) of the stream function at one place: a flow without sources."""
    east, north = 0.0, 0.0
    for wave in range(len(size)):
        slope = size[wave] * np.cos(x * waves[wave, 0] + y * waves[wave, 1] + phase[wave] + step * turning[wave])
        east -= slope * waves[wave, 1]
        north += slope * waves[wave, 0]
    return east, north


@nb.njit(cache=True)
def carried(start: np.ndarray, pushed: np.ndarray, strength: float, waves: np.ndarray, phase: np.ndarray,
            turning: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Positions (time, node, 2) from ``start`` (node, 2): steps by the mid-point rule; O(time × node × waves)."""
    positions = np.empty_like(pushed)
    for node in range(len(start)):
        x, y = start[node, 0], start[node, 1]
        for now in range(len(pushed)):
            positions[now, node, 0], positions[now, node, 1] = x, y
            east, north = flow(x, y, float(now), waves, phase, turning, size)
            middle = (x + 0.5 * (pushed[now, node, 0] + strength * east),
                      y + 0.5 * (pushed[now, node, 1] + strength * north))
            east, north = flow(middle[0], middle[1], now + 0.5, waves, phase, turning, size)
            x += pushed[now, node, 0] + strength * east
            y += pushed[now, node, 1] + strength * north
    return positions


def _measured(rng: np.random.Generator, clock: WorldClock, places: Places, positions: np.ndarray, eddies: Eddies,
              scale: float) -> np.ndarray:
    """The field where the platforms are: gradient + eddies + weather + day + year + noise, (time, node)."""
    slope = rng.standard_normal(2) * rng.uniform(0, 2) / scale
    values = positions @ slope + rng.uniform(0.2, 2) * eddies.height(positions, np.arange(clock.steps)[:, None])
    weather = ornstein(rng, clock.steps, places.mixing(rng, own=0.1), 3 * max(clock.per_day, 0.3))
    values = values + rng.uniform(0, 0.7) * weather + rng.uniform(0, 3) * harmonic(rng, clock.year, 1, 1)
    if clock.has(DAY):
        values = values + rng.uniform(0, 0.6) * harmonic(rng, clock.day, 1, 2)
    quick = log_uniform(rng, 0.01, 0.4) * ornstein(rng, clock.steps, np.eye(places.count), log_uniform(rng, 0.3, 5.0))
    return np.asarray(rng.uniform(-2, 28) + rng.uniform(0.3, 4) * values + quick)
