"""The calendar as circles, and how far seasons are smoothed: what every panel shares, whatever it measures."""

from __future__ import annotations

import numpy as np

from terracast.stats.calendar import DAY, WEEK, YEAR, circle, phases

FEATURES = 7  # columns of ``calendar``


def smoothing(season: int, step: np.timedelta64) -> int:
    """Phases of a season that are averaged with their neighbours: half an hour within days, two weeks within years."""
    nanoseconds = int(step.astype("timedelta64[ns]").astype("int64"))
    wanted = 14 * DAY if season * nanoseconds > 300 * DAY else DAY // 48
    return max(1, wanted // nanoseconds) | 1


def calendar(times: np.ndarray, step: np.timedelta64) -> np.ndarray:
    """Hour of day, day of week and day of year as circles and the logarithm of the step, shape (time, FEATURES).

    A circle that the step cannot resolve is left at zero.

    >>> calendar(np.array(["2024-01-01T06"], "datetime64[ns]"), np.timedelta64(1, "h"))[0, :2].round(3).tolist()
    [1.0, 0.0]
    """
    nanoseconds = int(step.astype("timedelta64[ns]").astype("int64"))
    columns = [circle(phase) * float(nanoseconds < length)
               for phase, length in zip(phases(times), (DAY, WEEK, YEAR), strict=True)]
    columns.append(np.full((len(times), 1), np.log10(nanoseconds / 1e9) / 8))
    return np.concatenate(columns, axis=1).astype("float32")
