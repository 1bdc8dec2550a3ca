"""Trend × seasons × noise, put together plainly: from clean periodic signals to noise with a trace of a season.

The composition is the classic one (ForecastPFN: Dooley et al. 2023, made single series of it), here over nodes that
share it in part: sharp and smooth shapes, seasons that swell, move and change, a level that persists, noise that may
follow the level. Periods are people's and the sun's, or any other.
"""

from __future__ import annotations

import numpy as np

from terracast.stfm.prior.clock import DAY, WEEK, YEAR, WorldClock
from terracast.stfm.prior.noise import bursts, jumps, log_uniform, memory_of, ornstein, wandering, white
from terracast.stfm.prior.places import Places
from terracast.stfm.prior.profiles import harmonic, human_day
from terracast.stfm.prior.world import Draft, WorldSeries


def seasonal(rng: np.random.Generator, clock: WorldClock, places: Places) -> Draft:
    """One signal; its season, persistent rest and white noise have sizes of their own, two decades wide.

    >>> from terracast.stfm.prior.clock import draw_clock
    >>> from terracast.stfm.prior.places import draw_places
    >>> rng = np.random.default_rng(0)
    >>> seasonal(rng, draw_clock(rng, 64), draw_places(rng, 4)).target.values.shape[0]
    64
    """
    shape = _seasons(rng, clock, places)
    level = rng.uniform(0.0, 1.5) * wandering(rng, clock.steps, places.mixing(rng), rng.uniform(1.0, 2.5))
    if rng.random() < 0.25:
        level = level + rng.standard_normal() * np.linspace(-2, 2, clock.steps)[:, None]
    if rng.random() < 0.15:
        level = level + jumps(rng, clock.steps, places.count, expected=2.0)
    rest = log_uniform(rng, 0.03, 1.5) * ornstein(rng, clock.steps, places.mixing(rng), memory_of(rng, clock.steps))
    noise = log_uniform(rng, 0.01, 1.0) * white(rng, clock.steps, places.mixing(rng),
                                                tail=None if rng.random() < 0.7 else rng.uniform(2.5, 8.0))
    if rng.random() < 0.25:
        noise = noise * bursts(rng, clock.steps, places.mixing(rng), log_uniform(rng, 2, 200), rng.uniform(0.2, 0.9))
    if rng.random() < 0.5:
        return Draft(clock, places, (WorldSeries("signal", shape + level + rest + noise),), "signal")
    # Multiplied: what is large swings and errs more.
    gain = rng.uniform(0.1, 0.6)
    values = np.exp(np.clip(gain * (shape + level + rest), -6, 6)) * np.maximum(1 + gain * noise, 0.02)
    return Draft(clock, places, (WorldSeries("signal", values),), "signal", floor=0.0)


def _seasons(rng: np.random.Generator, clock: WorldClock, places: Places) -> np.ndarray:
    """One to three seasons, (time, node), each of spread about 1 times its weight; days first."""
    total = np.zeros((clock.steps, places.count))
    turns = [(period, turn) for period, turn in ((DAY, clock.day), (WEEK, clock.week), (YEAR, clock.year))
             if clock.has(period) and clock.span > 0.3 * period]
    chances = {DAY: 0.95, WEEK: 0.45, YEAR: 0.8}
    for period, turn in turns:
        if rng.random() < chances[period]:
            total += log_uniform(rng, 0.2, 2.0) * _one_season(rng, clock, places, turn, period / clock.step)
    if rng.random() < (0.12 if turns else 0.5):
        length = log_uniform(rng, 3.0, clock.steps / 2)
        turn = (np.arange(clock.steps) / length + rng.random()) % 1.0
        total += log_uniform(rng, 0.2, 2.0) * _one_season(rng, clock, places, turn, length)
    return total


def _one_season(rng: np.random.Generator, clock: WorldClock, places: Places, turn: np.ndarray,
                length: float) -> np.ndarray:
    """A shape over the turn, (time, node): smooth, human, saw, block or peak; it may swell or slowly change."""
    alike = float(rng.beta(3.0, 0.8))

    def drawn() -> np.ndarray:
        kind = rng.random()
        if kind < 0.5:
            return harmonic(rng, turn, places.count, int(rng.integers(1, 9)), alike)
        shifted = (turn[:, None] + (1 - alike) * 0.2 * rng.standard_normal(places.count) + rng.random()) % 1.0
        if kind < 0.7:
            curve = human_day(rng, np.linspace(0, 1, 97), free=False)
            values = np.interp(shifted, np.linspace(0, 1, 97), curve)
        elif kind < 0.8:
            values = np.where(shifted < rng.uniform(0.1, 0.9), shifted, shifted * rng.uniform(-1, 0.5))
        elif kind < 0.9:
            values = (shifted < rng.uniform(0.1, 0.9)).astype(float)
        else:
            values = np.maximum(np.sin(2 * np.pi * shifted), 0.0) ** rng.uniform(0.5, 6.0)
        return np.asarray((values - values.mean()) / (values.std() + 0.05))

    shape = drawn()
    if rng.random() < 0.4:  # one shape turns into another over the panel
        slow = 1 / (1 + np.exp(-2 * wandering(rng, clock.steps, np.eye(1), 2.5)))
        shape = slow * shape + (1 - slow) * drawn()
    if rng.random() < 0.5:  # some rounds are larger than others
        shape = shape * bursts(rng, clock.steps, places.mixing(rng), length * log_uniform(rng, 1, 30),
                               rng.uniform(0.05, 0.5))
    return shape
