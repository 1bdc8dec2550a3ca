"""Instants and hours of the simulated clock."""

from __future__ import annotations

import numpy as np

from streams.instant import instant

HOUR = np.timedelta64(1, "h").astype("timedelta64[ns]")


def days_after(begin: np.datetime64, days: int) -> np.datetime64:
    """The instant ``days`` days later.

    >>> str(days_after(instant("2023-01-01"), 31))[:10]
    '2023-02-01'
    """
    return instant(begin + days * 24 * HOUR)


def hour_of_day(time: np.ndarray) -> np.ndarray:
    """Hour of the day, 0 … 23, of each stamp."""
    return np.asarray(time.astype("datetime64[h]").astype(np.int64) % 24)


def day_of_week(time: np.ndarray) -> np.ndarray:
    """Day of the week of each stamp, Monday 0.

    >>> day_of_week(np.array(["2023-01-02"], "datetime64[ns]")).tolist()
    [0]
    """
    # 1970-01-01 was a Thursday.
    return np.asarray((time.astype("datetime64[D]").astype(np.int64) + 3) % 7)
