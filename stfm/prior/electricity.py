"""Electric load and the machines that carry it: activity and weather make load, load and air heat oil.

A machine is a first-order thermal body (IEC 60076-7 in its simplest form): its excess temperature follows the square of
the load with a lag of hours. Levels shift when feeders are switched, and drift over months.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from terracast.stfm.prior.calendar import activity, holidays
from terracast.stfm.prior.clock import DAY, WorldClock
from terracast.stfm.prior.noise import jumps, log_uniform, ornstein, wandering, white
from terracast.stfm.prior.places import Places
from terracast.stfm.prior.profiles import harmonic
from terracast.stfm.prior.weather import sky
from terracast.stfm.prior.world import Draft, WorldSeries, chosen_drivers, driver


def electricity(rng: np.random.Generator, clock: WorldClock, places: Places) -> Draft:
    """Load, reactive load, net load after sun and wind, or a machine's temperature; the others are drivers.

    >>> from terracast.stfm.prior.clock import draw_clock
    >>> from terracast.stfm.prior.places import draw_places
    >>> rng = np.random.default_rng(0)
    >>> electricity(rng, draw_clock(rng, 64), draw_places(rng, 4)).domain
    'energy'
    """
    air = sky(rng, clock, places)
    load = _load(rng, clock, places, air["temperature"])
    oil = machine_temperature(rng, clock, load, air["temperature"])
    solar = air["radiation"] / 1000 * rng.uniform(0, 1.5, places.count)
    wind = np.clip(air["wind_speed"] / 12, 0, 1) ** 3 * rng.uniform(0, 1, places.count)
    reactive = rng.uniform(-0.5, 0.8, places.count) * load + 0.3 * _shifting(rng, clock, places)
    made = {"load": load, "oil_temperature": oil, "net_load": load - solar - wind, "reactive_load": reactive,
            "generation": solar + wind}
    if rng.random() < 0.35:  # one machine whose several quantities are the nodes
        return _channels(rng, clock, places, made)
    name = str(rng.choice(list(made), p=[0.4, 0.25, 0.15, 0.1, 0.1]))
    candidates = [driver("air_temperature", air["temperature"], rng, "degC", 0)]
    candidates += [driver(other, made[other], rng) for other in ("load", "oil_temperature") if other != name]
    units = "degC" if name == "oil_temperature" else "MW"
    return Draft(clock, places, (WorldSeries(name, made[name], units), *chosen_drivers(rng, candidates)), "energy")


def _channels(rng: np.random.Generator, clock: WorldClock, places: Places, made: dict[str, np.ndarray]) -> Draft:
    """Each node another quantity of the same machine, each in its own scale."""
    names = rng.choice(list(made), places.count)
    nodes = rng.integers(0, places.count, places.count)
    values = np.stack([made[name][:, node] for name, node in zip(names, nodes, strict=True)], 1)
    values = values + 0.2 * values.std(0) * ornstein(rng, clock.steps, np.eye(places.count), log_uniform(rng, 0.3, 10))
    scale = np.exp(rng.standard_normal(places.count)) / (values.std(0) + 1e-6)
    return Draft(clock, places, (WorldSeries("channel", values * scale),), "energy")


def _load(rng: np.random.Generator, clock: WorldClock, places: Places, temperature: np.ndarray) -> np.ndarray:
    """Base + people + heating below 15 °C + cooling above 22 °C + slow and quick noise + switching; about 1."""
    flattened = rng.uniform(0.1, 1.0)
    people = activity(rng, clock, places.count, holidays(rng, clock)) ** flattened
    heat = log_uniform(rng, 0.002, 0.04) * np.maximum(15 - temperature, 0)
    cool = log_uniform(rng, 0.002, 0.05) * np.maximum(temperature - 22, 0)
    share = log_uniform(rng, 0.05, 1.0)
    own = share * (people - people.mean(0))
    if clock.has(DAY) and rng.random() < 0.5:  # load that is switched by clocks: sharp, not like people's days
        own = own + 0.15 * harmonic(rng, clock.day, places.count, 8)
    quick = log_uniform(rng, 0.02, 0.4) * ornstein(rng, clock.steps, places.mixing(rng), log_uniform(rng, 0.3, 24.0),
                                                   tail=None if rng.random() < 0.5 else 4.0)
    return np.asarray(rng.uniform(0.3, 1.5) + own + heat + cool + quick + _shifting(rng, clock, places))


def _shifting(rng: np.random.Generator, clock: WorldClock, places: Places) -> np.ndarray:
    """A level that wanders over the whole panel and now and then is switched."""
    slow = log_uniform(rng, 0.03, 0.8) * wandering(rng, clock.steps, places.mixing(rng), rng.uniform(1.0, 2.4))
    return np.asarray(slow + log_uniform(rng, 0.02, 0.5) * jumps(rng, clock.steps, places.count, expected=3.0))


def machine_temperature(rng: np.random.Generator, clock: WorldClock, load: np.ndarray, air: np.ndarray) -> np.ndarray:
    """Air plus a rise that follows load² with a thermal lag of 1 … 12 h, (time, node), °C."""
    lag = rng.uniform(1.0, 12.0) * 3600 / clock.step
    keep = float(np.exp(-1 / max(lag, 1e-3)))
    rise = rng.uniform(5, 40) * np.minimum(load**2, 9.0)
    settled = lfilter([1 - keep], [1.0, -keep], rise - rise[0], axis=0) + rise[0]
    slow_air = lfilter([1 - keep], [1.0, -keep], air - air[0], axis=0) + air[0]
    return np.asarray(slow_air + settled + rng.uniform(0.1, 1.0) * white(rng, len(load), np.eye(load.shape[1])))
