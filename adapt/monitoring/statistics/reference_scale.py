"""The frozen reference scale: what is normal for each node, fixed once, so that no drift is ever learned away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.streams.errors import TerracastError
from terracast.streams.stateful import Stateful

CLIP = 8.0  # beyond this a value is an outlier whose size says nothing more
MAD_TO_DEVIATION = 1.4826  # the median absolute deviation of a normal variable is 0.6745 standard deviations


class ReferencePeriodError(TerracastError):
    """A reference period that cannot tell what is normal."""


@dataclass(frozen=True)
class ReferenceScale(Stateful):
    """Location and scale of each node, both of shape (node,), frozen at ``fit``.

    A detector that sees raw units alarms by the unit and not by the change; every stream is standardised by this
    first. A node that was never seen in the reference period has NaN as location: its z is NaN, which is "no evidence".

    >>> import numpy as np
    >>> reference = ReferenceScale.fit(np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]))
    >>> reference.standardise(np.array([2.0, 50.0])).round(2).tolist()
    [0.0, 2.02]
    """

    location: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, residuals: np.ndarray, floor: float = 1e-3) -> ReferenceScale:
        """Median and 1.4826 × median absolute deviation of ``residuals`` (time, node), NaN ignored; O(values).

        ``floor`` is the smallest scale, as a share of the median scale of all nodes (so that a stuck sensor does not
        turn the next small wiggle into an alarm); 1 where no node varies. Raises ``ReferencePeriodError`` on a wrong
        shape or when nothing at all was observed.
        """
        residuals = np.asarray(residuals, float)
        if residuals.ndim != 2 or not np.isfinite(residuals).any():
            raise ReferencePeriodError("no reference values", where=f"array of shape {residuals.shape}",
                                 expected="(time, node) with observed values", remedy="give a longer reference period")
        seen = np.isfinite(residuals).any(axis=0)
        location = np.full(residuals.shape[1], np.nan)
        spread = np.full(residuals.shape[1], np.nan)
        location[seen] = np.nanmedian(residuals[:, seen], axis=0)
        spread[seen] = MAD_TO_DEVIATION * np.nanmedian(np.abs(residuals[:, seen] - location[seen]), axis=0)
        varies = spread > 0
        smallest = floor * float(np.median(spread[varies])) if varies.any() else 1.0
        scale = np.where(seen, np.maximum(np.nan_to_num(spread), smallest), 1.0)
        return cls(location, scale)

    def standardise(self, values: np.ndarray) -> np.ndarray:
        """Values (…, node) as z, clipped to ±8; NaN stays NaN."""
        return np.clip((np.asarray(values, float) - self.location) / self.scale, -CLIP, CLIP)


def varies(values: np.ndarray) -> np.ndarray:
    """Which nodes ever vary: a district without a case, forecast as such, does not.

    Parameters
    ----------
    values : ndarray of float, shape (time, node)
        NaN: not observed.

    Returns
    -------
    ndarray of bool, shape (node,)
        Whether two different values were observed.

    Examples
    --------
    >>> varies(np.array([[0.0, 1.0, np.nan], [0.0, 2.0, 3.0]])).tolist()
    [False, True, False]
    """
    seen = np.isfinite(values)
    highest = np.where(seen, values, -np.inf).max(axis=0, initial=-np.inf)
    return np.asarray(highest > np.where(seen, values, np.inf).min(axis=0, initial=np.inf))
