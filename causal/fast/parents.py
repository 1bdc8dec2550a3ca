"""PC1, PCMCI's choice of lagged conditions: all tests of a level in one compiled call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from terracast.causal.fast.covariance import CONSTANT, DOUBTFUL, LaggedCorrelation
from terracast.causal.fast.exact import Exact
from terracast.causal.fast.gaps import GapTest
from terracast.causal.fast.partial import UNSURE
from terracast.causal.fast.significance import p_values

DepthProgress = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Lagged columns that may drive one series, in the order in which ties are broken; ``certain`` ones stay."""

    columns: np.ndarray
    certain: np.ndarray

    @classmethod
    def everything(cls, series: int, max_lag: int) -> Candidates:
        """Every series at every lag from 1 on.

        >>> Candidates.everything(2, 2).columns.tolist()
        [2, 4, 3, 5]
        """
        columns = np.arange(series, series * (max_lag + 1)).reshape(max_lag, series).T.ravel()
        return cls(columns, np.zeros(len(columns), dtype=bool))


@dataclass(eq=False)
class Parents:
    """The lagged conditions of one series, strongest first, and how every candidate fared.

    ``weakest`` is the smallest |value| of each column kept; ``value`` and ``p_value`` belong to the largest
    p-value of each candidate (in candidate order).
    """

    columns: np.ndarray
    weakest: np.ndarray
    value: np.ndarray
    p_value: np.ndarray
    tests: int = 0


class ParentSearch:
    """PC1 (Runge et al. 2019) for all series at once, one test per candidate and level.

    Cost of a level: see ``against_strongest``; ``counts`` tells afterwards how many tests had how many columns.
    """

    def __init__(self, found: LaggedCorrelation | GapTest, alpha: float, exact: Exact) -> None:
        self.found, self.alpha, self.exact = found, alpha, exact
        self.counts: dict[int, int] = {}

    def run(self, candidates: Sequence[Candidates], deepest: int | None = None,
            said: DepthProgress = lambda depth: None) -> list[Parents]:
        """The parents of each series; at most ``deepest`` conditions at once.

        >>> from terracast.causal.fast.covariance import lagged_correlation
        >>> from terracast.causal.fast.exact import ExactTest
        >>> noise = np.random.default_rng(0).normal(size=(500, 2))
        >>> noise[1:, 1] += noise[:-1, 0]
        >>> found = lagged_correlation(noise, 1)
        >>> search = ParentSearch(found, 0.01, ExactTest(found.values, found.rows))
        >>> [one.columns.tolist() for one in search.run([Candidates.everything(2, 1)] * 2)]
        [[], [2]]
        """
        state = [Parents(one.columns.astype(np.int64), np.full(len(one.columns), np.inf),
                         np.zeros(len(one.columns)), np.full(len(one.columns), -1.0)) for one in candidates]
        places = [np.arange(len(one.columns)) for one in candidates]
        depth = 0
        while active := [target for target, one in enumerate(state) if len(one.columns) - 1 >= depth]:
            if deepest is not None and depth > deepest:
                break
            said(depth)
            values, p_found = self._level(state, active, candidates, places, depth)
            position = 0
            for target in active:
                one, size = state[target], len(state[target].columns)
                part = slice(position, position + size)
                position += size
                places[target] = self._pruned(one, values[part], p_found[part], places[target])
            depth += 1
        for one in state:
            one.p_value = np.where(one.p_value < 0, 1.0, one.p_value)
        return state

    def _level(self, state: list[Parents], active: list[int], candidates: Sequence[Candidates],
               places: list[np.ndarray], depth: int) -> tuple[np.ndarray, np.ndarray]:
        sizes = [len(state[target].columns) for target in active]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        columns = np.concatenate([state[target].columns for target in active])
        owners = np.repeat(active, sizes)
        values, samples = self.found.level(np.array(active), columns, offsets, depth)
        self.counts[depth + 2] = self.counts.get(depth + 2, 0) + len(values)
        fixed = np.concatenate([candidates[target].certain[places[target]] for target in active])
        p_found = p_values(np.where(fixed | (values == UNSURE), 0.0, values), samples - depth - 2)
        values[fixed], p_found[fixed] = 1.0, 0.0
        for place in self._to_repeat(values, columns, owners, fixed):
            start = offsets[np.searchsorted(offsets, place, side="right") - 1]
            mine = columns[start:start + depth + 1]
            others = mine[mine != columns[place]][:depth]
            values[place], p_found[place] = self._one(int(columns[place]), int(owners[place]), others)
        return values, p_found

    def _to_repeat(self, values: np.ndarray, columns: np.ndarray, owners: np.ndarray,
                   fixed: np.ndarray) -> np.ndarray:
        """Places of tests that the covariance cannot answer."""
        odd = values == UNSURE
        if self.found.state.any():
            # a column that does not vary was given correlation 0 with all others: only its own tests are wrong,
            # and those that condition on it, which happens where knowledge keeps it
            odd |= (self.found.state[columns] > 0) | (self.found.state[owners] > 0)
            if fixed.any() or (self.found.state == DOUBTFUL).any():
                odd |= True
        return np.flatnonzero(odd & ~fixed)

    def _one(self, column: int, target: int, others: np.ndarray) -> tuple[float, float]:
        if CONSTANT in (self.found.state[column], self.found.state[target]):
            return 0.0, 1.0
        return self.exact(column, target, others.tolist())

    def _pruned(self, one: Parents, values: np.ndarray, p_found: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Keep the significant, strongest first; remember each candidate's largest p-value."""
        one.tests += len(values)
        first = one.p_value[places] == -1.0
        larger = first | (p_found > one.p_value[places])
        one.p_value[places[larger]], one.value[places[larger]] = p_found[larger], values[larger]
        size = np.abs(values)
        weakest = np.where(size < one.weakest, size, one.weakest)
        kept = p_found <= self.alpha
        order = np.argsort(-weakest[kept], kind="stable")
        one.columns, one.weakest = one.columns[kept][order], weakest[kept][order]
        return places[kept][order]
