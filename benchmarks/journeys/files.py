"""Which files of a folder a journey is made with, and why the others are left out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import xarray as xr

from terracast.streams.errors import TerracastError
from terracast.streams.panel import step_of
from terracast.streams.readers import ARRAYS, READERS
from terracast.streams.schema.file_schema import look_into

NONE = pd.Timedelta(0)
LEAST_STEPS = 200
TRUTH = "truth.json"  # what is known beside a data set: no data
LATER = "follows with any ordinary file"
_GRID = {"lat", "lon", "latitude", "longitude"}
_TABLES = tuple(READERS.keys() - ARRAYS.keys())


@dataclass(frozen=True)
class Data:
    """A file to make a journey with: how many ``steps`` and ``nodes`` it holds, from when to when, and for how much of
    that time nothing is in it."""

    path: Path
    steps: int
    nodes: int
    first: pd.Timestamp
    end: pd.Timestamp
    silent: pd.Timedelta = NONE


def files_of(place: Path, most: int) -> list[Path]:
    """Files that can be read under ``place``, at most so many a folder: NetCDF before tables, then by name."""
    if place.is_file():
        return [place]
    folders: dict[Path, list[Path]] = {}
    for path in sorted(place.rglob("*")):
        if path.is_file() and path.suffix.lower() in READERS and path.name != TRUTH:
            folders.setdefault(path.parent, []).append(path)
    return [path for found in folders.values()
            for path in sorted(found, key=lambda one: (one.suffix.lower() in _TABLES, one.name))[:most]]


def looked_into(path: Path) -> Data | str:
    """What the file holds, or why it is left out. A file that cannot be read is not left out: its journey fails."""
    kind = _raster_or_calendar(path) if path.suffix.lower() not in _TABLES else _events(path)
    if kind:
        return f"{kind}: {LATER}"
    try:
        panel = look_into(path, "journey").sources[0].panel
    except TerracastError:
        return Data(path, 0, 0, pd.NaT, pd.NaT)
    time = panel["time"].values
    if len(time) < LEAST_STEPS:
        return f"{len(time)} steps of {LEAST_STEPS}"
    step = pd.Timedelta(step_of(panel))
    return Data(path, len(time), panel.sizes["node"], pd.Timestamp(time[0]), pd.Timestamp(time[-1]) + step,
                max(pd.Timedelta(time[-1] - time[0]) + step - len(time) * step, NONE))


def _raster_or_calendar(path: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with xr.open_dataset(path, decode_times=False) as held:
                calendar = str(held["time"].attrs.get("calendar", "")) if "time" in held.variables else ""
                grids = [one for one in held.data_vars.values()
                         if len(_GRID & {str(dim).lower() for dim in one.dims}) > 1]
        except (OSError, ValueError):
            return ""
    return f"calendar {calendar}" if calendar.startswith("360") else "a raster" if grids else ""


def _events(path: Path) -> str:
    """Events and trajectories: rows with a place each and no node that comes back; tables without a time axis."""
    try:
        rows = pd.read_parquet(path).head(50) if path.suffix.lower() != ".csv" else pd.read_csv(
            path, nrows=50, sep=None, engine="python")
    except (OSError, ValueError):
        return ""
    names = {str(name).lower() for name in rows.columns}
    if {"lat", "lon"} <= names and len(rows[[name for name in rows.columns if str(name).lower() in ("lat", "lon")]]
                                       .drop_duplicates()) > len(rows) / 2:
        return "events or a trajectory"
    return "" if names & {"time", "timestamp", "date", "datetime", "date_time"} else "a table without a time axis"
