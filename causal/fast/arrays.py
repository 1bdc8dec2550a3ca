"""PCMCI from array to arrays, for hundreds to thousands of series: no dictionary per link, threads over targets."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from causal.fast.covariance import lagged_correlation
from causal.fast.exact import ExactTest
from causal.fast.momentary import LinkTests
from causal.fast.parents import Candidates, ParentSearch
from streams.errors import TerracastError


class ArraysError(TerracastError):
    """Values that PCMCI from arrays cannot take."""


@dataclass(frozen=True, eq=False)
class Links:
    """``value`` and ``p_value`` of every link (cause, effect, lag), ``significant`` where p <= alpha in each
    direction that was tested; ``tests`` says how many tests had how many columns (X, Y and conditions)."""

    value: np.ndarray
    p_value: np.ndarray
    significant: np.ndarray
    parents: tuple[np.ndarray, ...]
    tests: dict[int, int]


def memory_needed(series: int, max_lag: int, conditions: int = 60) -> int:
    """Bytes that ``pcmci`` holds at its peak beside interpreter and data, with ``conditions`` parents a series.

    Measured: 1,000 series x 8,760 steps x 3 lags at ``condition_alpha`` 0.05 (65 parents a series) peak at 0.99
    GiB of the process, of which 0.4 are interpreter, libraries and copies of the data.

    >>> memory_needed(1000, 3) < 2**30
    True
    """
    columns = series * (2 * max_lag + 1)
    return 8 * (columns**2 + series * (max_lag + 1) * (conditions + 1) ** 2 + 3 * series**2 * (max_lag + 1))


def pcmci(values: np.ndarray, max_lag: int, condition_alpha: float = 0.05, alpha: float = 0.05,
          threads: int = 1) -> Links:
    """PCMCI with partial correlation, as ``tigramite``'s ``run_pcmci``, on ``values`` (time, series) without gaps.

    Results do not depend on ``threads``. Time O(series^2 x lags) tests of O(conditions^3), after one product
    over time. Raises ``ArraysError`` on gaps or fewer than 2 x max_lag + 3 rows.

    >>> noise = np.random.default_rng(0).normal(size=(500, 3))
    >>> noise[1:, 1] += noise[:-1, 0]
    >>> found = pcmci(noise, 2, alpha=0.001)
    >>> np.argwhere(found.significant).tolist()
    [[0, 1, 1]]
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or not np.isfinite(values).all() or len(values) < 2 * max_lag + 3:
        raise ArraysError(f"values of shape {values.shape} with {int((~np.isfinite(values)).sum())} gaps",
                          where="pcmci", expected=f"(time, series), at least {2 * max_lag + 3} rows, no gaps",
                          remedy="use causal.discover for data with gaps")
    series = values.shape[1]
    found = lagged_correlation(values, max_lag)
    exact = ExactTest(values, found.rows)
    search = ParentSearch(found, condition_alpha, exact)
    parents = [one.columns for one in search.run([Candidates.everything(series, max_lag)] * series)]
    tests = LinkTests(found, parents, parents, exact)
    value, p_value = np.zeros((series, series, max_lag + 1)), np.ones((series, series, max_lag + 1))

    def fill(targets: Sequence[int]) -> None:
        for target in targets:
            causes = np.delete(np.arange(series * (max_lag + 1)), target)
            lag, cause = np.divmod(causes, series)
            value[cause, target, lag], p_value[cause, target, lag] = tests.of(target, causes)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, np.array_split(np.arange(series), 4 * threads)))
    significant = p_value <= alpha
    _larger_of_both(value, p_value)
    counts = {size: search.counts.get(size, 0) + tests.counts.get(size, 0)
              for size in sorted(search.counts.keys() | tests.counts.keys())}
    return Links(value, p_value, significant, tuple(parents), counts)


def _larger_of_both(value: np.ndarray, p_value: np.ndarray) -> None:
    """Of the two tests of a same-time pair the one with the larger p-value counts (the earlier, if equal)."""
    upper = np.triu(np.ones(p_value.shape[:2], dtype=bool), 1)
    there, back = p_value[:, :, 0], p_value[:, :, 0].T
    first, second = upper & (there >= back), upper & (there < back)
    for rows, columns in (np.nonzero(first), np.nonzero(second)[::-1]):
        p_value[columns, rows, 0], value[columns, rows, 0] = p_value[rows, columns, 0], value[rows, columns, 0]
