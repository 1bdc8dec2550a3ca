"""Student's t for partial correlations: p-values, and the thresholds that stand for them inside compiled loops."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from scipy import special


def p_values(value: np.ndarray, freedom: np.ndarray | int) -> np.ndarray:
    """Two-sided p-values of correlations with ``freedom`` = samples - columns of the test, as tigramite gives them.

    NaN where ``freedom`` < 1, 0 where \\|value\\| = 1.

    >>> p_values(np.array([0.0, 0.2, 1.0]), 98).round(3).tolist()
    [1.0, 0.046, 0.0]
    """
    freedom = np.broadcast_to(freedom, np.shape(value))
    with np.errstate(all="ignore"):
        size = np.abs(value * np.sqrt(freedom / (1.0 - value * value)))
        found = special.stdtr(freedom, -size) * 2
    found = np.where(np.abs(np.abs(value) - 1.0) <= sys.float_info.min, 0.0, found)
    return np.asarray(np.where(freedom < 1, np.nan, found))


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Per number of columns in a test: |value| from which p <= alpha, and from which p is 0 in float64."""

    significant: np.ndarray
    vanishing: np.ndarray

    @classmethod
    def of(cls, alpha: float, samples: int, columns: int) -> Thresholds:
        """Thresholds for tests of up to ``columns`` columns (X, Y and conditions).

        >>> found = Thresholds.of(0.05, 100, 3)
        >>> p_values(found.significant[2:], np.array([98, 97])).round(6).tolist()
        [0.05, 0.05]
        """
        freedom = samples - np.arange(columns + 1)
        return cls(_smallest(freedom, alpha), _smallest(freedom, 0.0))


def _smallest(freedom: np.ndarray, alpha: float) -> np.ndarray:
    """The smallest |value| with p <= alpha, by bisection (60 halvings reach rounding)."""
    low, high = np.zeros(len(freedom)), np.ones(len(freedom))
    for _ in range(60):
        middle = (low + high) / 2
        small = p_values(middle, freedom) <= alpha
        low, high = np.where(small, low, middle), np.where(small, middle, high)
    return np.where(freedom < 1, np.inf, high)
