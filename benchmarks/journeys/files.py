"""Which files of a folder a journey is made with, and why the others are left out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from terracast.streams.errors import ReadError, TerracastError
from terracast.streams.kinds.raster_file import GRIB_ENDINGS
from terracast.streams.panel import step_of
from terracast.streams.readers import ARRAYS, READERS
from terracast.streams.schema.file_schema import look_into

NONE = pd.Timedelta(0)
LEAST_STEPS = 20
NO_TIME = "no time axis among"
TRUTH = "truth.json"  # what is known beside a data set: no data
_TABLES = tuple(READERS.keys() - ARRAYS.keys())
ENDINGS = (*READERS, *GRIB_ENDINGS, ".gpx", ".plt")
TIMES = {"time", "timestamp", "date", "datetime", "date_time", "t"}


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
        if path.is_file() and path.suffix.lower() in ENDINGS and path.name != TRUTH:
            folders.setdefault(path.parent, []).append(path)
    return [path for found in folders.values()
            for path in sorted(found, key=lambda one: (one.suffix.lower() in _TABLES, one.name))[:most]]


def looked_into(path: Path) -> Data | str:
    """What the file holds, or why it is left out. A file that cannot be read is not left out: its journey fails."""
    try:
        panel = look_into(path, "journey").sources[0].panel
    except TerracastError as wrong:
        if isinstance(wrong, ReadError) and wrong.what.startswith(NO_TIME):
            return str(wrong)
        return "a table without a time axis" if _timeless(path) else Data(path, 0, 0, pd.NaT, pd.NaT)
    time = panel["time"].values
    if len(time) < LEAST_STEPS:
        return (f"{len(time)} steps, under {LEAST_STEPS}: too few to learn from and to score; add files until there are"
                " more, or give the same record at a shorter step")
    step = pd.Timedelta(step_of(panel))
    return Data(path, len(time), panel.sizes["node"], pd.Timestamp(time[0]), pd.Timestamp(time[-1]) + step,
                max(pd.Timedelta(time[-1] - time[0]) + step - len(time) * step, NONE))


def _timeless(path: Path) -> bool:
    """A table of edges, places or links: no column is a time."""
    if path.suffix.lower() not in _TABLES:
        return False
    try:
        rows = pd.read_parquet(path).head(50) if path.suffix.lower() != ".csv" else pd.read_csv(
            path, nrows=50, sep=None, engine="python")
    except (OSError, ValueError):
        return False
    return not {str(name).lower() for name in rows.columns} & TIMES
