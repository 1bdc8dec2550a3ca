"""The test on the data themselves, by tigramite's own arithmetic: where a covariance is not to be trusted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Exact = Callable[[int, int, Sequence[int]], tuple[float, float]]


class ExactTest:
    """ParCorr on explicit samples; ``values`` is (time, series), NaN where missing, ``rows`` the times read.

    A row with a gap in any of the test's columns is left out; constant columns are taken out, and a constant
    X or Y answers (0, 1), all as in tigramite. O(rows x columns^2) a test.

    >>> noise = np.random.default_rng(0).normal(size=(200, 2))
    >>> test = ExactTest(np.column_stack([noise, np.ones(200)]), np.arange(2, 200))
    >>> test(2, 0, []), bool(abs(test(3, 1, [])[0] - np.corrcoef(noise[1:-1, 0], noise[2:, 1])[0, 1]) < 1e-12)
    ((0.0, 1.0), True)
    """

    def __init__(self, values: np.ndarray, rows: np.ndarray) -> None:
        self.values, self.rows, self._test = values, rows, _parcorr()

    def __call__(self, first: int, second: int, conditions: Sequence[int]) -> tuple[float, float]:
        """Value and p-value of column ``first`` against ``second`` given ``conditions`` (lag * series + place)."""
        return self.on(self.samples([first, second, *conditions]))

    def samples(self, columns: Sequence[int]) -> np.ndarray:
        """The samples of the columns, (columns, rows without a gap)."""
        series = self.values.shape[1]
        array = np.empty((len(columns), len(self.rows)))
        for place, column in enumerate(columns):
            lag, one = divmod(int(column), series)
            array[place] = self.values[self.rows - lag, one]
        return array[:, ~np.isnan(array).any(axis=0)]

    def on(self, array: np.ndarray) -> tuple[float, float]:
        """Value and p-value of row 0 against row 1 of ``array`` given its other rows."""
        if array.shape[1] == 0:
            raise ValueError("No valid samples")
        moving = array.std(axis=1) != 0.0
        if not moving[0] or not moving[1]:
            return 0.0, 1.0
        array = array[moving]
        columns, samples = array.shape
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            value = float(self._test.get_dependence_measure(array, None))
            p_value = float(self._test.get_analytic_significance(value, samples, columns, None))
        return value, p_value


def _parcorr() -> Any:
    from tigramite.independence_tests.parcorr import ParCorr

    return ParCorr(significance="analytic")
