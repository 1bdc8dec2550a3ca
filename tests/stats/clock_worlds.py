"""Series of hours in which people, or the sun, make the rhythm."""

from __future__ import annotations

import numpy as np
import pandas as pd


def hours(first: str, days: int) -> np.ndarray:
    """Instants (UTC), an hour apart."""
    return np.datetime64(first, "ns") + np.arange(24 * days) * np.timedelta64(1, "h")


def by_clock(times: np.ndarray, zone: str) -> np.ndarray:
    """Busy from 7 to 19 by the clocks of a zone, half as busy at weekends."""
    local = pd.DatetimeIndex(times).tz_localize("UTC").tz_convert(zone)
    busy = np.where((local.hour >= 7) & (local.hour < 19), 10.0, 2.0) + 3 * np.sin(local.hour * 2 * np.pi / 24)
    return np.asarray(busy * np.where(local.day_of_week < 5, 1.0, 0.5))


def by_sun(times: np.ndarray) -> np.ndarray:
    """A wave that knows no clocks."""
    hour = (times - times[0]) / np.timedelta64(1, "h")
    return np.asarray(10 + 5 * np.sin(hour * 2 * np.pi / 24) + 2 * np.sin(hour * 4 * np.pi / 24))
