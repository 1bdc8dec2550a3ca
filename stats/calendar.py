"""Days, weeks and years in stamps: how long they are in steps, and how much of each has gone by. UTC throughout."""

from __future__ import annotations

import numpy as np

HOUR = 3_600 * 10**9  # ns, as all lengths here
DAY = 24 * HOUR
WEEK = 7 * DAY
YEAR = round(365.2425 * DAY)  # the mean Gregorian year
MONDAY = 4 * DAY  # the first Monday after 1970-01-01


def seasons(step: np.timedelta64) -> tuple[int, int]:
    """The short and the long season of a series with this step, in steps; 0 where there is none.

    Day and week below a day, week and year from a day, the year alone from a week on.

    >>> [seasons(np.timedelta64(hours, "h")) for hours in (1, 24, 168, 730, 8766)]
    [(24, 168), (7, 365), (52, 0), (12, 0), (0, 0)]
    """
    nanoseconds = int(step.astype("timedelta64[ns]").astype("int64"))
    lengths = [round(whole / nanoseconds) for whole in (DAY, WEEK, YEAR)]
    short, long = ([length for length in lengths if length >= 3] + [0, 0])[:2]
    return short, long


def phases(times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The shares of the day, of the week (from Monday) and of the year that have gone by at each stamp.

    >>> [float(share[0]) for share in phases(np.array(["2024-01-01T06"], "datetime64[ns]"))][0]
    0.25
    """
    stamps = times.astype("datetime64[ns]")
    since = stamps.astype("int64")
    years = stamps.astype("datetime64[Y]").astype("datetime64[ns]").astype("int64")
    return (since % DAY) / DAY, ((since - MONDAY) % WEEK) / WEEK, (since - years) / YEAR


def circle(phase: np.ndarray, harmonic: int = 1) -> np.ndarray:
    """Sine and cosine of a phase, shape (…, 2): the end of a cycle lies beside its beginning.

    >>> circle(np.array([0.25])).round(6).tolist()
    [[1.0, 0.0]]
    """
    angle = 2 * np.pi * harmonic * phase
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1)


def hour_of_day(times: np.ndarray) -> np.ndarray:
    """Hour of the day, 0 … 23, of each stamp."""
    return np.asarray(times.astype("datetime64[h]").astype(np.int64) % 24)


def day_of_week(times: np.ndarray) -> np.ndarray:
    """Day of the week of each stamp, Monday 0.

    >>> day_of_week(np.array(["2023-01-02"], "datetime64[ns]")).tolist()
    [0]
    """
    return np.asarray((times.astype("datetime64[D]").astype(np.int64) - MONDAY // DAY) % 7)
