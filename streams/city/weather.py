"""Weather of the city: smooth temperature, gusty wind, rain that comes and goes."""

from __future__ import annotations

import numpy as np

from terracast.streams.city.world import CityWorld, remembered

MEAN_WIND = 3.0
RAIN_THRESHOLD = 1.3


def make_weather(world: CityWorld) -> None:
    """Add rain, wind speed and temperature, in causal order, to the world."""
    _rain(world)
    _wind(world)
    _temperature(world)


def _memory(world: CityWorld, own: float) -> np.ndarray:
    return own * np.eye(len(world.layout.names["weather"]))


def _rain(world: CityWorld) -> None:
    """Fronts are a smooth Gaussian field; it rains where it exceeds a threshold (about 9 % of hours)."""
    own = 0.85
    front = remembered(world.noise("weather.rain", np.sqrt(1 - own**2), 60.0, 0.05), _memory(world, own))
    summer = 0.15 * -np.cos(2 * np.pi * world.season)
    values = world.keep("weather.rain", 2.8 * np.maximum(front + summer - RAIN_THRESHOLD, 0.0) ** 1.4)
    world.signals["weather.rain"] = np.log1p(values)


def _wind(world: CityWorld) -> None:
    own = 0.85
    gusts = remembered(world.noise("weather.wind_speed", np.sqrt(1 - own**2), 50.0, 0.1), _memory(world, own))
    open_land = world.random("weather.openness").normal(0, 0.15, len(world.layout.names["weather"]))
    afternoon = 0.18 * np.cos(2 * np.pi * (world.hour - 14) / 24)
    winter = 0.12 * np.cos(2 * np.pi * world.season)
    speed = MEAN_WIND * np.exp(0.38 * gusts + afternoon + winter + open_land)
    values = world.keep("weather.wind_speed", speed)
    world.signals["weather.wind_speed"] = values / MEAN_WIND - 1


def _temperature(world: CityWorld) -> None:
    own = 0.92
    noise = world.noise("weather.temperature", 1.1, 80.0, 0.04)
    spell = remembered(noise + world.forcing("weather.temperature"), _memory(world, own))
    year = -9.5 * np.cos(2 * np.pi * (world.season - 0.055))
    sun = 2.6 - 1.4 * np.cos(2 * np.pi * world.season)
    day = sun * np.cos(2 * np.pi * (world.hour - 15) / 24)
    away = np.linalg.norm(world.layout.positions["weather"], axis=1)
    heat_island = 1.5 * np.exp(-away / 8.0) - 0.5
    values = world.keep("weather.temperature", 10.0 + year + day + heat_island + spell)
    world.signals["weather.temperature"] = (values - 10.0) / 10.0
