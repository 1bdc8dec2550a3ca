"""Events: marks with a time, a place and perhaps a type (crimes, accidents, calls), counted sparsely."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.errors import PanelError, ReadError
from terracast.streams.kinds.cells import GridCells
from terracast.streams.kinds.counts import check, counts_of, from_panel, to_panel, with_exposure
from terracast.streams.kinds.notes import Note, as_text, notes_of

__all__ = ["Events", "check", "count", "from_panel", "of_table", "read", "to_panel", "to_utc", "write"]


@dataclass(frozen=True)
class Events:
    """A checked table of events: ``time`` (ns), ``lat``, ``lon`` and other columns, and what is odd about it.

    ``timezone`` is that of the stamps (None: not known); ``duplicates`` counts exact copies of earlier rows, which
    are kept.
    """

    table: pd.DataFrame
    domain: str
    timezone: str | None
    duplicates: int
    notes: tuple[Note, ...]

    def __len__(self) -> int:
        return len(self.table)


def of_table(table: pd.DataFrame, *, domain: str, timezone: str | None = None, time: str = "time",
             lat: str = "lat", lon: str = "lon") -> Events:
    """Events from a table with a row per event. Raises ``PanelError`` for an event without time or place.

    A place may lie anywhere on Earth; ``time``, ``lat``, ``lon`` name the columns; the others are kept. O(events).

    >>> table = pd.DataFrame({"time": pd.to_datetime(["2015-03-08T01:30"] * 2), "lat": 40.7, "lon": -74.0})
    >>> events = of_table(table, domain="crime", timezone="America/New_York")
    >>> events.duplicates, [note.code for note in events.notes]
    (1, ['hour_missing', 'duplicates'])
    """
    for ours, theirs in (("time", time), ("lat", lat), ("lon", lon)):
        if theirs not in table:
            raise PanelError(f"no column {theirs!r}", where=domain, remedy=f"name it: {ours}='…'",
                             expected="one of " + ", ".join(map(str, table.columns)))
    table = table.rename(columns={time: "time", lat: "lat", lon: "lon"})
    stamps = pd.to_datetime(table["time"])
    if stamps.dt.tz is not None:
        stamps, timezone = stamps.dt.tz_convert("UTC").dt.tz_localize(None), "UTC"
    table = table.assign(time=stamps.astype("datetime64[ns]"))
    placed = (np.abs(table["lat"].to_numpy(float)) <= 90) & (np.abs(table["lon"].to_numpy(float)) <= 360)
    whole = placed & table["time"].notna().to_numpy()
    if not whole.all():
        raise PanelError("an event has no time or no place on Earth", where=f"{domain} row {int(np.argmin(whole))}",
                         expected="time, lat and lon on every row", remedy="drop such rows, and say how many")
    duplicates = _duplicates(table)
    return Events(table, domain, timezone, duplicates, notes_of(table["time"].to_numpy(), timezone, duplicates))


def read(path: str | Path, *, domain: str, timezone: str | None = None, time: str = "time", lat: str = "lat",
         lon: str = "lon") -> Events:
    """Read events: Parquet, CSV (any separator) or GeoJSON points. Raises ``ReadError`` or ``PanelError``."""
    path = Path(path)
    if not path.is_file():
        raise ReadError("no such file", where=str(path), expected="a table of events", remedy="check the path")
    if path.suffix in (".parquet", ".pq"):
        table = pd.read_parquet(path)
    elif path.suffix in (".geojson", ".json"):
        try:
            features = json.loads(path.read_text(encoding="utf-8"))["features"]
            rows = [{**one["properties"], "lon": one["geometry"]["coordinates"][0],
                     "lat": one["geometry"]["coordinates"][1]} for one in features]
        except (ValueError, KeyError, TypeError, IndexError) as wrong:
            raise ReadError("not GeoJSON points", where=path.name, expected="a FeatureCollection of points",
                            remedy="convert it to Parquet") from wrong
        table = pd.DataFrame(rows)
    else:
        table = pd.read_csv(path, sep=None, engine="python")
    return of_table(table, domain=domain, timezone=timezone, time=time, lat=lat, lon=lon)


def write(events: Events, path: str | Path) -> None:
    """Write the events' table as Parquet; ``read`` with the same domain and time zone gives them back."""
    events.table.to_parquet(path, index=False)


def to_utc(events: Events) -> Events:
    """The events with stamps in UTC: of a doubled hour the first, a missing hour moved on by one.

    >>> table = pd.DataFrame({"time": pd.to_datetime(["2015-07-01T12:00"]), "lat": 40.7, "lon": -74.0})
    >>> str(to_utc(of_table(table, domain="crime", timezone="America/New_York")).table.time[0])
    '2015-07-01 16:00:00'
    """
    if events.timezone is None:
        raise PanelError("the time zone is not known", where=events.domain, expected="a time zone of the stamps",
                         remedy="read with timezone='America/New_York' or the like")
    local = pd.DatetimeIndex(events.table["time"])
    stamps = local.tz_localize(events.timezone, nonexistent=pd.Timedelta("1h"), ambiguous=np.ones(len(local), bool))
    table = events.table.assign(time=stamps.tz_convert("UTC").tz_localize(None).astype("datetime64[ns]"))
    return Events(table, events.domain, "UTC", events.duplicates, events.notes)


def count(events: Events, cells: GridCells | str | Sequence[str], step: str, *, by: str | None = None,
          start: str | None = None, stop: str | None = None, patience: str | None = None) -> xr.Dataset:
    """Sparse counts per cell and step (``streams.kinds.counts``); ``by`` tells the types of a column apart.

    ``cells``: a grid, or the column (or columns) that names the region; exposure is the cell's area, or one per
    region (set your own with ``counts.with_exposure``). A column ``known_time`` says when events were reported.
    Attrs carry ``zero_share``, ``zero_inflation``, ``duplicates``, ``notes`` (JSON), ``unplaced``.

    >>> table = pd.DataFrame({"time": pd.to_datetime(["2020-01-01T00:10", "2020-01-01T05:20"]), "lat": [0.5, 0.6],
    ...                       "lon": 0.5, "offence": ["theft", "fraud"]})
    >>> events = of_table(table, domain="crime", timezone="UTC")
    >>> counts = count(events, GridCells((0, 1), (0, 1)), "1h", by="offence")
    >>> to_panel(counts, time=slice("2020-01-01T05:00", None)).fraud.values.tolist()
    [[1.0]]
    """
    table = events.table
    if isinstance(cells, GridCells):
        cell = cells.cell_of(table["lat"].to_numpy(), table["lon"].to_numpy())
        nodes, (lat, lon) = cells.names, cells.centres
        exposure, units, meaning = cells.areas_km2, "km2", "cell area"
    else:
        cell, nodes = _regions(table, [cells] if isinstance(cells, str) else list(cells), events.domain)
        size = np.maximum(np.bincount(cell[cell >= 0], minlength=len(nodes)), 1)
        lat, lon = (np.bincount(cell[cell >= 0], weights=table[name].to_numpy(float)[cell >= 0],
                                minlength=len(nodes)) / size for name in ("lat", "lon"))
        exposure, units, meaning = np.ones(len(nodes)), "1", "region"
    mark, names = (None, np.zeros(0, str)) if by is None else _codes(table, by, events.domain)
    known = table["known_time"].to_numpy("datetime64[ns]") if "known_time" in table else None
    held = counts_of(table["time"].to_numpy(), cell, nodes, step=step, domain=events.domain, mark=mark,
                     mark_names=names, start=start, stop=stop, known=known, patience=patience)
    held = with_exposure(held, exposure, units, meaning).assign_coords(lat=("node", lat), lon=("node", lon))
    return held.assign_attrs(duplicates=events.duplicates, notes=as_text(events.notes),
                             timezone=events.timezone or "unknown")


def _duplicates(table: pd.DataFrame) -> int:
    """How many rows are exact copies of an earlier one; only rows that share a hash of time and place are compared."""
    mixed = table["time"].to_numpy().astype(np.uint64)
    for name, factor in (("lat", 0x9E3779B97F4A7C15), ("lon", 0xC2B2AE3D27D4EB4F)):  # odd: wraps round one to one
        degrees = table[name].to_numpy(float) + 0.0  # −0 becomes 0
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(factor) + degrees.view(np.uint64)
    ordered = np.sort(mixed)
    shared = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    return int(table[np.isin(mixed, shared)].duplicated().sum()) if len(shared) else 0


def _codes(table: pd.DataFrame, column: str, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of a column's distinct values in sorted order (−1 = missing), and the values as text."""
    if column not in table:
        raise PanelError(f"no column {column!r}", where=where, remedy="name a column of the table",
                         expected="one of " + ", ".join(map(str, table.columns)))
    code, names = pd.factorize(table[column], sort=True)
    return code, np.asarray(names).astype(str)


def _regions(table: pd.DataFrame, columns: list[str], where: str) -> tuple[np.ndarray, np.ndarray]:
    """Region of each event and names "one/other"; only regions in which something happened."""
    parts = [_codes(table, column, where) for column in columns]
    whole, missing = np.zeros(len(table), np.int64), np.zeros(len(table), bool)
    for code, names in parts:
        whole = whole * len(names) + code
        missing |= code < 0
    found, cell = np.unique(whole[~missing], return_inverse=True)
    texts, rest = [], found
    for _, names in reversed(parts):
        rest, own = np.divmod(rest, len(names))
        texts.append(names[own])
    region = np.full(len(table), -1)
    region[~missing] = cell
    return region, np.array(["/".join(words) for words in zip(*reversed(texts), strict=True)], dtype=str)
