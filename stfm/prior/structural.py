"""Causal panels: structural equations with lags, straight and bent, drivers that lead the target, regimes that change.

x_i(t) = Σ over links a_ij f_ij(x_j(t - lag)) + noise, every node the same mechanism with coefficients of its own, and
some of the neighbours' past (a spatial autoregression). Stable by construction: the sum of |a| per equation is
below 1 and every f grows no faster than its argument, so that no path can explode (small-gain argument).
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np

from terracast.stfm.prior.clock import DAY, YEAR, WorldClock
from terracast.stfm.prior.noise import bursts, log_uniform, ornstein, wandering, white
from terracast.stfm.prior.places import Places
from terracast.stfm.prior.profiles import harmonic
from terracast.stfm.prior.world import Draft, WorldSeries, chosen_drivers, driver

BENDS = 5  # straight, tanh, one-sided, threshold, wave
LONGEST_LAG = 24


@dataclass(frozen=True)
class Links:
    """One row a link: ``cause``, ``effect``, ``lag`` (steps), ``bend`` (which f), ``strength`` (link, node)."""

    cause: np.ndarray
    effect: np.ndarray
    lag: np.ndarray
    bend: np.ndarray
    strength: np.ndarray


def structural(rng: np.random.Generator, clock: WorldClock, places: Places) -> Draft:
    """Two to six variables of one mechanism; the target has a cause among the drivers more often than not.

    >>> from terracast.stfm.prior.clock import draw_clock
    >>> from terracast.stfm.prior.places import draw_places
    >>> rng = np.random.default_rng(0)
    >>> structural(rng, draw_clock(rng, 64), draw_places(rng, 4)).domain
    'system'
    """
    count = int(rng.integers(2, 7))
    steps = clock.steps + 2 * LONGEST_LAG
    links = draw_links(rng, count, places.count)
    pushes = np.stack([_push(rng, steps, clock, places) for _ in range(count)], 1)  # (time, variable, node)
    change = int(rng.integers(steps)) if rng.random() < 0.3 else steps
    after = draw_strengths(rng, links.effect, count, places.count) if rng.random() < 0.5 else links.strength[:, ::-1]
    graph = places.nearest_graph(2)
    total = graph.sum(1, keepdims=True)
    neighbours = graph / np.where(total > 0, total, 1.0)
    share = rng.uniform(0, 0.15) if rng.random() < 0.5 else 0.0
    values = roll(pushes, links.cause, links.effect, links.lag, links.bend, (1 - share) * links.strength,
                  (1 - share) * after, change, share * neighbours)[2 * LONGEST_LAG:]
    target = _most_caused(links, count)
    candidates = [driver(f"variable_{index}", values[:, index], rng, lag=_lag_to(links, index, target))
                  for index in range(count) if index != target]
    drivers = chosen_drivers(rng, candidates)
    return Draft(clock, places, (WorldSeries(f"variable_{target}", values[:, target]), *drivers), "system",
                 graph=graph if share > 0 else None)


def draw_links(rng: np.random.Generator, count: int, nodes: int) -> Links:
    """Every variable remembers itself; causes are drawn for each other pair with probability 0.4."""
    pairs = [(index, index, 1) for index in range(count)]
    pairs += [(cause, effect, round(log_uniform(rng, 1.0, LONGEST_LAG))) for effect in range(count)
              for cause in range(count) if cause != effect and rng.random() < 0.4]
    cause, effect, lag = np.array(pairs).T
    bend = np.where(rng.random(len(pairs)) < 0.6, 0, rng.integers(0, BENDS, len(pairs)))
    bend[:count] = 0
    return Links(cause, effect, lag, bend, draw_strengths(rng, effect, count, nodes))


def draw_strengths(rng: np.random.Generator, effect: np.ndarray, count: int, nodes: int) -> np.ndarray:
    """Strengths (link, node) whose absolute sum per effect is below 0.85 (0.999 for a memory that stands alone)."""
    raw = rng.standard_normal(len(effect)) * (1 + 0.2 * rng.standard_normal((nodes, len(effect)))).clip(0.3, 2)
    raw = np.abs(raw) * np.where(rng.random(len(effect)) < 0.7, 1.0, -1.0)
    raw[:, :count] = np.abs(raw[:, :count]) * log_uniform(rng, 0.3, 8.0)
    strength = np.empty((len(effect), nodes))
    for index in range(count):
        mine = effect == index
        limit = 1 - log_uniform(rng, 0.001, 0.7) if mine.sum() == 1 else rng.uniform(0.3, 0.85)
        strength[mine] = (limit * raw[:, mine] / np.abs(raw[:, mine]).sum(1, keepdims=True)).T
    return strength


@nb.njit(cache=True)
def roll(pushes: np.ndarray, cause: np.ndarray, effect: np.ndarray, lag: np.ndarray, bend: np.ndarray,
         before: np.ndarray, after: np.ndarray, change: int, neighbours: np.ndarray) -> np.ndarray:
    """Values (time, variable, node) under ``pushes``; strengths are ``after`` from row ``change`` on.

    O(time × node × (links + variables × node)).
    """
    values = pushes.copy()
    steps, variables, nodes = values.shape
    for now in range(1, steps):
        for link in range(len(cause)):
            if lag[link] > now:
                continue
            for node in range(nodes):
                strength = before[link, node] if now < change else after[link, node]
                felt = bent(values[now - lag[link], cause[link], node], bend[link])
                values[now, effect[link], node] += strength * felt
        for variable in range(variables):
            for node in range(nodes):
                for other in range(nodes):
                    values[now, variable, node] += neighbours[node, other] * values[now - 1, variable, other]
    return values


@nb.njit(cache=True)
def bent(value: float, bend: int) -> float:
    """f of a link: |f(x)| <= |x| for each, which keeps the system stable."""
    if bend == 1:
        return float(np.tanh(value))
    if bend == 2:
        return max(value, 0.0)
    if bend == 3:
        return value if abs(value) > 1.0 else 0.0
    if bend == 4:
        return float(np.sin(value))
    return value


def _push(rng: np.random.Generator, steps: int, clock: WorldClock, places: Places) -> np.ndarray:
    """What drives a variable from outside: noise, at times with a season, slow wandering, storms."""
    mixing = places.mixing(rng)
    push = white(rng, steps, mixing, tail=None if rng.random() < 0.7 else rng.uniform(2.5, 6.0))
    if rng.random() < 0.3:
        push = push * bursts(rng, steps, mixing, log_uniform(rng, 3.0, 200.0), rng.uniform(0.2, 0.8))
    if rng.random() < 0.3:
        push = ornstein(rng, steps, mixing, log_uniform(rng, 1.0, 30.0))
    if rng.random() < 0.3:
        push = push + log_uniform(rng, 0.1, 2.0) * wandering(rng, steps, mixing, rng.uniform(1.0, 2.5))
    for period in (DAY, YEAR):
        if clock.has(period) and rng.random() < 0.4:
            turn = (clock.start + clock.step * (np.arange(steps) - 2 * LONGEST_LAG)) / period % 1.0
            push = push + log_uniform(rng, 0.1, 2.0) * harmonic(rng, turn, places.count, 4)
    return push


def _most_caused(links: Links, count: int) -> int:
    others = links.cause != links.effect
    return int(np.bincount(links.effect[others], minlength=count).argmax())


def _lag_to(links: Links, cause: int, effect: int) -> int | None:
    found = links.lag[(links.cause == cause) & (links.effect == effect)]
    return int(found[0]) if len(found) else None
