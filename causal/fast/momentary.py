"""MCI, PCMCI's tests of links: per target the target's own conditions are eliminated once for all causes."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numba as nb
import numpy as np

from terracast.causal.fast.covariance import CONSTANT, LaggedCorrelation
from terracast.causal.fast.exact import Exact
from terracast.causal.fast.partial import SUMS, UNSURE, factor, guard, last_two, partial_correlation, subtract
from terracast.causal.fast.significance import p_values


class LinkTests:
    """Each cause (a column) against each target given both sides' parents (the cause's shifted by its lag).

    ``own`` and ``shifted`` are, per series, the parents used as conditions of a target and of a cause.
    """

    def __init__(self, found: LaggedCorrelation, own: Sequence[np.ndarray], shifted: Sequence[np.ndarray],
                 exact: Exact) -> None:
        self.found, self.own, self.shifted, self.exact = found, own, shifted, exact
        self._flat = np.concatenate([np.asarray(one, dtype=np.int64) for one in shifted])
        self._offsets = np.concatenate([[0], np.cumsum([len(one) for one in shifted])])
        self._blocks = _packed(found.matrix, found.series, found.max_lag, self._flat, self._offsets)
        self.counts: dict[int, int] = {}
        self._lock = threading.Lock()

    def conditions(self, cause: int, target: int) -> list[int]:
        """The conditions of one test in tigramite's order."""
        lag, place = divmod(cause, self.found.series)
        chosen = [int(column) for column in self.own[target] if column != cause]
        known = set(chosen)
        return chosen + [column for one in self.shifted[place]
                         if (column := int(one) + lag * self.found.series) not in known]

    def of(self, target: int, causes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values and p-values of ``causes`` against ``target``.

        >>> from terracast.causal.fast.covariance import lagged_correlation
        >>> from terracast.causal.fast.exact import ExactTest
        >>> noise = np.random.default_rng(0).normal(size=(500, 2))
        >>> noise[1:, 1] += noise[:-1, 0]
        >>> found, parents = lagged_correlation(noise, 1), [np.array([], int), np.array([2])]
        >>> tests = LinkTests(found, parents, parents, ExactTest(found.values, found.rows))
        >>> tests.of(1, np.array([0, 2]))[1].round(2).tolist()
        [0.9, 0.0]
        """
        found = self.found
        own = np.asarray(self.own[target], dtype=np.int64)
        values, sizes = _target(found.matrix, found.series, target, own, causes, self._flat, self._offsets,
                                *self._blocks, guard(found.samples))
        p_found = p_values(np.where(values == UNSURE, 0.0, values), found.samples - sizes)
        with self._lock:
            for size, count in zip(*np.unique(sizes, return_counts=True), strict=True):
                self.counts[int(size)] = self.counts.get(int(size), 0) + int(count)
        for place in np.flatnonzero((values == UNSURE) | found.state.any()):
            cause = int(causes[place])
            if CONSTANT in (found.state[cause], found.state[target]):
                values[place], p_found[place] = 0.0, 1.0
                continue
            given = self.conditions(cause, target)
            if values[place] == UNSURE or found.state[[cause, target, *given]].any():
                values[place], p_found[place] = self.exact(cause, target, given)
        return values, p_found


@nb.njit(cache=True)
def _packed(correlation: np.ndarray, series: int, deepest: int, flat: np.ndarray,
            offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per cause (lag * series + place) the correlations among its conditions and itself, in one stretch each."""
    starts = np.zeros(series * (deepest + 1) + 1, dtype=np.int64)
    for cause in range(series * (deepest + 1)):
        size = offsets[cause % series + 1] - offsets[cause % series] + 1
        starts[cause + 1] = starts[cause] + size * size
    blocks = np.empty(starts[-1])
    for cause in range(series * (deepest + 1)):
        lag, place = cause // series, cause % series
        own = np.append(flat[offsets[place]:offsets[place + 1]], place) + lag * series
        at = starts[cause]
        for row in own:
            for column in own:
                blocks[at] = correlation[row, column]
                at += 1
    return blocks, starts


@nb.njit(cache=True, fastmath=SUMS)
def _whitened(correlation: np.ndarray, target: int, own: np.ndarray, work: np.ndarray,
              against: np.ndarray) -> np.ndarray:
    """All columns with ``own`` (factored in ``work``) eliminated: shape (columns, own).

    ``against``, the correlations with the target, loses the same share.
    """
    total, count = correlation.shape[0], len(own)
    rows = np.empty((count, total))
    for row in range(count):
        mine = rows[row]
        mine[:] = correlation[own[row]]
        for before in range(row):
            weight, other = work[before, row], rows[before]
            for column in range(total):
                mine[column] -= weight * other[column]
        scale = 1.0 / work[row, row]
        for column in range(total):
            mine[column] *= scale
        weight = mine[target]
        for column in range(total):
            against[column] -= weight * mine[column]
    return rows.T.copy()


@nb.njit(cache=True, fastmath=SUMS)
def _through(block: np.ndarray, columns: np.ndarray, kept: np.ndarray, count: int, white: np.ndarray,
             against: np.ndarray, target: int, least: float, work: np.ndarray, rows: np.ndarray) -> float:
    """One test where the target's conditions are already eliminated."""
    own = white.shape[1]
    for row in range(count):
        source, mine = block[kept[row]], white[columns[row]]
        for column in range(row, count):
            work[row, column] = source[kept[column]]
        for step in range(own):
            rows[step, row] = mine[step]
    subtract(work, 0, count, rows, own)
    for row in range(count):
        work[row, count] = against[columns[row]]
    work[count, count] = against[target]
    return last_two(work, count + 1, least)


@nb.njit(cache=True, nogil=True)
def _target(correlation: np.ndarray, series: int, target: int, own: np.ndarray, causes: np.ndarray,
            flat: np.ndarray, offsets: np.ndarray, blocks: np.ndarray, starts: np.ndarray,
            least: float) -> tuple[np.ndarray, np.ndarray]:
    """Values of all tests of one target, and their numbers of columns."""
    values, sizes = np.empty(len(causes)), np.empty(len(causes), dtype=np.int64)
    widest = 0
    for place in range(series):
        widest = max(widest, offsets[place + 1] - offsets[place])
    widest += len(own) + 2
    work, rows = np.empty((widest, widest)), np.empty((widest, widest))
    columns, kept = np.empty(widest, dtype=np.int64), np.empty(widest, dtype=np.int64)
    is_own = np.zeros(correlation.shape[0], dtype=np.bool_)
    for row in range(len(own)):
        is_own[own[row]] = True
        for column in range(row, len(own)):
            work[row, column] = correlation[own[row], own[column]]
    # the last pivot of factor is free, here it is a condition like the others
    sound = len(own) == 0 or (factor(work, len(own), least) and work[len(own) - 1, len(own) - 1] ** 2 >= least)
    against = correlation[target].copy()
    white = _whitened(correlation, target, own, work, against) if sound else np.empty((0, 0))
    for place in range(len(causes)):
        cause = causes[place]
        lag, source = cause // series, cause % series
        count = 0
        through = sound and not is_own[cause]
        if not through:
            for one in own:
                if one != cause:
                    columns[count] = one
                    count += 1
        side = offsets[source + 1] - offsets[source]
        for step in range(side):
            column = flat[offsets[source] + step] + lag * series
            if not is_own[column]:
                columns[count], kept[count] = column, step
                count += 1
        columns[count], kept[count], columns[count + 1] = cause, side, target
        if through:
            block = blocks[starts[cause]:starts[cause + 1]].reshape(side + 1, side + 1)
            values[place] = _through(block, columns, kept, count + 1, white, against, target, least, work, rows)
            sizes[place] = count + 2 + len(own)
        else:
            values[place] = partial_correlation(correlation, columns[:count + 2], least, work)
            sizes[place] = count + 2
    return values, sizes
