"""Shapes that return: curves over a day, a week or a year, each node its own variant of a common one."""

from __future__ import annotations

import numpy as np

from terracast.stfm.prior.noise import log_uniform


def harmonic(rng: np.random.Generator, turn: np.ndarray, nodes: int, most: int = 6, alike: float = 0.85) -> np.ndarray:
    """A smooth curve over ``turn`` (time,) with up to ``most`` harmonics that fade; (time, node), spread 1.

    ``alike`` is the correlation of a node's curve with the common one.

    >>> harmonic(np.random.default_rng(0), np.linspace(0, 1, 8), 2).shape
    (8, 2)
    """
    count = int(rng.integers(1, most + 1))
    order = np.arange(1, count + 1)
    fade = order ** -rng.uniform(0.3, 2.0)
    shared, own = rng.standard_normal((2, count, 1)), rng.standard_normal((2, count, nodes))
    factors = (np.sqrt(alike) * shared + np.sqrt(1 - alike) * own) * fade[:, None]
    factors /= np.sqrt((factors**2).sum((0, 1)).mean() / 2) + 1e-9
    angle = 2 * np.pi * turn[:, None] * order
    return np.asarray(np.einsum("tk,kn->tn", np.cos(angle), factors[0])
                      + np.einsum("tk,kn->tn", np.sin(angle), factors[1]))


def bump(turn: np.ndarray, peak: np.ndarray | float, width: np.ndarray | float) -> np.ndarray:
    """A hill of height 1 around ``peak`` on a circle of length 1.

    >>> bump(np.array([0.0, 0.5, 1.0]), 0.0, 0.1).round(2).tolist()
    [1.0, 0.0, 1.0]
    """
    apart = np.abs((turn - peak + 0.5) % 1.0 - 0.5)
    return np.asarray(np.exp(-0.5 * (apart / width) ** 2))


def human_day(rng: np.random.Generator, day: np.ndarray, free: bool) -> np.ndarray:
    """Activity over hours of a day (0 … 1) of ``day`` turns: base, a broad daytime hill, rush hours; (time,)."""
    base = rng.uniform(0.02, 0.35)
    noon = rng.uniform(11, 17) / 24
    profile = base + rng.uniform(0.2, 1.0) * bump(day, noon, rng.uniform(2.5, 5.0) / 24)
    peaks = (8.0, 17.5, 12.5, 20.0) if not free else (11.0, 15.0, 19.5, 0.5)
    for hour in peaks[:int(rng.integers(0, 5))]:
        height = log_uniform(rng, 0.15, 2.0) * (0.4 if free else 1.0)
        profile = profile + height * bump(day, (hour + 0.8 * rng.standard_normal()) / 24, rng.uniform(0.5, 2.2) / 24)
    night = bump(day, (3.5 + 0.8 * rng.standard_normal()) / 24, rng.uniform(1.5, 3.0) / 24)
    return np.asarray(profile * (1 - rng.uniform(0.3, 0.97) * night))


def sunshine(day: np.ndarray, year: np.ndarray, lat: float) -> np.ndarray:
    """Sine of the sun's height, 0 at night: declination and hour angle (Spencer 1971, first term only); (time,).

    >>> sunshine(np.array([0.0, 0.5]), np.array([0.2, 0.2]), 0.0).round(1).tolist()
    [0.0, 1.0]
    """
    declination = np.radians(-23.44) * np.cos(2 * np.pi * (year + 10 / 365.25))
    height = (np.sin(np.radians(lat)) * np.sin(declination)
              + np.cos(np.radians(lat)) * np.cos(declination) * np.cos(2 * np.pi * (day - 0.5)))
    return np.asarray(np.maximum(height, 0.0))


def south(lat: float) -> float:
    """Turn of the year by which the seasons are shifted: half a year in the south."""
    return 0.5 if lat < 0 else 0.0
