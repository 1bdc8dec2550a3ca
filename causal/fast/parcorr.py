"""A drop-in for tigramite's ParCorr that answers from one lagged covariance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tigramite.independence_tests.parcorr import ParCorr

from terracast.causal.fast.bootstrap import drawn_blocks
from terracast.causal.fast.covariance import LaggedCorrelation, lagged_correlation
from terracast.causal.fast.gaps import GapTest
from terracast.causal.fast.partial import UNSURE, guard, partial_correlation
from terracast.causal.fast.significance import p_values

Node = tuple[int, int]


class CovarianceParCorr(ParCorr):  # type: ignore[misc]
    """Same values, p-values and decisions as ``ParCorr``; use it wherever tigramite takes a test.

    The covariance is used for one float64 data set with analytic significance and the default cut-off, with
    gaps (each test on the rows that have all its columns) and within tigramite's bootstrap. Masks, vector
    variables, several data sets and other settings go to ``ParCorr`` itself, as do tests on nearly collinear or
    constant columns, where a covariance loses digits. ``on_data`` counts these.

    >>> from tigramite.data_processing import DataFrame
    >>> noise = np.random.default_rng(0).normal(size=(300, 3))
    >>> question = dict(X=[(0, -1)], Y=[(1, 0)], Z=[(2, -1), (1, -1)], tau_max=2)
    >>> answers = []
    >>> for test in (CovarianceParCorr(), ParCorr()):
    ...     test.set_dataframe(DataFrame(noise))
    ...     answers.append(np.array(test.run_test(**question)))
    >>> bool(np.abs(answers[0] - answers[1]).max() < 1e-12)
    True
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._drop()

    def set_dataframe(self, dataframe: Any) -> None:
        """Take new data; what was computed for the old is dropped."""
        super().set_dataframe(dataframe)
        self._drop()

    def _drop(self) -> None:
        self.on_data = 0
        self._tau_max: int | None = None
        self._draw: Any = None

    @property
    def from_covariance(self) -> bool:
        """Whether this data and these settings are answered from the covariance."""
        frame = self.dataframe
        if frame is None or self.significance != "analytic" or self.recycle_residuals:
            return False
        return bool(len(frame.values) == 1 and frame.mask is None and not frame.has_vector_data
                    and frame.data_type is None and frame.reference_points_is_none
                    and not frame.remove_missing_upto_maxlag and self._values().dtype == np.float64)

    @property
    def has_gaps(self) -> bool:
        """Whether any value is missing."""
        return bool(np.isnan(self._values()).any())

    def _values(self) -> np.ndarray:
        return np.asarray(next(iter(self.dataframe.values.values())))

    def covariance(self, tau_max: int) -> LaggedCorrelation:
        """The lagged correlations that tests with ``tau_max`` are answered from (data without gaps)."""
        self._prepare(tau_max)
        assert self._found is not None
        return self._found

    def tests(self, tau_max: int) -> LaggedCorrelation | GapTest:
        """What answers tests with ``tau_max``, with or without gaps."""
        self._prepare(tau_max)
        return self._found or self._gaps

    def _prepare(self, tau_max: int) -> None:
        draw = self.dataframe.bootstrap and (self.dataframe.bootstrap["random_state"],
                                             self.dataframe.bootstrap["boot_blocklength"])
        if self._tau_max == tau_max and _same(draw, self._draw):
            return
        values, first = self._values(), 2 * tau_max
        blocks = np.array([[first, len(values)]])
        if draw:
            block = max(1, int((len(values) - first) ** (1 / 3))) if draw[1] == "cube_root" else int(draw[1])
            blocks = drawn_blocks(len(values), first, block, draw[0])
        self._tau_max, self._draw = tau_max, draw
        if np.isnan(values).any():
            self._found, self._gaps = None, GapTest(values, tau_max, blocks)
            return
        self._found = lagged_correlation(values, tau_max, blocks)
        self._work = np.empty((64, 64))

    def run_test(self, X: Sequence[Node], Y: Sequence[Node], Z: Sequence[Node] | None = None, tau_max: int = 0,
                 cut_off: str = "2xtau_max", alpha_or_thres: float | None = None) -> tuple[Any, ...]:
        """See tigramite's ``CondIndTest.run_test``."""
        nodes = [*X, *Y, *(Z or [])]
        if (not self.from_covariance or cut_off != "2xtau_max" or len(X) != 1 or len(Y) != 1 or X[0] == Y[0]
                or any(lag > 0 or -lag > 2 * tau_max for _, lag in nodes)
                or len(self._values()) <= 2 * tau_max):
            return tuple(super().run_test(X, Y, Z, tau_max, cut_off, alpha_or_thres))
        self._prepare(tau_max)
        series = self._values().shape[1]
        first, second = (-lag * series + place for place, lag in (X[0], Y[0]))
        given = [column for column in dict.fromkeys(-lag * series + place for place, lag in Z or [])
                 if column not in (first, second)]
        value, p_value = self._answer(np.array([*given, first, second], dtype=np.int64))
        if value == UNSURE:
            self.on_data += 1
            return tuple(super().run_test(X, Y, Z, tau_max, cut_off, alpha_or_thres))
        return (value, p_value) if alpha_or_thres is None else (value, p_value, p_value <= alpha_or_thres)

    def _answer(self, columns: np.ndarray) -> tuple[float, float]:
        """Value and p-value of the last two columns given the others; ``UNSURE`` where digits are lost."""
        if self._found is None:
            return self._gaps(columns)
        if self._found.state[columns].any():
            return UNSURE, np.nan
        if len(columns) > len(self._work):
            self._work = np.empty((2 * len(columns), 2 * len(columns)))
        samples = self._found.samples
        value = partial_correlation(self._found.matrix, columns, guard(samples), self._work)
        return value, float(p_values(np.array(value), samples - len(columns))) if value != UNSURE else np.nan

    def exact(self, first: int, second: int, given: Sequence[int]) -> tuple[float, float]:
        """The test of columns on the data, by ``ParCorr`` itself (with the last ``tau_max`` asked for)."""
        self.on_data += 1
        series, tau_max = self._values().shape[1], self._tau_max
        nodes = [(int(column) % series, -(int(column) // series)) for column in (first, second, *given)]
        value, p_value = super().run_test([nodes[0]], [nodes[1]], nodes[2:], tau_max)
        return float(value), float(p_value)


def _same(one: Any, other: Any) -> bool:
    if not one or not other:
        return not one and not other
    return one[0] is other[0] and one[1] == other[1]
