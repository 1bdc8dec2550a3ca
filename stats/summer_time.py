"""When clocks are changed: by how much a zone's clocks run ahead of its standard time, and whether a series follows."""

from __future__ import annotations

import numpy as np
import pandas as pd

NONE = np.timedelta64(0, "ns")
WEEK = np.timedelta64(7, "D").astype("timedelta64[ns]")
AFTER = np.timedelta64(6, "D").astype("timedelta64[ns]")  # after a change: a week back lies before it throughout
LONGEST_STEP = np.timedelta64(1, "h").astype("timedelta64[ns]")
FEWEST = 24  # values after a change that can be compared with the week before
CLEAR = 0.97  # following the clocks must take so much off the difference from the week before


def summer_time(times: np.ndarray, zone: str) -> np.ndarray:
    """By how much clocks of a ``zone`` run ahead of its standard time at instants (time,), UTC; timedelta64[ns].

    >>> days = np.array(["2024-01-15", "2024-07-15"], "datetime64[ns]")
    >>> [int(one) for one in summer_time(days, "Europe/Berlin") // np.timedelta64(1, "h")]
    [0, 1]
    >>> [int(one) for one in summer_time(days, "Australia/Sydney") // np.timedelta64(1, "h")]
    [1, 0]
    """
    stamps = np.asarray(times).astype("datetime64[ns]")
    if not stamps.size:
        return np.zeros(0, "timedelta64[ns]")
    years, place = np.unique(stamps.astype("datetime64[Y]"), return_inverse=True)
    turns = [_offset((years.astype("datetime64[M]") + month).astype("datetime64[ns]"), zone) for month in (0, 6)]
    return _offset(stamps, zone) - np.minimum(*turns)[place]


def clock_changes(first: np.datetime64, last: np.datetime64, zone: str) -> np.ndarray:
    """The instants (UTC, to the hour) after ``first`` and up to ``last`` at which clocks of a ``zone`` are changed.

    >>> [str(one)[:13] for one in clock_changes(*np.array(["2024", "2025"], "datetime64[D]"), "Europe/Rome")]
    ['2024-03-31T01', '2024-10-27T01']
    """
    begin, end = (one.astype("datetime64[D]") for one in (first, last))
    days = np.arange(begin, end + 2).astype("datetime64[ns]")
    ahead = summer_time(days, zone)
    found = []
    for at in np.flatnonzero(np.diff(ahead) != NONE):
        hours = days[at] + np.arange(25) * LONGEST_STEP
        found.append(hours[1 + np.flatnonzero(np.diff(summer_time(hours, zone)) != NONE)[0]])
    changes = np.array(found, "datetime64[ns]")
    return changes[(changes > first) & (changes <= last)]


def follows_clocks(times: np.ndarray, values: np.ndarray, zone: str) -> bool | None:
    """Whether values (time, node) at even, rising ``times`` follow the clocks of a ``zone`` when these are changed.

    In the six days after each change a value is compared with those a week before: by the clock, and by the sun, which
    knows no summer time. None where no change lies in the past, or too little is known around them.
    """
    step = np.median(np.diff(times)).astype("timedelta64[ns]") if len(times) > 1 else NONE
    if not NONE < step <= LONGEST_STEP:
        return None
    values = values[:, np.isfinite(values).any(axis=0)]
    scale = np.nanstd(values, axis=0)
    scale = np.where(scale > 0, scale, np.inf)
    sun, clock, compared = 0.0, 0.0, 0
    for change in clock_changes(times[0] + WEEK, times[-1], zone):
        rows = np.flatnonzero((times >= change) & (times < change + AFTER))
        if not len(rows):
            continue
        moved = summer_time(times[rows], zone) - summer_time(times[rows] - WEEK, zone)
        before, same = times[rows] - WEEK, times[rows] - WEEK + moved
        differences = [np.abs(values[rows] - _rows_at(times, values, at)) / scale for at in (before, same)]
        both = np.isfinite(differences[0]) & np.isfinite(differences[1])
        compared += int(both.any(axis=1).sum())
        sun, clock = sun + differences[0][both].sum(), clock + differences[1][both].sum()
    return None if compared < FEWEST or sun == 0 else bool(clock < CLEAR * sun)


def _offset(stamps: np.ndarray, zone: str) -> np.ndarray:
    local = pd.DatetimeIndex(stamps).tz_localize("UTC").tz_convert(zone).tz_localize(None)
    return np.asarray(local.to_numpy().astype("datetime64[ns]") - stamps)


def _rows_at(times: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Rows of ``values`` at instants, NaN where there is none."""
    at = np.minimum(np.searchsorted(times, wanted), len(times) - 1)
    return np.where((times[at] == wanted)[:, None], values[at], np.nan)
