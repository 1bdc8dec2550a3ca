"""What kind of data a file holds, by its content: a grid, events, movers, or a table of fixed places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from terracast.stats.great_circle import haversine_km
from terracast.streams.errors import ReadError
from terracast.streams.kinds.columns import Columns, find_columns, identities, region_column, stamps_of, type_column
from terracast.streams.kinds.placed import Placed, placed
from terracast.streams.kinds.raster_file import GRIB_ENDINGS, TIFF_ENDINGS, is_raster, refuse_other_grids
from terracast.streams.kinds.records import TRACKS, records
from terracast.streams.panel import KINDS

SAMPLED = 20_000  # rows looked at
FOLLOWS = 0.35  # consecutive places of a mover, to two of its places at random: a mover comes from where it was
FEWEST_FIXES = 5
FEWEST_ROWS, EVEN = 100, 0.5  # events that come at any moment: no time between two of them is that common
MOST_FILES = 200
NAMED = ("vehicle", "track")  # what forms of tracks call what moves
OF_MOVERS = ("speed", "heading", "bearing", "course", "direction", "alt", "elev", "accuracy", "hdop", "dop", "odometer",
             "distance", "ele", "kurs", "sog", "cog", "rot", "draft", "draught", "length", "width",
             "velocidad", "sequence", "azimuth", "status", "zero", "delay", "occupancy")


@dataclass(frozen=True)
class Recognised:
    """A kind, why it is that, and the columns by which it is read: ``mover`` names what moves, ``node`` what stays."""

    kind: str
    why: str
    columns: Columns | None = None
    mover: str | None = None
    event_type: str | None = None
    region: str | None = None


def recognise(path: str | Path | Sequence[Path], *, kind: str | None = None, layout: Mapping[str, Any] | None = None,
              **given: str | None) -> Recognised:
    """The kind of a file, or ``kind`` as said; ``given``: names of columns (time, lat, lon, reported) that are known.

    Parameters
    ----------
    path : str, Path or sequence of Path
        A file, or those of a folder; the first rows are read, of a raster the head alone.
    kind : str, optional
        ``sensor``, ``raster``, ``point``, ``trajectory`` or ``event``, where the user says so.
    layout : mapping, optional
        How a table is written (``streams.kinds.records``).

    Raises
    ------
    ReadError
        The file cannot be read, or cannot be of the kind that is said.

    Examples
    --------
    >>> import tempfile
    >>> random = np.random.default_rng(0)
    >>> table = pd.DataFrame({"when": pd.date_range("2020-01-01", periods=300, freq="h"), "sort": "fire",
    ...                       "latitude": random.uniform(50, 51, 300), "longitude": random.uniform(7, 8, 300)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table.to_csv(Path(folder) / "fires.csv", index=False)
    ...     found = recognise(Path(folder) / "fires.csv")
    >>> found.kind, found.why
    ('event', 'a time and a place of its own in each row, and nothing that moves from one to the next')
    """
    files = [Path(path)] if isinstance(path, str | Path) else list(path)
    path = files[0]
    if kind is not None and kind not in KINDS:
        raise ReadError(f"kind is {kind!r}", where="--kind", expected="one of " + ", ".join(KINDS),
                        remedy="name one of them")
    ending = path.suffix.lower()
    if kind == "raster" or (kind is None and (ending in (*GRIB_ENDINGS, *TIFF_ENDINGS) or is_raster(path))):
        return Recognised("raster", "values on a grid of latitudes and longitudes")
    if kind is None:
        refuse_other_grids(path)
    if kind == "sensor" or ending in (".nc", ".nc4", ".zarr") or path.is_dir() or not path.is_file():
        return Recognised(kind or "sensor", "series at fixed places")
    try:
        table = _sample(files, layout or {})
        columns = find_columns(table, path.name, guess=kind is not None, regions=kind in (None, "event"), **given)
        if columns.lat is None and columns.place is None:
            return _of_regions(table, columns, kind)
        return _of_rows(table, columns, kind, path.name)
    except (ReadError, TypeError, ValueError) as wrong:
        if kind is None and ending not in TRACKS:
            return Recognised("sensor", "a table without a time and a place in each row")
        if isinstance(wrong, ReadError):
            raise
        raise ReadError(f"the rows cannot be read ({str(wrong)[:60]})", where=path.name, expected="a row an event or "
                        "fix", remedy="name the columns: time, lat and lon in [[sources]]") from wrong


def _of_regions(table: pd.DataFrame, columns: Columns, kind: str | None) -> Recognised:
    """Rows without a place on Earth: events where they come at any moment and say a region, and nothing is measured."""
    region = region_column(table, columns)
    stamps = stamps_of(table[columns.time]).dropna().sort_values()
    gaps = stamps.diff().iloc[1:]
    anytime = len(gaps) > FEWEST_ROWS and float(gaps.value_counts(normalize=True).iloc[0]) < EVEN
    if kind is None and (region is None or not anytime or _measured(table, None)):
        return Recognised("sensor", "a table without a time and a place in each row")
    rest = table.drop(columns=[region]) if region else table
    return Recognised("event", "something that happened, with a time and a region in each row", columns, region=region,
                      event_type=type_column(rest, columns))


def _of_rows(table: pd.DataFrame, columns: Columns, kind: str | None, where: str) -> Recognised:
    rows = placed(table, columns, where)
    names, whole = identities(rows.rest, columns), _whole(rows)
    tracks = bool(table.attrs.get("tracks"))
    mover = next((name for name in names if _moves(whole, name)), None)
    if mover is None and tracks:
        mover = next((name for name in NAMED if name in rows.rest), None)
    alone = mover is None and (tracks or _moves(whole, None))
    if kind == "event" or (kind is None and mover is None and not alone):
        places = len(whole[["lat", "lon"]].drop_duplicates())
        if kind is None and ((places <= len(whole) / 20 and places <= 5000) or _repeats(whole, names)):
            return Recognised("sensor", f"{places} places that come back with every time", columns)
        return Recognised("event", "a time and a place of its own in each row, and nothing that moves from one to the "
                          "next", columns, event_type=type_column(table, columns))
    if kind in ("point", "trajectory"):
        return Recognised(kind, "as said", columns, mover=mover or (names[0] if names else None))
    measured = _measured(rows.rest, mover)
    if measured:
        return Recognised("point", f"{measured[0]} is measured by what moves", columns, mover=mover)
    return Recognised("trajectory", "positions of what moves", columns, mover=mover)


def recognised_mover(rows: Placed, columns: Columns) -> str | None:
    """The column that names what moves; None where no name does."""
    whole = _whole(rows)
    return next((name for name in identities(rows.rest, columns) if _moves(whole, name)), None)


def _whole(rows: Placed) -> pd.DataFrame:
    rest = rows.rest.drop(columns=[name for name in ("time", "lat", "lon") if name in rows.rest])
    return pd.concat([pd.DataFrame({"time": rows.time, "lat": rows.lat, "lon": rows.lon}), rest], axis=1)


def _sample(files: Sequence[Path], layout: Mapping[str, Any]) -> pd.DataFrame:
    """Whole stretches of rows, so that what follows one another still does: of so many files as it takes."""
    tables: list[pd.DataFrame] = []
    for path in files[:MOST_FILES]:
        tables.append(records(path, layout, head=True))
        if sum(map(len, tables)) >= SAMPLED:
            break
    table = tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)
    table.attrs = dict(tables[0].attrs)
    return table if len(table) <= 5 * SAMPLED else table.head(5 * SAMPLED)


def _moves(whole: pd.DataFrame, name: str | None) -> bool:
    """Whether places of one name follow one another: two in a row lie much nearer than two at random."""
    ordered = whole.sort_values([name, "time"] if name else ["time"], kind="stable")
    group = np.zeros(len(ordered), int) if name is None else pd.factorize(ordered[name])[0]
    sizes = np.bincount(group[group >= 0], minlength=1)
    if np.median(sizes) < FEWEST_FIXES:
        return False
    lat, lon = ordered["lat"].to_numpy(), ordered["lon"].to_numpy()
    same = group[1:] == group[:-1]
    near = haversine_km(lat[:-1], lon[:-1], lat[1:], lon[1:])[same]
    shuffled = np.random.default_rng(0).permutation(len(ordered))
    shuffled = shuffled[np.argsort(group[shuffled], kind="stable")]
    pairs = group[shuffled][1:] == group[shuffled][:-1]
    far = haversine_km(lat[shuffled][:-1], lon[shuffled][:-1], lat[shuffled][1:], lon[shuffled][1:])[pairs]
    moved = far[far > 0]
    if len(moved) < len(far) / 2:  # it stays where it is
        return False
    return bool(np.mean(near) < FOLLOWS * np.mean(far))


def _repeats(whole: pd.DataFrame, names: list[str]) -> bool:
    """Whether a name stands for one place that comes back, as a station does."""
    for name in names:
        places = whole.groupby(name)[["lat", "lon"]].nunique().max(axis=1)
        if len(places) > 1 and bool((places <= 1).mean() > 0.9) and len(whole) >= 5 * len(places):
            return bool(whole.groupby([name, "time"]).size().max() == 1)
    return False


def _measured(rest: pd.DataFrame, mover: str | None) -> list[str]:
    """Columns of measured numbers: not whole, and not of the mover itself, as its speed and heading are."""
    return [str(name) for name in rest.columns if name != mover and rest[name].dtype.kind == "f"
            and not any(word in str(name).lower() for word in OF_MOVERS)
            and bool((rest[name].dropna() % 1 != 0).mean() > 0.5)]
