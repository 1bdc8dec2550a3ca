"""A field on a plane: sources with people's hours, wind that turns and calms, mixing, decay; seen at stations.

Advection and diffusion by the upwind finite-volume scheme on a small grid, in the manner of a one-layer air quality
model: the layer is shallow at night and in calm spells, so that the same emissions give high, skewed concentrations.
Mass is conserved: emitted = blown out + decayed + still there.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from terracast.stfm.prior.calendar import activity, holidays
from terracast.stfm.prior.clock import DAY, WorldClock
from terracast.stfm.prior.noise import log_uniform, ornstein, white
from terracast.stfm.prior.places import Places
from terracast.stfm.prior.profiles import harmonic, south
from terracast.stfm.prior.world import Draft, WorldSeries, chosen_drivers, driver

SIDE = 9  # cells
RUN_IN = 24


def field(rng: np.random.Generator, clock: WorldClock, places: Places) -> Draft:
    """Concentrations at stations (the ground value: column over layer height); wind and layer may be drivers.

    >>> from terracast.stfm.prior.clock import draw_clock
    >>> from terracast.stfm.prior.places import draw_places
    >>> rng = np.random.default_rng(0)
    >>> bool((field(rng, draw_clock(rng, 64), draw_places(rng, 4)).target.values >= 0).all())
    True
    """
    longer = WorldClock(clock.start - RUN_IN * clock.step, clock.step, clock.steps + RUN_IN, clock.zone)
    wind, speed = _wind(rng, longer, places.lat)
    layer = _layer(rng, longer, speed, places.lat)
    emitted = _emitted(rng, longer)
    per_day = max(clock.per_day, 1 / 30)
    decay = 1 - np.exp(-1 / (log_uniform(rng, 0.1, 4.0) * per_day))
    column, _ = blown(emitted, wind, float(rng.uniform(0.005, 0.08)), float(decay))
    unit = (places.xy - places.xy.min(0)) / (np.ptp(places.xy, axis=0).max() + 1e-9)
    ground = np.maximum(at_stations(column, 1 + unit * (SIDE - 3)), 0.0)[RUN_IN:]
    ground = ground / layer[RUN_IN:, None]
    own = _own(rng, clock, places)
    values = ground / (ground.mean() + 1e-9) * own + rng.uniform(0, 0.6)
    values = log_uniform(rng, 1.0, 200.0) * np.maximum(values, 0.0) ** rng.uniform(0.6, 1.3)
    wide = np.ones((1, places.count))
    noisy = 1 + 0.1 * white(rng, clock.steps, np.eye(places.count))
    candidates = [driver("wind_speed", np.maximum(speed[RUN_IN:, None] * noisy, 0.0), rng, "m s-1"),
                  driver("wind_east", wind[RUN_IN:, :1] * wide, rng, "m s-1"),
                  driver("layer_height", layer[RUN_IN:, None] * wide, rng, "m")]
    return Draft(clock, places, (WorldSeries("concentration", values, "ug m-3"), *chosen_drivers(rng, candidates)),
                 "air",
                 floor=0.0, graph=places.nearest_graph(3) if rng.random() < 0.3 else None)


def _wind(rng: np.random.Generator, clock: WorldClock, lat: float) -> tuple[np.ndarray, np.ndarray]:
    """Courant numbers east and north (time, 2), and the speed in m/s: prevailing + spells + a daily breeze."""
    per_day = max(clock.per_day, 1 / 30)
    spells = ornstein(rng, clock.steps, np.eye(2), rng.uniform(0.7, 4.0) * per_day)
    quick = ornstein(rng, clock.steps, np.eye(2), 0.15 * per_day)
    wind = rng.standard_normal(2) * rng.uniform(0, 1) + spells + rng.uniform(0, 0.7) * quick
    if clock.has(DAY):
        turn = 2 * np.pi * (clock.day - rng.random())
        wind = wind + rng.uniform(0, 1) * np.stack([np.cos(turn), 0.5 * np.sin(turn)], 1)
    season = 1 + rng.uniform(0, 0.4) * np.cos(2 * np.pi * (clock.year - south(lat)))
    wind = wind * season[:, None]
    speed = np.hypot(*wind.T) * rng.uniform(1.5, 4.0)
    return np.clip(wind * rng.uniform(0.1, 0.5), -1.5, 1.5), speed


def _layer(rng: np.random.Generator, clock: WorldClock, speed: np.ndarray, lat: float) -> np.ndarray:
    """Height of the mixed layer, around 1 (time,): low at night, in winter and in calm spells."""
    per_day = max(clock.per_day, 1 / 30)
    logs = 0.35 * ornstein(rng, clock.steps, np.eye(1), rng.uniform(1, 4) * per_day)[:, 0]
    logs = logs + rng.uniform(0, 0.5) * (np.log(speed + 0.5) - 0.8)
    logs = logs - rng.uniform(0, 0.5) * np.cos(2 * np.pi * (clock.year - south(lat)))
    if clock.has(DAY):
        logs = logs + rng.uniform(0.1, 0.8) * np.cos(2 * np.pi * (clock.day - rng.uniform(0.57, 0.68)))
    return np.asarray(np.exp(np.clip(logs, -3, 3)))


def _emitted(rng: np.random.Generator, clock: WorldClock) -> np.ndarray:
    """Emissions per step (time, cell, cell): a city and a few chimneys, by people's hours, weeks and heating."""
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    where = np.zeros((SIDE, SIDE))
    for _ in range(int(rng.integers(2, 7))):
        apart = (x - rng.uniform(0, SIDE)) ** 2 + (y - rng.uniform(0, SIDE)) ** 2
        where += rng.exponential() * np.exp(-apart / (2 * rng.uniform(0.3, 2.5) ** 2))
    where += rng.uniform(0, 0.2)
    hours = activity(rng, clock, 1, holidays(rng, clock))[:, 0] ** rng.uniform(0.2, 1.0)
    year = np.exp(rng.uniform(0, 0.5) * harmonic(rng, clock.year, 1, 2)[:, 0])
    restless = np.exp(rng.uniform(0, 0.3) * ornstein(rng, clock.steps, np.eye(1), 2 * max(clock.per_day, 0.1))[:, 0])
    trend = np.exp(rng.normal(0, 0.3) * np.linspace(-0.5, 0.5, clock.steps))
    return np.asarray((hours * year * restless * trend)[:, None, None] * where)


def _own(rng: np.random.Generator, clock: WorldClock, places: Places) -> np.ndarray:
    """What is a station's own: its street, its instrument; (time, node), around 1."""
    site = np.exp(rng.uniform(0, 0.4) * rng.standard_normal(places.count))
    quick = log_uniform(rng, 0.02, 0.35) * ornstein(rng, clock.steps, places.mixing(rng), log_uniform(rng, 0.5, 10.0))
    daily = rng.uniform(0, 0.3) * harmonic(rng, clock.day, places.count, 3) if clock.has(DAY) else 0.0
    return np.asarray(site * np.exp(quick + daily))


@nb.njit(cache=True)
def blown(emitted: np.ndarray, wind: np.ndarray, diffusion: float, decay: float) -> tuple[np.ndarray, np.ndarray]:
    """The column after each step (time, y, x) and the account (4,): emitted, out of the plane, decayed, still there.

    ``wind`` (time, 2) is in cells per step; steps are cut so that the scheme is stable (Courant number <= 1).
    ``diffusion`` is the share exchanged with each neighbour. O(time × cells).
    """
    steps, high, wide = emitted.shape
    column, seen = np.zeros((high, wide)), np.zeros((steps, high, wide))
    total, out, lost = 0.0, 0.0, 0.0
    for now in range(steps):
        parts = int(np.ceil(abs(wind[now, 0]) + abs(wind[now, 1]) + 4 * diffusion)) + 1
        east, north, mixed = wind[now, 0] / parts, wind[now, 1] / parts, diffusion / parts
        gone = 1 - (1 - decay) ** (1 / parts)
        for _ in range(parts):
            column = column + emitted[now] / parts
            total += emitted[now].sum() / parts
            fresh = column.copy()
            for y in range(high):
                for x in range(wide):
                    here = column[y, x]
                    to = (max(east, 0.0) + mixed, max(-east, 0.0) + mixed, max(north, 0.0) + mixed,
                          max(-north, 0.0) + mixed)
                    fresh[y, x] -= here * (to[0] + to[1] + to[2] + to[3])
                    if x + 1 < wide:
                        fresh[y, x + 1] += here * to[0]
                    else:
                        out += here * to[0]
                    if x > 0:
                        fresh[y, x - 1] += here * to[1]
                    else:
                        out += here * to[1]
                    if y + 1 < high:
                        fresh[y + 1, x] += here * to[2]
                    else:
                        out += here * to[2]
                    if y > 0:
                        fresh[y - 1, x] += here * to[3]
                    else:
                        out += here * to[3]
            lost += gone * fresh.sum()
            column = (1 - gone) * fresh
        seen[now] = column
    return seen, np.array([total, out, lost, column.sum()])


def at_stations(seen: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The field (time, y, x) at positions (node, 2) in cells x, y, bilinear; (time, node).

    >>> at_stations(np.arange(4.0).reshape(1, 2, 2), np.array([[0.5, 0.5]])).tolist()
    [[1.5]]
    """
    limit = np.array(seen.shape[:0:-1]) - 2
    corner = np.clip(np.floor(at).astype(int), 0, limit)
    part = at - corner
    total = np.zeros((len(seen), len(at)))
    for dx in (0, 1):
        for dy in (0, 1):
            weight = np.where(dx, part[:, 0], 1 - part[:, 0]) * np.where(dy, part[:, 1], 1 - part[:, 1])
            total += weight * seen[:, corner[:, 1] + dy, corner[:, 0] + dx]
    return total
