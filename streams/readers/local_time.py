"""Tables whose stamps are local time: to UTC, with the doubled and the skipped hour of a clock change.

Of two rows of a node with the same stamp in the doubled hour, in file order, the first is summer time, the second
winter time. A stamp that stands there alone could mean either, and a stamp in the skipped hour none: such rows are
left out and counted in the panel's attrs.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd

from terracast.streams.readers.table import Table
from terracast.streams.readers.wanted import Wanted

DROPPED = {"ambiguous_dropped": "in the doubled hour of the clock change",
           "nonexistent_dropped": "in the skipped hour of the clock change"}
OFFSET = re.compile(r"\d\d(?::?\d\d)?.*(?:[zZ]|[+-]\d\d:?(?:\d\d)?)$")


def in_utc(table: Table) -> tuple[Table, dict[str, int]]:
    """The table with its stamps in UTC and without the rows that cannot be placed, and how many those were.

    Columns that say their offset stay as they are. Known times that are ambiguous are taken for the later instant.
    """
    wanted = table.wanted
    name = table.column("time", wanted.time)
    if name is None or wanted.time_zone is None:
        return table, {}
    zone = _zone(wanted)
    columns = dict(table.columns)
    node = None if wanted.wide is not None else table.column("node", wanted.node)
    groups = np.zeros(len(table.lines), int) if node is None else pd.factorize(columns[node].astype(str))[0]
    local, told = table.stamps(name), _told(table, name)
    stamps, ambiguous, skipped = to_utc(local, groups, zone)
    keep = told | ~(ambiguous | skipped)
    columns[name] = np.where(told, local, stamps)
    if wanted.known_time in columns:
        known, told = table.stamps(wanted.known_time, gaps=True), _told(table, wanted.known_time)
        columns[wanted.known_time] = np.where(told, known, _later(known, zone))
    kept = {key: values[keep] for key, values in columns.items()}
    counts = {"ambiguous_dropped": int((ambiguous & ~told).sum()),
              "nonexistent_dropped": int((skipped & ~told).sum())}
    if not keep.any():
        raise wanted.refusal("every row lies in the hour of a clock change", expected="a stamp that can be placed",
                             remedy="write stamps with their offset")
    return replace(table, columns=kept, lines=table.lines[keep]), counts


def to_utc(local: np.ndarray, groups: np.ndarray, zone: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Local stamps in UTC, and masks: ambiguous (and alone in its group) and skipped, both NaT. O(rows log rows).

    >>> local = np.array(["2020-10-25T02:00", "2020-10-25T02:00", "2020-03-29T02:30"], "datetime64[ns]")
    >>> utc, ambiguous, skipped = to_utc(local, np.zeros(3, int), "Europe/Berlin")
    >>> [str(stamp)[:16] for stamp in utc], ambiguous.tolist(), skipped.tolist()
    (['2020-10-25T00:00', '2020-10-25T01:00', 'NaT'], [False, False, False], [False, False, True])
    """
    index = pd.DatetimeIndex(local)
    given = ~np.isnat(local)
    summer = np.ones(len(local), dtype=bool)
    skipped = given & np.asarray(index.tz_localize(zone, ambiguous=summer, nonexistent="NaT").isna())
    twice = given & np.asarray(index.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward").isna())
    rows = np.flatnonzero(twice)
    frame = pd.DataFrame({"group": groups[rows], "stamp": local[rows]})
    same = frame.groupby(["group", "stamp"])["stamp"]
    summer[rows] = same.cumcount().to_numpy() == 0
    alone = np.zeros(len(local), dtype=bool)
    alone[rows] = same.transform("size").to_numpy() != 2
    placed = index.tz_localize(zone, ambiguous=summer, nonexistent="NaT").tz_convert("UTC").tz_localize(None)
    utc = placed.to_numpy("datetime64[ns]").copy()
    utc[alone] = np.datetime64("NaT", "ns")
    return utc, alone, skipped


def _later(local: np.ndarray, zone: str) -> np.ndarray:
    winter = np.zeros(len(local), dtype=bool)
    placed = pd.DatetimeIndex(local).tz_localize(zone, ambiguous=winter, nonexistent="shift_forward")
    return placed.tz_convert("UTC").tz_localize(None).to_numpy("datetime64[ns]")


def _told(table: Table, name: str) -> np.ndarray:
    """Rows whose stamp says its offset."""
    values = table.columns[name]
    if name in table.in_utc:
        return np.ones(len(values), dtype=bool)
    if values.dtype.kind != "O":
        return np.zeros(len(values), dtype=bool)
    if table.wanted.time_format is not None:
        return np.full(len(values), "%z" in table.wanted.time_format)
    return np.fromiter((OFFSET.search(text.strip()[10:]) is not None for text in values), bool, len(values))


def _zone(wanted: Wanted) -> str:
    zone = str(wanted.time_zone)
    try:
        pd.DatetimeIndex([]).tz_localize(zone)
    except (KeyError, ValueError, OSError) as wrong:
        raise wanted.refusal(f"time_zone is {zone!r}", expected="a name such as 'Europe/Berlin'",
                             remedy="give another time_zone") from wrong
    return zone
