"""Heavy tails: a few huge values decide a correlation; ranks, read as a normal distribution's, do not."""

from __future__ import annotations

import numpy as np
from scipy import stats

HEAVY = 3.0  # excess kurtosis from which a variable's raw values are taken by their ranks; 0 is a normal's


def excess_kurtosis(values: np.ndarray) -> float:
    """The excess kurtosis of what is observed in ``values`` (any shape); 0 for constants and fewer than four.

    >>> round(excess_kurtosis(np.array([-1.0, 1.0, -1.0, 1.0, np.nan])), 6)
    -2.0
    """
    seen = values[np.isfinite(values)]
    if len(seen) < 4 or np.ptp(seen) == 0:
        return 0.0
    centred = seen - seen.mean()
    return float((centred**4).mean() / (centred**2).mean() ** 2 - 3.0)


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Per column of (time, columns) the normal quantile of each value's rank; ties averaged, gaps stay.

    The nonparanormal transform (Liu, Lafferty and Wasserman 2009), as in tigramite's RobustParCorr, but once per
    series instead of once per test. O(values log values).

    >>> normal_scores(np.array([[1.0], [100.0], [3.0]])).round(3).ravel().tolist()
    [-0.967, 0.967, 0.0]
    """
    ranks = stats.rankdata(values, axis=0, nan_policy="omit")
    count = np.maximum(np.isfinite(values).sum(axis=0), 1)
    return np.asarray(stats.norm.ppf((ranks - 0.5) / count))
