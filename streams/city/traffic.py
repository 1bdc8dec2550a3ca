"""Traffic on the ring road and its spokes: commuters' days and weeks, queues that travel, rain that slows."""

from __future__ import annotations

import numpy as np

from terracast.streams.city.world import CityWorld, remembered


def make_traffic(world: CityWorld) -> None:
    """Add volume and speed, in causal order, to the world."""
    _volume(world)
    _speed(world)


def _volume(world: CityWorld) -> None:
    count = len(world.layout.names["traffic"])
    roads = world.random("traffic.roads")
    capacity = roads.uniform(700, 1900, count)
    inbound = roads.uniform(0.3, 0.7, count)
    memory = 0.55 * np.eye(count) + 0.25 * world.layout.road_mixing()
    forcing = world.noise("traffic.volume", 0.075, 6.0, 0.3) + world.forcing("traffic.volume")
    usual = _week(world.hour, world.weekday, inbound) * _year(world.season)
    values = world.keep("traffic.volume", capacity * usual * np.exp(remembered(forcing, memory)))
    world.signals["traffic.volume"] = values / capacity


def _week(hour: np.ndarray, weekday: np.ndarray, inbound: np.ndarray) -> np.ndarray:
    """Share of the mean volume by hour of the week, mean 1 over a week, (time, node).

    Inbound roads have the larger peak in the morning, outbound ones in the evening.
    """
    def shape(hour: np.ndarray, weekday: np.ndarray) -> np.ndarray:
        day = 0.18 + 0.62 * _hill(hour, 13.5, 4.5)
        work = day + 1.5 * inbound * _hill(hour, 8.0, 1.5) + 1.5 * (1 - inbound) * _hill(hour, 17.5, 2.0)
        friday = np.where(weekday == 4, 1.06, 1.0)
        free = 0.2 + np.where(weekday == 5, 0.8, 0.65) * _hill(hour, 14.5, 4.0)
        return np.where(weekday < 5, work * friday, free)

    hours = np.arange(168)[:, None]
    return np.asarray(shape(hour, weekday) / shape(hours % 24, hours // 24).mean(axis=0))


def _hill(hour: np.ndarray, peak: float, width: float) -> np.ndarray:
    """A bump around ``peak`` on the 24-hour circle, height 1."""
    apart = np.abs(hour - peak)
    return np.asarray(np.exp(-0.5 * (np.minimum(apart, 24 - apart) / width) ** 2))


def _year(season: np.ndarray) -> np.ndarray:
    """Summer holidays and the end of the year are quieter."""
    day = season * 365.25
    new_year = np.minimum(np.abs(day - 359), 365.25 - np.abs(day - 359))
    return np.asarray(1.02 - 0.13 * np.exp(-((day - 225) / 16) ** 2) - 0.22 * np.exp(-((new_year / 6) ** 2)))


def _speed(world: CityWorld) -> None:
    count = len(world.layout.names["traffic"])
    free_flow = world.random("traffic.free_flow").uniform(62, 95, count)
    memory = 0.35 * np.eye(count) + 0.15 * world.layout.road_mixing()
    forcing = world.noise("traffic.speed", 0.04, 6.0, 0.4) + world.forcing("traffic.speed")
    values = free_flow * 0.78 * np.exp(remembered(forcing, memory))
    # Nobody drives much faster than free flow: bend the top instead of cutting it.
    world.keep("traffic.speed", 1.15 * free_flow * np.tanh(values / (1.15 * free_flow)))
