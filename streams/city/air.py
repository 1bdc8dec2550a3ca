"""Air of the city: traffic emits, wind ventilates, rain washes out, cold days hold more."""

from __future__ import annotations

import numpy as np

from terracast.streams.city.world import CityWorld, remembered


def make_air(world: CityWorld) -> None:
    """Add NO2 and PM2.5 to the world; both states are logarithms of the concentration over a node's base."""
    _pollutant(world, "air.no2", base=24.0, own=0.58, noise=0.085, night=0.02, kerb=0.5)
    _pollutant(world, "air.pm25", base=11.5, own=0.62, noise=0.085, night=0.03, kerb=0.25)


def _pollutant(world: CityWorld, series: str, *, base: float, own: float, noise: float, night: float,
               kerb: float) -> None:
    """``night``: hourly push of the low mixing layer at night; ``kerb``: how much more kerbsides hold."""
    count = len(world.layout.names["air"])
    memory = own * np.eye(count) + 0.2 * world.layout.air_mixing()
    mixing_layer = night * np.cos(2 * np.pi * (world.hour - 2) / 24)
    forcing = world.noise(series, noise, 10.0, 0.25) + world.forcing(series) + mixing_layer
    bases = base * world.exposure(series, "traffic.volume") ** kerb
    bases = bases * np.exp(world.random(series + ".base").normal(0, 0.08, count))
    world.keep(series, bases * np.exp(remembered(forcing, memory)))
