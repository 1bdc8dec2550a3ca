"""Centre and width of series that few extreme values cannot move."""

from __future__ import annotations

import numpy as np

DECILE_RANGE = 2.563  # deviations of a normal law between its 10 % and 90 % quantiles


def interdecile_scale(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Median, and the 10-90 % range as the deviation of a normal law, along ``axis``; NaN is left out.

    Up to a tenth of the values at either end may be anything. O(values log values).

    >>> centre, width = interdecile_scale(np.arange(101.0)[:, None], axis=0)
    >>> centre.tolist(), width.round(1).tolist()
    ([50.0], [31.2])
    """
    whole = values.shape[axis] > 0 and np.isfinite(values).all()
    quantile = np.quantile if whole else np.nanquantile  # the first is ten times faster
    low, centre, high = quantile(values, (0.1, 0.5, 0.9), axis=axis)
    return np.asarray(centre), np.asarray((high - low) / DECILE_RANGE)
