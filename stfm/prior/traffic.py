"""Roads: waves of cars on a corridor, by the cell transmission model (Daganzo 1994).

Cells pass on what the one can send and the next can take; beyond a critical density the flow falls and a queue
travels backwards against the traffic. Demand comes at the upstream end and on ramps with people's hours; crashes
and bottlenecks take capacity away. Speeds stay near free flow and drop sharply in a jam. Cars are conserved.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from terracast.stfm.prior.calendar import activity, holidays
from terracast.stfm.prior.clock import WorldClock
from terracast.stfm.prior.noise import log_uniform, ornstein, shots
from terracast.stfm.prior.places import Places
from terracast.stfm.prior.world import Draft, WorldSeries, chosen_drivers, driver

JAM = 110.0  # cars per km and lane
BACKWARD = 18.0  # km/h, the speed of the wave that travels backwards
RUN_IN = 20  # steps in which the road fills


def traffic(rng: np.random.Generator, clock: WorldClock, places: Places) -> Draft:
    """Speed, flow or occupancy at sensors along a corridor; the others may be drivers.

    >>> from terracast.stfm.prior.clock import draw_clock
    >>> from terracast.stfm.prior.places import draw_places
    >>> rng = np.random.default_rng(0)
    >>> traffic(rng, draw_clock(rng, 64, ("5min",)), draw_places(rng, 4)).domain
    'traffic'
    """
    nodes = places.count
    cells = nodes + int(rng.integers(2, 2 * nodes + 6))
    free = rng.uniform(50, 115)
    substeps = max(1, int(np.ceil(clock.step / 60.0)))
    if clock.step > 1800:
        substeps = 40
    hours = clock.step / 3600 / substeps
    length = 1.05 * free * hours  # as short as a car may cross in one substep
    demand, ramp, leaving = _demand(rng, clock, cells)
    capacity = _capacity(rng, clock, cells)
    most = free * BACKWARD * JAM / (free + BACKWARD)
    demand, ramp, capacity = (np.concatenate([np.repeat(part[:1], RUN_IN, 0), part]) * most
                              for part in (demand, ramp, capacity))
    density, flow, _ = transmit(demand, ramp, leaving, capacity, free, length, hours, substeps)
    density, flow = density[RUN_IN:], flow[RUN_IN:]
    at = np.sort(rng.choice(np.arange(1, cells), nodes, replace=False))
    made = _measured(rng, clock, density[:, at], flow[:, at], free)
    name = str(rng.choice(["speed", "flow", "occupancy"], p=[0.6, 0.25, 0.15]))
    units = {"speed": "km h-1", "flow": "h-1", "occupancy": "%"}
    others = [driver(other, made[other], rng, units[other]) for other in made if other != name]
    along = (at[:, None] - at[None]) * length
    graph = np.where((np.abs(along) > 0) & (np.abs(along) < 4 * length), np.exp(-np.abs(along) / length / 3), 0.0)
    line = Places(np.stack([at * length, 0.2 * length * np.sin(at)], 1), places.lat, places.lon)
    return Draft(clock, line, (WorldSeries(name, made[name], units[name]), *chosen_drivers(rng, others)), "traffic",
                 graph=graph if rng.random() < 0.8 else None, floor=0.0)


def _demand(rng: np.random.Generator, clock: WorldClock, cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares of capacity that want in at the upstream end (time,) and on ramps (time, cell); share that leaves."""
    shape = activity(rng, clock, 2, holidays(rng, clock))
    noise = np.exp(log_uniform(rng, 0.03, 0.25) * ornstein(rng, clock.steps, np.eye(2), log_uniform(rng, 1, 30)))
    days = clock.date - clock.date[0]
    each_day = np.exp(rng.uniform(0.02, 0.2) * rng.standard_normal(int(days[-1]) + 1))[days]
    wanted = shape / (shape.max() + 1e-9) * noise * each_day[:, None]
    ramps = (rng.random(cells) < 0.3) * rng.uniform(0.05, 0.3, cells)
    demand = rng.uniform(0.4, 1.15) * wanted[:, 0]
    leaving = (rng.random(cells) < 0.3) * rng.uniform(0.02, 0.2, cells)
    return demand, wanted[:, 1:] * ramps, leaving


def _capacity(rng: np.random.Generator, clock: WorldClock, cells: int) -> np.ndarray:
    """Share of full capacity, (time, cell): bottlenecks that are always there, and crashes now and then."""
    lanes: np.ndarray = 1 - (rng.random(cells) < 0.2) * rng.uniform(0.05, 0.45, cells)
    rate = log_uniform(rng, 0.02, 0.5) * clock.step / 86_400
    crash = shots(rng, clock.steps, cells, rate, rng.uniform(0.3, 2.0) * 3600 / clock.step, joint=0.0)
    weather = 1 - rng.uniform(0, 0.25) * (ornstein(rng, clock.steps, np.eye(1), 10800 / clock.step) > 1.3)
    # Breakdown is a matter of chance (Brilon et al. 2005): each place's capacity wavers from minute to minute.
    wavers = rng.uniform(0.01, 0.12) * ornstein(rng, clock.steps, np.eye(cells), rng.uniform(300, 1800) / clock.step)
    return np.asarray(np.clip(lanes + wavers, 0.2, 1.1) * np.clip(1 - 0.7 * crash, 0.05, 1) * weather)


@nb.njit(cache=True)
def transmit(demand: np.ndarray, ramp: np.ndarray, leaving: np.ndarray, capacity: np.ndarray, free: float,
             length: float, hours: float, substeps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean density (cars/km) and flow (cars/h) per step (time, cell), and the account (4,): cars in, out, on the
    road, turned away at the ends. Triangular fundamental diagram; needs length >= free · hours.

    ``demand`` (time,) and ``ramp``, ``capacity`` (time, cell) in cars/h; O(time × substeps × cell).
    """
    steps, cells = capacity.shape
    density, crossing = np.zeros(cells), np.zeros(cells + 1)
    mean, through = np.zeros((steps, cells)), np.zeros((steps, cells))
    account = np.zeros(4)
    for now in range(steps):
        for _ in range(substeps):
            for edge in range(cells + 1):
                sends = demand[now] if edge == 0 else min(free * density[edge - 1], capacity[now, edge - 1])
                takes = 1e9 if edge == cells else min(capacity[now, edge], BACKWARD * (JAM - density[edge]))
                crossing[edge] = max(min(sends, takes), 0.0)
            account[3] += (demand[now] - crossing[0]) * hours
            account[0] += crossing[0] * hours
            account[1] += crossing[cells] * hours
            for cell in range(cells):
                off = leaving[cell] * crossing[cell + 1] if cell < cells - 1 else 0.0
                off = min(off, max(density[cell] * length / hours - crossing[cell + 1], 0.0))
                room = (JAM - density[cell]) * length / hours - crossing[cell] + crossing[cell + 1] + off
                on = max(min(ramp[now, cell], 0.5 * room), 0.0)
                density[cell] += (crossing[cell] - crossing[cell + 1] + on - off) * hours / length
                account[0] += on * hours
                account[1] += off * hours
                account[3] += (ramp[now, cell] - on) * hours
                mean[now, cell] += density[cell] / substeps
                through[now, cell] += crossing[cell + 1] / substeps
    account[2] = density.sum() * length
    return mean, through, account


def _measured(rng: np.random.Generator, clock: WorldClock, density: np.ndarray, flow: np.ndarray, free: float,
              ) -> dict[str, np.ndarray]:
    """What loops report: speed flow/density (free flow on an empty road), with noise; each site its own limit."""
    speed = np.where(density > 0.3, flow / np.maximum(density, 0.3), free)
    speed = np.minimum(speed, free) * np.exp(0.08 * rng.standard_normal(density.shape[1]))
    # Cars do not all drive at the limit when the road fills: a gentle fall before the jam.
    speed = speed * (1 - rng.uniform(0, 0.15) * np.minimum(density / 20, 1))
    noise = log_uniform(rng, 0.01, 0.08) * rng.standard_normal(density.shape)
    slow = 0.03 * ornstein(rng, clock.steps, np.eye(density.shape[1]), 3.0)
    lanes = rng.integers(1, 5, density.shape[1])
    unit = 1.0 if rng.random() < 0.5 else 0.6214
    return {"speed": np.maximum(unit * speed * (1 + noise + slow), 0.5),
            "flow": np.maximum(lanes * flow * (1 + 2 * noise), 0.0),
            "occupancy": np.clip(100 * density / JAM * (1 + 2 * noise), 0, 100)}
