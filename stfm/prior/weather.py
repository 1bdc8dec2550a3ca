"""Weather at stations: a year and a day of the sun, spells of days (an AR process of synoptic scale), and what hangs
on them: humidity between 0 and 100 %, Weibull wind, rain that comes and goes, pressure, radiation dark at night.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from terracast.stfm.prior.clock import DAY, YEAR, WorldClock
from terracast.stfm.prior.gaussian import matern, sampled
from terracast.stfm.prior.noise import bursts, log_uniform, ornstein, wandering, white
from terracast.stfm.prior.places import Places
from terracast.stfm.prior.profiles import south, sunshine
from terracast.stfm.prior.world import Draft, WorldSeries, chosen_drivers, driver

UNITS = {"temperature": "degC", "humidity": "%", "wind_speed": "m s-1", "rain": "mm", "pressure": "hPa",
         "radiation": "W m-2", "dew_point": "degC"}
OFTEN = {"temperature": 0.3, "humidity": 0.12, "wind_speed": 0.22, "rain": 0.1, "pressure": 0.1, "radiation": 0.08,
         "dew_point": 0.08}


def weather(rng: np.random.Generator, clock: WorldClock, places: Places) -> Draft:
    """One weather variable to forecast, up to three others as drivers.

    >>> from terracast.stfm.prior.clock import draw_clock
    >>> from terracast.stfm.prior.places import draw_places
    >>> rng = np.random.default_rng(0)
    >>> weather(rng, draw_clock(rng, 64), draw_places(rng, 4)).domain
    'weather'
    """
    made = sky(rng, clock, places)
    target = str(rng.choice(list(OFTEN), p=list(OFTEN.values())))
    others = [driver(name, made[name], rng, UNITS[name]) for name in made if name != target]
    others = [others[at] for at in rng.permutation(len(others))]
    floor = 0.0 if target in ("humidity", "wind_speed", "rain", "radiation") else None
    return Draft(clock, places, (WorldSeries(target, made[target], UNITS[target]), *chosen_drivers(rng, others)),
                 "weather",
                 floor=floor)


def sky(rng: np.random.Generator, clock: WorldClock, places: Places) -> dict[str, np.ndarray]:
    """All weather variables, (time, node) each, from shared spells; a climate is drawn first."""
    per_day = max(clock.per_day, 1 / 30)
    mixing = places.mixing(rng, reach=places.size * log_uniform(rng, 1.0, 20.0), own=float(rng.uniform(0, 0.1)))
    spell_days = rng.uniform(1.5, 6.0)
    front = fronts(rng, clock, places, mixing, spell_days * per_day)
    spell = 0.8 * ornstein(rng, clock.steps, mixing, spell_days * 1.4 * per_day) + 0.6 * front
    sun = sunshine(clock.day, clock.year, places.lat) if clock.has(DAY) else _daily_sun(clock, places.lat)
    cloud = ndtr(1.3 * front + 0.6 * ornstein(rng, clock.steps, mixing, 0.2 * per_day) + rng.uniform(-1, 1))
    temperature = _temperature(rng, clock, places, sun, spell, cloud)
    return {"temperature": temperature, **_water(rng, clock, places, temperature, front),
            "wind_speed": _wind(rng, clock, places, mixing, front),
            "rain": _rain(rng, clock, places, mixing, front),
            "pressure": _pressure(rng, clock, places, front, mixing),
            "radiation": 1000 * sun[:, None] * (1 - rng.uniform(0.4, 0.9) * cloud)}


def fronts(rng: np.random.Generator, clock: WorldClock, places: Places, mixing: np.ndarray,
           memory: float) -> np.ndarray:
    """Spells that cross the country at 15 … 70 km/h: who lies where they come from sees them first; variance 1."""
    if rng.random() < 0.25:
        return ornstein(rng, clock.steps, mixing, memory)
    heading, speed = rng.uniform(0, 2 * np.pi), rng.uniform(15, 70)  # km/h
    along = (places.xy - places.xy.mean(0)) @ np.array([np.cos(heading), np.sin(heading)])
    kernel = matern(np.arange(clock.steps + 1.0), max(memory, 0.05), int(rng.integers(0, 2)))
    return sampled(rng, kernel, mixing, along / speed * 3600 / clock.step)


def _daily_sun(clock: WorldClock, lat: float) -> np.ndarray:
    """Mean of the sun's height over a day, by day of year."""
    hours = np.arange(24) / 24
    grid = np.array([sunshine(hours, np.full(24, turn), lat).mean() for turn in np.arange(48) / 48])
    return np.asarray(np.interp(clock.year, np.arange(49) / 48, np.append(grid, grid[0])))


def _temperature(rng: np.random.Generator, clock: WorldClock, places: Places, sun: np.ndarray, spell: np.ndarray,
                 cloud: np.ndarray) -> np.ndarray:
    """Annual wave by latitude, a daily wave larger under a clear sky and a high sun, spells larger in winter."""
    swing = rng.uniform(0.1, 0.35) * abs(places.lat) + rng.uniform(0.3, 2.0)
    turn = 2 * np.pi * (clock.year - 0.04 - south(places.lat) - rng.uniform(0.0, 0.04))
    mean = 27 - 0.35 * abs(places.lat) + rng.normal(0, 3)
    height = 3 * rng.standard_normal(places.count) * rng.uniform(0, 1)
    values = mean + height - swing * np.cos(turn)[:, None]
    if clock.has(DAY):
        daily = rng.uniform(0.5, 6.0) * np.cos(2 * np.pi * (clock.day - rng.uniform(0.58, 0.66)))
        second = 0.2 * rng.uniform(0, 3.0) * np.cos(4 * np.pi * (clock.day - rng.uniform(0, 1)))
        high = 0.5 + _daily_sun(clock, places.lat) / 0.3
        values = values + ((daily + second) * high)[:, None] * (1.2 - 0.8 * cloud)
    winter = 1 + rng.uniform(0, 0.4) * np.cos(turn)[:, None]
    values = values + rng.uniform(0.8, 5.0) * winter * spell
    slow = wandering(rng, clock.steps, places.mixing(rng, own=0.0, reach=50 * places.size), 1.0)
    warming = rng.uniform(0, 0.05) * clock.seconds[:, None] / YEAR
    quick = 0.3 * ornstein(rng, clock.steps, np.eye(places.count), 2.0)
    return np.asarray(values + rng.uniform(0, 1.0) * slow + warming + quick)


def _water(rng: np.random.Generator, clock: WorldClock, places: Places, temperature: np.ndarray, front: np.ndarray,
           ) -> dict[str, np.ndarray]:
    """Dew point follows temperature slowly and never exceeds it; relative humidity by Magnus' formula."""
    per_day = max(clock.per_day, 1 / 30)
    air = ornstein(rng, clock.steps, places.mixing(rng, own=0.05), rng.uniform(1, 5) * per_day)
    window = max(1, round(per_day))
    lowest = temperature - _smooth(temperature, window)
    depression = np.exp(np.log(rng.uniform(2, 12)) - 0.4 * front - 0.4 * air)
    dew = np.minimum(_smooth(temperature, window) - depression + 0.15 * lowest, temperature)

    def pressure(celsius: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(17.62 * celsius / (243.12 + np.maximum(celsius, -80.0))))

    return {"dew_point": dew, "humidity": np.clip(100 * pressure(dew) / pressure(temperature), 1.0, 100.0)}


def _smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of the last ``window`` steps (fewer at the beginning); never of later ones."""
    sums = np.cumsum(np.concatenate([np.zeros((1, values.shape[1])), values]), axis=0)
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(ends - window, 0)
    return np.asarray((sums[ends] - sums[begins]) / (ends - begins)[:, None])


def _wind(rng: np.random.Generator, clock: WorldClock, places: Places, mixing: np.ndarray,
          front: np.ndarray) -> np.ndarray:
    """Weibull speeds of shape 1.4 … 2.6 made from a normal score: fronts, gusts, afternoons, winters."""
    per_day = max(clock.per_day, 1 / 30)
    weight = rng.uniform(0.2, 0.8)
    gusts = ornstein(rng, clock.steps, places.mixing(rng), rng.uniform(0.05, 1.0) * per_day)
    score = np.sqrt(weight) * front + np.sqrt(1 - weight) * gusts
    score = score + rng.uniform(0, 0.6) * np.cos(2 * np.pi * (clock.year - 0.05 - south(places.lat)))[:, None]
    if clock.has(DAY):
        score = score + rng.uniform(0, 1.0) * np.cos(2 * np.pi * (clock.day - rng.uniform(0.5, 0.7)))[:, None]
    score = score + rng.uniform(0, 0.2) * white(rng, clock.steps, mixing)
    speed = (-np.log1p(-np.clip(ndtr(score), 1e-6, 1 - 1e-9))) ** (1 / rng.uniform(1.4, 2.6))
    return np.asarray(log_uniform(rng, 1.5, 10.0) * np.exp(0.25 * rng.standard_normal(places.count)) * speed)


def _rain(rng: np.random.Generator, clock: WorldClock, places: Places, mixing: np.ndarray,
          front: np.ndarray) -> np.ndarray:
    """It rains where a mixture of front and showers exceeds a threshold; wetter in one season."""
    per_day = max(clock.per_day, 1 / 30)
    shower = ornstein(rng, clock.steps, places.mixing(rng), rng.uniform(0.05, 0.3) * per_day)
    weight = rng.uniform(0.1, 0.8)
    season = rng.uniform(0, 0.8) * np.cos(2 * np.pi * (clock.year - rng.uniform(0, 1)))[:, None]
    score = np.sqrt(weight) * front + np.sqrt(1 - weight) * shower + season - rng.uniform(0.0, 1.6)
    sizes = bursts(rng, clock.steps, mixing, 0.1 * per_day, rng.uniform(0.2, 0.9))
    return np.asarray(log_uniform(rng, 0.5, 8.0) * sizes * np.maximum(score, 0.0) ** rng.uniform(1.0, 2.2))


def _pressure(rng: np.random.Generator, clock: WorldClock, places: Places, front: np.ndarray, mixing: np.ndarray,
              ) -> np.ndarray:
    """Smooth: an integrated process, low where fronts pass, with the half-daily tide of the atmosphere."""
    per_day = max(clock.per_day, 1 / 30)
    slow = ornstein(rng, clock.steps, mixing, 4 * per_day)
    values = _smooth(0.5 * slow - front, max(1, round(0.4 * per_day)))
    tide = rng.uniform(0, 1.5) * np.cos(4 * np.pi * (clock.day - 0.42)) if clock.has(DAY / 2) else np.zeros(clock.steps)
    season = rng.uniform(0, 5) * np.cos(2 * np.pi * clock.year)
    level = 1013 - 40 * abs(rng.standard_normal()) * rng.random(places.count)
    return np.asarray(level + rng.uniform(2, 10) * values + (tide + season)[:, None])
