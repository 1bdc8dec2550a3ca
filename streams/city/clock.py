"""Instants of the simulated clock."""

from __future__ import annotations

import numpy as np

from terracast.streams.instant import instant

HOUR = np.timedelta64(1, "h").astype("timedelta64[ns]")


def days_after(begin: np.datetime64, days: int) -> np.datetime64:
    """The instant ``days`` days later.

    >>> str(days_after(instant("2023-01-01"), 31))[:10]
    '2023-02-01'
    """
    return instant(begin + days * 24 * HOUR)
