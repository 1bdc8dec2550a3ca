"""Stamps that are local time: to UTC, with the doubled and the skipped hour of a clock change.

Of two rows of a node with the same stamp in the doubled hour, in the order of time in the file, the first is summer
time, the second winter time. A stamp that stands there alone could mean either, and a stamp in the skipped hour none:
such rows are left out and counted in the panel's attrs.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from terracast.streams.readers.wanted import Wanted

DROPPED = {"ambiguous_dropped": "in the doubled hour of the clock change",
           "nonexistent_dropped": "in the skipped hour of the clock change"}


def to_utc(local: np.ndarray, groups: np.ndarray, zone: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Local stamps in UTC, and masks: ambiguous (and alone in its group) and skipped, both NaT. O(rows log rows).

    A group whose stamps mostly fall is taken from its end.

    >>> local = np.array(["2020-03-29T02:30", "2020-10-25T02:00", "2020-10-25T02:00"], "datetime64[ns]")
    >>> utc, ambiguous, skipped = to_utc(local, np.zeros(3, int), "Europe/Berlin")
    >>> [str(stamp)[:16] for stamp in utc], ambiguous.tolist(), skipped.tolist()
    (['NaT', '2020-10-25T00:00', '2020-10-25T01:00'], [False, False, False], [True, False, False])
    """
    index = pd.DatetimeIndex(local)
    given = ~np.isnat(local)
    summer = np.ones(len(local), dtype=bool)
    skipped = given & np.asarray(index.tz_localize(zone, ambiguous=summer, nonexistent="NaT").isna())
    twice = given & np.asarray(index.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward").isna())
    rows = np.flatnonzero(twice)
    if len(rows) and _falls(local, groups):
        rows = rows[::-1]
    frame = pd.DataFrame({"group": groups[rows], "stamp": local[rows]})
    same = frame.groupby(["group", "stamp"])["stamp"]
    summer[rows] = same.cumcount().to_numpy() == 0
    alone = np.zeros(len(local), dtype=bool)
    alone[rows] = same.transform("size").to_numpy() != 2
    placed = index.tz_localize(zone, ambiguous=summer, nonexistent="NaT").tz_convert("UTC").tz_localize(None)
    utc = placed.to_numpy("datetime64[ns]").copy()
    utc[alone] = np.datetime64("NaT", "ns")
    return utc, alone, skipped


def _falls(local: np.ndarray, groups: np.ndarray) -> bool:
    """Whether most stamps are before the one of the same group that stands above them."""
    order = np.argsort(groups, kind="stable")
    gaps = np.diff(local[order].astype(np.int64))[np.diff(groups[order]) == 0]
    return bool(np.sum(gaps < 0) > np.sum(gaps > 0))


def later(local: np.ndarray, zone: str) -> np.ndarray:
    """Local stamps in UTC, those that mean two instants as the later one."""
    winter = np.zeros(len(local), dtype=bool)
    placed = pd.DatetimeIndex(local).tz_localize(zone, ambiguous=winter, nonexistent="shift_forward")
    return placed.tz_convert("UTC").tz_localize(None).to_numpy("datetime64[ns]")


def checked_zone(wanted: Wanted) -> str:
    """The name of the time zone. Raises ``ReadError`` where there is none of that name."""
    zone = str(wanted.time_zone)
    try:
        pd.DatetimeIndex([]).tz_localize(zone)
    except (KeyError, ValueError, OSError) as wrong:
        raise wanted.refusal(f"time_zone is {zone!r}", expected="a name such as 'Europe/Berlin'",
                             remedy="give another time_zone") from wrong
    return zone
