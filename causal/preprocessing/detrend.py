"""Take out what is slower than a month: a smooth curve through the whole span, fitted with the season's weights.

A trend links everything that has one. A curve with few coefficients takes it out at the price of as many samples
and bends nothing at the edges, where a running window does.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import make_lsq_spline

_DEGREE = 3
_LEAST_PER_PIECE = 12
_LEAST_PIECES = 3  # a short span too can hold half a wave


def slow_part(values: np.ndarray, spacing: float, weights: np.ndarray | None = None) -> np.ndarray:
    """The cubic spline through ``values`` (time,; NaN = gap) with a knot every ``spacing`` steps, by least squares.

    Three pieces at least, so that a short span too can bend, and at least twelve values a piece. Knots lie on
    observed steps, so a gap has none. ``weights`` (time,) multiply the residuals. Never NaN: fewer than five values
    give their mean. O(time) (de Boor 1978, A Practical Guide to Splines, ch. XIV).

    >>> steps = np.arange(200.0)
    >>> curve = (steps / 100 - 1) ** 3
    >>> bool(np.abs(slow_part(curve, 60.0) - curve).max() < 1e-9)
    True
    """
    seen = np.flatnonzero(np.isfinite(values))
    if len(seen) <= _DEGREE + 1:
        return np.full(len(values), float(values[seen].mean()) if len(seen) else 0.0)
    place = np.arange(len(values), dtype=float)
    pieces = max(1, min(max(_LEAST_PIECES, round(len(seen) / spacing)), len(seen) // _LEAST_PER_PIECE))
    inner = np.unique(seen[np.linspace(0, len(seen) - 1, pieces + 1)[1:-1].astype(int)]).astype(float)
    first, last = float(seen[0]), float(seen[-1])
    knots = np.concatenate([np.full(_DEGREE + 1, first), inner[(inner > first) & (inner < last)],
                            np.full(_DEGREE + 1, last)])
    curve = make_lsq_spline(place[seen], values[seen], knots, k=_DEGREE,
                            w=None if weights is None else weights[seen])
    return np.asarray(curve(np.clip(place, first, last)))
