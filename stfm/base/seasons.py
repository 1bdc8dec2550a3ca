"""The seasons that a step can show, and the calendar as circles: what every panel shares, whatever it measures."""

from __future__ import annotations

import numpy as np
import pandas as pd

DAY = pd.Timedelta("1D").value
WEEK = 7 * DAY
YEAR = round(365.2425 * DAY)
FEATURES = 7  # columns of ``calendar``


def seasons(step: np.timedelta64) -> tuple[int, int]:
    """The short and the long season of a panel with this step, in steps; 0 where there is none.

    Day and week below a day, week and year from a day, the year alone from a week on.

    >>> [seasons(np.timedelta64(hours, "h")) for hours in (1, 24, 168, 730, 8766)]
    [(24, 168), (7, 365), (52, 0), (12, 0), (0, 0)]
    """
    nanoseconds = int(step.astype("timedelta64[ns]").astype("int64"))
    lengths = [round(whole / nanoseconds) for whole in (DAY, WEEK, YEAR)]
    short, long = ([length for length in lengths if length >= 3] + [0, 0])[:2]
    return short, long


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
    since = times.astype("datetime64[ns]").astype("int64")
    year_starts = times.astype("datetime64[Y]").astype("datetime64[ns]").astype("int64")
    phases = ((since % DAY) / DAY, ((since - 4 * DAY) % WEEK) / WEEK, (since - year_starts) / YEAR)
    columns = []
    for phase, length in zip(phases, (DAY, WEEK, YEAR), strict=True):
        seen = float(nanoseconds < length)
        columns += [np.sin(2 * np.pi * phase) * seen, np.cos(2 * np.pi * phase) * seen]
    columns.append(np.full(len(since), np.log10(nanoseconds / 1e9) / 8))
    return np.stack(columns, axis=1).astype("float32")
