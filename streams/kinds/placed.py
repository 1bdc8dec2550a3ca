"""Rows with a stamp and a place on Earth each, ready to be counted; what cannot be placed is counted by its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from terracast.streams.errors import ReadError
from terracast.streams.kinds.columns import Columns, degrees_of, stamps_of

NO_TIME, NO_PLACE, LATER = "no time", "no place on Earth", "later than the clock"
DAY = np.timedelta64(1, "D")
SAMPLE = 5000
SAME = 0.5  # share of the fields of two rows of one name that agree, where it names an event, not a row of a file


@dataclass(frozen=True)
class Placed:
    """Rows in the order of the file.

    Parameters
    ----------
    time, known : numpy.ndarray
        Stamp of each row and when it was reported (NaT: nobody says), UTC where ``zone`` or an offset says so, else as
        written.
    lat, lon : numpy.ndarray
        Degrees.
    rest : pandas.DataFrame
        The other columns.
    rejected : mapping of str to int
        Rows left out, by reason.
    """

    time: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    known: np.ndarray
    rest: pd.DataFrame
    rejected: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.time)


def placed(table: pd.DataFrame, columns: Columns, where: str, *, zone: str | None = None,
           time_format: str | None = None, now: np.datetime64 | None = None, anywhere: bool = False) -> Placed:
    """The rows of a table that have a time and a place; ``now``: what is stamped more than a day later is left out.
    ``anywhere``: a column names the region of a row, which needs no place.

    >>> table = pd.DataFrame({"time": ["2020-01-01", None, "2020-01-02"], "lat": [1.0, 1.0, None], "lon": 2.0})
    >>> placed(table, Columns("time", "lat", "lon"), "x.csv").rejected
    {'no time': 1, 'no place on Earth': 1}
    """
    time = stamps_of(table[columns.time], time_format)
    if columns.clock is not None:
        time = time + _hours(table[columns.clock])
    known = pd.Series(np.datetime64("NaT", "ns"), index=table.index) if columns.reported is None else stamps_of(
        table[columns.reported], time_format)
    if zone is not None:
        time, known = _in_utc(table[columns.time], time, zone, where), _in_utc(table[columns.time], known, zone, where)
    lat, lon = degrees_of(table, columns)
    stamps = time.to_numpy("datetime64[ns]")
    untimed, unplaced = np.isnat(stamps), ~(np.isfinite(lat) & np.isfinite(lon)) & (not anywhere)
    future = np.zeros(len(stamps), bool) if now is None else stamps > now + DAY
    kept = ~(untimed | unplaced | future)
    counted = {NO_TIME: int(untimed.sum()), NO_PLACE: int((unplaced & ~untimed).sum()),
               LATER: int((future & ~untimed & ~unplaced).sum())}
    if not kept.any():
        reason = max(counted, key=lambda name: counted[name])
        raise ReadError(f"every row is left out ({reason})", where=where, expected="rows with a stamp and a place",
                        remedy="name the columns: time, lat and lon in [[sources]]")
    own = {columns.time, columns.lat, columns.lon, columns.reported, columns.place, columns.clock}
    rest = table.loc[kept, [name for name in table.columns if str(name) not in own]].reset_index(drop=True)
    return Placed(stamps[kept], lat[kept], lon[kept], known.to_numpy("datetime64[ns]")[kept], rest,
                  {reason: many for reason, many in counted.items() if many})


def together(tables: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, int]:
    """Tables of several files as one, and how many rows were told again: exports that overlap count once, but rows that
    one file holds twice stay two. Where rows have a name of their own, the last file's word of each holds.

    >>> week, month = pd.DataFrame({"a": [1, 1, 2]}), pd.DataFrame({"a": [1, 2, 3]})
    >>> whole, again = together([week, month])
    >>> whole.a.tolist(), again
    ([1, 1, 2, 3], 2)
    """
    if len(tables) == 1:
        return tables[0].reset_index(drop=True), 0
    if (name := _own_name(tables)) is not None:
        whole = pd.concat(tables, ignore_index=True)
        again = whole[name].notna() & whole.duplicated(name, keep="last")
        return whole[~again].reset_index(drop=True), int(again.sum())
    numbered = [one.assign(__copy=one.groupby(list(one.columns), dropna=False).cumcount()) for one in tables]
    whole = pd.concat(numbered, ignore_index=True)
    again = whole.duplicated()
    return whole[~again].drop(columns="__copy").reset_index(drop=True), int(again.sum())


def _own_name(tables: Sequence[pd.DataFrame]) -> str | None:
    """The column that names each row of every file once, and the same event in two of them; None: there is none.

    A number that counts the rows of a file names another event in the next one: there most other fields differ.
    """
    shared = [name for name in tables[0].columns if all(name in one for one in tables)]
    for name in shared:
        if any(one[name].dtype.kind in "fMb" or one[name].dropna().duplicated().any() for one in tables):
            continue
        said = pd.concat([one[shared] for one in tables], ignore_index=True)
        said = said[said[name].notna()]
        twice = said[said.duplicated(name, keep=False)].astype("string").sort_values(name, kind="stable")
        twice = twice.head(2 * SAMPLE)
        pairs = (twice[name] == twice[name].shift()).to_numpy(bool, na_value=False)
        if not pairs.any() or len(shared) < 3:
            continue
        others = twice[[one for one in shared if one != name]]
        agree = ((others == others.shift()).fillna(False) | (others.isna() & others.shift().isna())).mean(axis=1)
        if float(agree[pairs].median()) >= SAME and bool((agree[pairs] < 1).any()):
            return str(name)
    return None


def _hours(column: pd.Series) -> pd.Series:
    if column.dtype.kind in "iu":
        return pd.to_timedelta(column, unit="h")
    texts = column.astype("string").str.strip()
    moments = pd.to_datetime("2000-01-01 " + texts, format="mixed", errors="coerce")
    return moments - pd.Timestamp("2000-01-01")


def says_offset(column: pd.Series) -> bool:
    """Whether stamps say where on Earth they are meant: with an offset, or as seconds since 1970.

    >>> says_offset(pd.Series(["2020-01-01T00:00Z"])), says_offset(pd.Series(["2020-01-01 00:00"]))
    (True, False)
    """
    if isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind in "iuf":
        return True
    return column.dtype.kind != "M" and bool(column.head(SAMPLE).astype("string").str.contains(
        r"\d\d:?\d\d.*(?:[zZ]|[+-]\d\d(?::?\d\d)?)$", regex=True).mean() > 1 / 2)


def _in_utc(column: pd.Series, stamps: pd.Series, zone: str, where: str) -> pd.Series:
    """Local stamps in UTC: of a doubled hour the first, a missing hour moved on by one; those with an offset stay."""
    if says_offset(column):
        return stamps
    try:
        index = pd.DatetimeIndex(stamps).tz_localize(zone, nonexistent=pd.Timedelta("1h"),
                                                     ambiguous=np.ones(len(stamps), bool))
    except (KeyError, ValueError, OSError) as wrong:
        raise ReadError(f"time_zone is {zone!r}", where=where, expected="a name such as 'Europe/Berlin'",
                        remedy="give another time_zone") from wrong
    return pd.Series(index.tz_convert("UTC").tz_localize(None), index=stamps.index)
