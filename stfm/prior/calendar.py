"""People's days and weeks: counts and loads that follow hours, weekends, holidays and school years.

level × day profile × weekday × season × weather × slow wander × bursts, then counted. Roads, bikes, buses, shops,
calls and web pages look like this: the season is sharp, multiplicative and bound to people's clocks, weekends have
their own shape, a holiday looks like a Sunday, bad weather takes a share away.
"""

from __future__ import annotations

import numpy as np

from terracast.stfm.prior.clock import DAY, YEAR, WorldClock
from terracast.stfm.prior.noise import bursts, jumps, log_uniform, ornstein, shots, wandering, white
from terracast.stfm.prior.places import Places
from terracast.stfm.prior.profiles import bump, harmonic, human_day
from terracast.stfm.prior.world import Draft, WorldSeries, chosen_drivers, driver


def calendar(rng: np.random.Generator, clock: WorldClock, places: Places) -> Draft:
    """Human activity at each node; drivers: weather that keeps people in, the holiday flag.

    >>> from terracast.stfm.prior.clock import draw_clock
    >>> from terracast.stfm.prior.places import draw_places
    >>> rng = np.random.default_rng(0)
    >>> bool((calendar(rng, draw_clock(rng, 64), draw_places(rng, 4)).target.values >= 0).all())
    True
    """
    holiday = holidays(rng, clock)
    weather, effect = _weather(rng, clock, places)
    usual = activity(rng, clock, places.count, holiday) * year_of_people(rng, clock, places.count)
    mixing = places.mixing(rng)
    days = _day_to_day(rng, clock, mixing)
    drift = log_uniform(rng, 0.02, 0.5) * wandering(rng, clock.steps, places.mixing(rng), rng.uniform(1.0, 2.5))
    short = log_uniform(rng, 0.01, 0.5) * ornstein(rng, clock.steps, mixing, log_uniform(rng, 0.3, 12.0))
    trend = 0.4 * rng.standard_normal() * np.linspace(-0.5, 0.5, clock.steps)[:, None] * clock.span / YEAR
    logs = np.clip(effect + days + drift + short + np.clip(trend, -1.5, 1.5), -4.0, 3.0)
    if rng.random() < 0.15:
        logs = logs + 0.5 * jumps(rng, clock.steps, places.count, expected=2.0)
    expected = usual * np.exp(logs)
    if rng.random() < 0.2:  # a match, a fair, a breakdown elsewhere
        expected = expected * (1 + shots(rng, clock.steps, places.count, 3.0 / clock.steps, log_uniform(rng, 1, 8)))
    sizes = np.exp(rng.uniform(0.1, 1.2) * rng.standard_normal(places.count))
    level = log_uniform(rng, 0.2, 3000.0)
    values, whole = _counted(rng, level * sizes * expected)
    flag = WorldSeries("holiday", np.repeat(holiday[:, None], places.count, 1).astype(float), role="future_driver",
                       lag=0)
    drivers = chosen_drivers(rng, [*weather, flag])
    graph = places.nearest_graph(3) if rng.random() < 0.4 else None
    return Draft(clock, places, (WorldSeries("activity", values, "count"), *drivers), "activity", graph=graph,
                 whole=whole,
                 floor=0.0)


def holidays(rng: np.random.Generator, clock: WorldClock) -> np.ndarray:
    """True on some five to fifteen free days a year, the same dates every year, and on bridging days; (time,)."""
    day_of_year = np.floor(clock.year * 365.2425).astype(int)
    free = rng.choice(365, int(rng.integers(5, 16)), replace=False)
    if rng.random() < 0.6:
        free = np.concatenate([free, [0, 358, 359]])
    return np.isin(day_of_year, free)


def activity(rng: np.random.Generator, clock: WorldClock, nodes: int, holiday: np.ndarray) -> np.ndarray:
    """Share of the mean by hour and weekday, (time, node), mean near 1: nodes mix two ways of living."""
    rest_days = (5, 6) if rng.random() < 0.85 else ((4, 5) if rng.random() < 0.5 else (6,))
    free = np.isin(clock.weekday, rest_days) | holiday
    by_weekday = np.exp(rng.uniform(0.0, 0.15) * rng.standard_normal(7))
    by_weekday[list(rest_days)] *= log_uniform(rng, 0.25, 1.5)
    by_weekday[rest_days[-1]] *= rng.uniform(0.6, 1.05)
    daily = np.where(holiday, by_weekday[rest_days[-1]], by_weekday[clock.weekday])
    if not clock.has(DAY):
        shares = np.exp(rng.uniform(-0.5, 0.5, nodes) * np.where(free, 1.0, 0.0)[:, None])
        return np.asarray((daily[:, None] * shares) if clock.step <= DAY else np.ones((clock.steps, nodes)))
    ways = []
    grid = np.arange(96) / 96
    for _ in range(2):
        seed = int(rng.integers(2**32))
        work = human_day(np.random.default_rng(seed), np.concatenate([clock.day, grid]), free=False)
        rest = human_day(np.random.default_rng(seed + 1), np.concatenate([clock.day, grid]), free=True)
        if rng.random() < 0.2:
            rest = work
        mean = (5 * work[-96:].mean() + 2 * rest[-96:].mean()) / 7
        ways.append(np.where(free, rest[:-96] * work[-96:].mean() / rest[-96:].mean(), work[:-96]) / mean)
    share = rng.beta(0.6, 0.6, nodes)
    return np.asarray(daily[:, None] * (ways[0][:, None] * share + ways[1][:, None] * (1 - share)))


def year_of_people(rng: np.random.Generator, clock: WorldClock, nodes: int) -> np.ndarray:
    """Summer and winter, school holidays, the quiet days at the year's end; (time, node), around 1."""
    logs = rng.uniform(0.0, 0.5) * harmonic(rng, clock.year, nodes, 2)
    if rng.random() < 0.5:
        for peak, width in ((rng.uniform(0.5, 0.65), 0.04), (rng.uniform(0.2, 0.35), 0.012), (0.99, 0.012)):
            logs = logs - rng.uniform(-0.1, 0.5) * bump(clock.year, peak, width)[:, None]
    return np.asarray(np.exp(np.clip(logs, -2.5, 1.5)))


def _day_to_day(rng: np.random.Generator, clock: WorldClock, mixing: np.ndarray) -> np.ndarray:
    """Days differ as wholes: the same factor from midnight to midnight, remembered for some days."""
    days = clock.date - clock.date[0]
    memory = log_uniform(rng, 0.3, 10.0)
    return np.asarray(log_uniform(rng, 0.02, 0.3) * ornstein(rng, int(days[-1]) + 1, mixing, memory)[days])


def _weather(rng: np.random.Generator, clock: WorldClock, places: Places) -> tuple[list[WorldSeries], np.ndarray]:
    """Warmth and wetness that draw people out or keep them in, and the sum of what they do to log activity."""
    mixing = places.mixing(rng, own=0.02, reach=4 * places.size)
    spell = ornstein(rng, clock.steps, mixing, rng.uniform(2.0, 6.0) * max(clock.per_day, 0.3))
    phase = 2 * np.pi * (clock.year - rng.uniform(0, 1))
    day = 2 * np.pi * (clock.day - 0.62)
    warmth = rng.uniform(2, 12) * -np.cos(phase) + rng.uniform(0, 5) * np.cos(day) * clock.has(DAY)
    warmth = rng.uniform(0, 25) + warmth[:, None] + rng.uniform(1, 4) * spell
    wet_spell = ornstein(rng, clock.steps, mixing, rng.uniform(0.1, 0.6) * max(clock.per_day, 1.0))
    rain = np.maximum(wet_spell - rng.uniform(0.3, 1.8), 0.0) * log_uniform(rng, 0.5, 5.0)
    answer = rng.uniform(0.0, 0.06) * (warmth - warmth.mean()) - rng.uniform(0.0, 0.8) * np.tanh(rain)
    if rng.random() < 0.3:
        answer = np.zeros_like(answer)
    return [driver("temperature", warmth, rng, "degC", 0), driver("rain", rain, rng, "mm", 0)], answer


def _counted(rng: np.random.Generator, expected: np.ndarray) -> tuple[np.ndarray, bool]:
    """Poisson or over-dispersed counts of what is expected, or a measured rate with a relative error."""
    expected = np.clip(expected, 0.0, 1e7)
    kind = rng.random()
    if kind < 0.4:
        return rng.poisson(expected).astype(float), True
    if kind < 0.65:
        shape = log_uniform(rng, 1.0, 60.0)
        return rng.poisson(expected * rng.gamma(shape, 1 / shape, expected.shape)).astype(float), True
    apart = np.eye(expected.shape[1])
    noise = log_uniform(rng, 0.005, 0.3) * white(rng, len(expected), apart)
    return np.asarray(expected * np.exp(noise * bursts(rng, len(expected), apart, 20.0, rng.uniform(0, 0.5)))), False
