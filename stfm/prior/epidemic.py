"""Epidemics: susceptible, exposed, infectious, recovered in towns that visit each other; what is reported of them.

A stochastic SEIRS metapopulation in whole people, in days: contacts with seasons and school terms, gravity mobility
(Xia, Bjørnstad and Grenfell 2004), immunity that wanes, new variants. Reports are late, partial and over-dispersed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np

from terracast.stfm.prior.clock import DAY, YEAR, WorldClock
from terracast.stfm.prior.noise import log_uniform, ornstein
from terracast.stfm.prior.places import Places
from terracast.stfm.prior.profiles import bump, harmonic
from terracast.stfm.prior.world import Draft, WorldSeries, chosen_drivers, driver


@dataclass(frozen=True)
class Outbreak:
    """``contact`` (day, node): infections per infectious and day; daily chances to fall ill, recover and lose
    immunity; ``mobility`` (node, node): share of contacts of the row's people made with the column's."""

    people: np.ndarray
    contact: np.ndarray
    mobility: np.ndarray
    fall_ill: float
    recover: float
    wane: float
    imported: float


def epidemic(rng: np.random.Generator, clock: WorldClock, places: Places) -> Draft:
    """Reported cases per step, in counts or per 100,000; the driver is a contact index or temperature.

    >>> from terracast.stfm.prior.clock import draw_clock
    >>> from terracast.stfm.prior.places import draw_places
    >>> rng = np.random.default_rng(0)
    >>> bool((epidemic(rng, draw_clock(rng, 64, ("7D",)), draw_places(rng, 4)).target.values >= 0).all())
    True
    """
    per_step = max(1, round(clock.step / DAY))
    outbreak, run_in = draw_outbreak(rng, clock, places, per_step)
    cases, _ = spread(rng, outbreak.people, outbreak.contact, outbreak.mobility, outbreak.fall_ill, outbreak.recover,
                      outbreak.wane, outbreak.imported)
    shown = cases[run_in:run_in + clock.steps * per_step].reshape(clock.steps, per_step, -1).sum(1)
    reported = _reported(rng, clock, shown)
    contact = outbreak.contact[run_in::per_step][:clock.steps]
    candidates = [driver("contact_index", contact / contact.mean(), rng, lag=None)]
    whole = rng.random() < 0.7
    if not whole:
        reported = reported / outbreak.people * 1e5
    series = WorldSeries("cases", reported, "count" if whole else "1e-5")
    graph = outbreak.mobility * (1 - np.eye(places.count))
    return Draft(clock, places, (series, *chosen_drivers(rng, candidates)), "epidemic", floor=0.0, whole=whole,
                 graph=np.where(graph > np.median(graph), graph, 0.0) if rng.random() < 0.7 else None)


def draw_outbreak(rng: np.random.Generator, clock: WorldClock, places: Places, per_step: int) -> tuple[Outbreak, int]:
    """A disease and its towns; also the days of run-in before the panel begins (up to four years)."""
    run_in = int(rng.integers(20, 1500))
    days = run_in + clock.steps * per_step
    turn = (clock.start + DAY * (np.arange(days) - run_in)) / YEAR % 1.0
    people = np.exp(rng.uniform(9, 14) + rng.uniform(0.2, 1.3) * rng.standard_normal(places.count)).round() + 500
    infectious = log_uniform(rng, 2.0, 15.0)
    basic = log_uniform(rng, 1.15, 8.0)
    season = rng.uniform(0, 0.35) * np.cos(2 * np.pi * (turn - rng.uniform(0.9, 1.1)))[:, None]
    season = season + rng.uniform(0, 0.1) * harmonic(rng, turn, places.count, 3)
    term = rng.uniform(0, 0.4) * (bump(turn, 0.58, 0.05) + bump(turn, 0.99, 0.02))[:, None]
    mood = rng.uniform(0, 0.2) * ornstein(rng, days, places.mixing(rng), log_uniform(rng, 5, 100))
    contact = basic / infectious * np.exp(np.clip(season - term + mood, -1.5, 1.0))
    if rng.random() < 0.25:  # a year's strain meets more or less immunity
        strains = np.exp(0.2 * rng.standard_normal(days // 365 + 1))
        contact = contact * strains[np.arange(days) // 365][:, None]
    wane = 1 / log_uniform(rng, 120.0, 8000.0)
    mobility = gravity(rng, places, people)
    return Outbreak(people, contact, mobility, 1 / log_uniform(rng, 0.7, 10.0), 1 / infectious, wane,
                    log_uniform(rng, 0.005, 1.0)), run_in


def gravity(rng: np.random.Generator, places: Places, people: np.ndarray) -> np.ndarray:
    """Shares of contacts: mostly at home, the rest with large and near towns; rows sum to 1."""
    pull = people / people.mean() / (1 + (places.distances / places.size) ** rng.uniform(1, 3))
    pull = pull * (1 - np.eye(places.count))
    away = log_uniform(rng, 0.002, 0.3) if places.count > 1 else 0.0
    total = pull.sum(1, keepdims=True)
    return np.asarray((1 - away) * np.eye(places.count) + away * pull / np.where(total > 0, total, 1.0))


@nb.njit(cache=True)
def spread(rng: np.random.Generator, people: np.ndarray, contact: np.ndarray, mobility: np.ndarray, fall_ill: float,
           recover: float, wane: float, imported: float) -> tuple[np.ndarray, np.ndarray]:
    """New cases per day (day, node), and S, E, I, R at the end (4, node), whole people whose sum never changes.

    Chain binomial: each move is drawn from a Poisson law capped by who is there. O(day × node²).
    """
    days, nodes = contact.shape
    cases = np.zeros((days, nodes))
    state = np.zeros((4, nodes))
    for node in range(nodes):
        state[2, node] = np.floor(0.002 * people[node]) + 1
        state[0, node] = np.floor((people[node] - state[2, node]) * min(1.0, 1.3 * recover / contact[0, node]))
        state[3, node] = people[node] - state[0, node] - state[2, node]
    for day in range(days):
        ill = state[2] / people
        for node in range(nodes):
            met = 0.0
            for other in range(nodes):
                met += mobility[node, other] * ill[other]
            risk = 1 - np.exp(-contact[day, node] * met)
            caught = min(state[0, node], float(rng.poisson(state[0, node] * risk + imported / nodes)))
            sick = min(state[1, node], float(rng.poisson(state[1, node] * (1 - np.exp(-fall_ill)))))
            well = min(state[2, node], float(rng.poisson(state[2, node] * (1 - np.exp(-recover)))))
            again = min(state[3, node], float(rng.poisson(state[3, node] * (1 - np.exp(-wane)))))
            state[0, node] += again - caught
            state[1, node] += caught - sick
            state[2, node] += sick - well
            state[3, node] += well - again
            cases[day, node] = sick
    return cases, state


def _reported(rng: np.random.Generator, clock: WorldClock, cases: np.ndarray) -> np.ndarray:
    """A share of cases, over-dispersed, fewer at weekends and at the year's end; whole numbers."""
    share = log_uniform(rng, 0.02, 1.0) * np.exp(0.3 * rng.standard_normal(cases.shape[1]))
    expected = cases * np.minimum(share, 1.0)
    if clock.step <= DAY and rng.random() < 0.7:
        expected = expected * np.exp(rng.uniform(0.05, 0.6) * rng.standard_normal(7))[clock.weekday][:, None]
    closed = rng.uniform(0, 0.5) * bump(clock.year, 0.995, 0.01)
    shape = log_uniform(rng, 1.5, 80.0)
    expected = expected * (1 - closed)[:, None] * rng.gamma(shape, 1 / shape, cases.shape)
    return rng.poisson(expected).astype(float)
