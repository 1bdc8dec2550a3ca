"""PCMCI+'s search for same-time separating sets: per pair the lagged conditions are eliminated once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba as nb
import numpy as np

from terracast.causal.fast.covariance import LaggedCorrelation
from terracast.causal.fast.partial import UNSURE, eliminate, guard, last_two
from terracast.causal.fast.significance import Thresholds, p_values


@dataclass(frozen=True, eq=False)
class SeriesPair:
    """A link to test: ``cause`` (column), ``target`` (series), its lagged conditions, and the ``neighbours``
    (series at the same time, strongest first) among which subsets are tried."""

    cause: int
    target: int
    lagged: np.ndarray
    neighbours: np.ndarray


@dataclass(frozen=True, eq=False)
class PairOutcome:
    """Of one pair at one level: the separating set (None: none found), the test with the largest p-value, the
    smallest |value|; ``sure`` False where a test must be done on the data."""

    separated_by: tuple[int, ...] | None
    value: float
    p_value: float
    weakest: float
    sure: bool


class SubsetTests:
    """All subsets of one size for many pairs in one compiled call, each pair until a subset separates it."""

    def __init__(self, found: LaggedCorrelation, alpha: float, columns: int) -> None:
        self.found, self.limits = found, Thresholds.of(alpha, found.samples, columns)

    def run(self, pairs: list[SeriesPair], size: int) -> list[PairOutcome]:
        """The outcome of each pair over all subsets of ``size`` neighbours.

        >>> from terracast.causal.fast.covariance import lagged_correlation
        >>> values = np.random.default_rng(0).normal(size=(500, 3)).cumsum(axis=1)
        >>> tests = SubsetTests(lagged_correlation(values, 1), 0.01, 9)
        >>> pair = SeriesPair(0, 2, np.array([], int), np.array([1]))
        >>> [tests.run([pair], size)[0].separated_by for size in (0, 1)]
        [None, (1,)]
        """
        if not pairs:
            return []
        found = self.found
        values, weakest, subsets = _subsets(
            found.matrix, np.array([one.cause for one in pairs]), np.array([one.target for one in pairs]),
            *_flat([one.lagged for one in pairs]), *_flat([one.neighbours for one in pairs]), size,
            self.limits.significant, self.limits.vanishing, guard(found.samples))
        columns = np.array([len(one.lagged) + size + 2 for one in pairs])
        p_found = p_values(np.where(values == UNSURE, 0.0, values), found.samples - columns)
        outcomes = []
        for place, one in enumerate(pairs):
            odd = found.state.any() and found.state[[one.cause, one.target, *one.lagged, *one.neighbours]].any()
            by = tuple(int(one.neighbours[step]) for step in subsets[place, 1:]) if subsets[place, 0] else None
            outcomes.append(PairOutcome(by, float(values[place]), float(p_found[place]), float(weakest[place]),
                                        not odd and values[place] != UNSURE))
        return outcomes


def _flat(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return np.concatenate(parts).astype(np.int64), offsets


@nb.njit(cache=True)
def _advance(subset: np.ndarray, size: int, count: int) -> bool:
    """The next subset in lexicographic order; False after the last."""
    place = size - 1
    while place >= 0 and subset[place] == count - size + place:
        place -= 1
    if place < 0:
        return False
    subset[place] += 1
    for later in range(place + 1, size):
        subset[later] = subset[later - 1] + 1
    return True


@nb.njit(cache=True)
def _subsets(correlation: np.ndarray, causes: np.ndarray, targets: np.ndarray, lagged: np.ndarray,
             lagged_at: np.ndarray, near: np.ndarray, near_at: np.ndarray, size: int, significant: np.ndarray,
             vanishing: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values, weakest = np.empty(len(causes)), np.full(len(causes), math.inf)
    subsets = np.zeros((len(causes), size + 1), dtype=np.int64)
    small, subset = np.empty((size + 2, size + 2)), np.empty(size + 1, dtype=np.int64)
    for pair in range(len(causes)):
        first, last = lagged_at[pair], lagged_at[pair + 1]
        before, count = last - first, near_at[pair + 1] - near_at[pair]
        columns = np.concatenate((lagged[first:last], near[near_at[pair]:near_at[pair + 1]],
                                  np.array([causes[pair], targets[pair]])))
        total = len(columns)
        work = np.empty((total, total))
        for row in range(total):
            source = correlation[columns[row]]
            for column in range(row, total):
                work[row, column] = source[columns[column]]
        values[pair] = UNSURE
        if not eliminate(work, before, total, least):
            continue
        rest = work[before:, before:]
        limit, nothing = significant[before + size + 2], vanishing[before + size + 2]
        champion = -1.0
        subset[:size] = np.arange(size)
        while True:
            subset[size] = count
            value = _one_subset(rest, subset, size, count, small, least)
            strength = abs(value)
            if value == UNSURE:
                values[pair] = UNSURE
                break
            weakest[pair] = min(weakest[pair], strength)
            # upstream keeps the last of the tests with the largest p-value, and p-values vanish together
            if champion < 0 or strength <= champion or (strength >= nothing and champion >= nothing):
                champion, values[pair] = strength, value
            if strength < limit:
                subsets[pair, 0] = 1
                subsets[pair, 1:] = subset[:size]
                break
            if not _advance(subset, size, count):
                break
    return values, weakest, subsets


@nb.njit(cache=True)
def _one_subset(rest: np.ndarray, subset: np.ndarray, size: int, count: int, small: np.ndarray,
                least: float) -> float:
    """X and Y (the last two of ``rest``) given a subset of the ``count`` before them."""
    for row in range(size):
        for column in range(row, size):
            small[row, column] = rest[subset[row], subset[column]]
        small[row, size], small[row, size + 1] = rest[subset[row], count], rest[subset[row], count + 1]
    small[size, size], small[size, size + 1] = rest[count, count], rest[count, count + 1]
    small[size + 1, size + 1] = rest[count + 1, count + 1]
    return last_two(small, size + 2, least)
