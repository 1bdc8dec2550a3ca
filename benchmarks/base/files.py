"""Files that a base model is benched on: found in folders, read as panels, put on an even clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.errors import ReadError, TerracastError
from terracast.streams.kinds.event import TOTAL, Counting, event_panels
from terracast.streams.kinds.raster_file import is_raster
from terracast.streams.kinds.raster_stream import raster_panels
from terracast.streams.kinds.records import records
from terracast.streams.readers import READERS, read
from terracast.streams.readers.wanted import Wanted
from terracast.streams.sources.gathered import RowTerms, rows_of

MONTH, YEAR = pd.Timedelta("30.4375D"), pd.Timedelta("365.25D")
BESIDE = {".json", ".geojson", ".txt"}  # in a folder of data: labels, maps, matrices
OTHER_BENCHES = {"label_file", "pairs"}  # keys of a truth.json whose data are for anomalies, changes or causes


def _crimes(path: Path) -> xr.Dataset:
    """Events as counts a day and precinct, a variable for each offence."""
    rows, _ = rows_of(RowTerms("crime", "event", zone="America/New_York"), [(path, records(path))])
    how = Counting("crime", 0.0, "1D", node="precinct", event_type="offense", zone="America/New_York")
    panel = next(event_panels(rows, how)).drop_vars(TOTAL)
    local = pd.DatetimeIndex(panel["time"].values).tz_localize("UTC").tz_convert("America/New_York").tz_localize(None)
    return panel.assign_coords(time=local.to_numpy("datetime64[ns]"))


def _grid(path: Path) -> xr.Dataset:
    """Every cell of a raster as a node."""
    return xr.concat(raster_panels(path, Wanted(where=path.name, domain=path.stem, kind="raster")), "time")


# files whose form does not tell how they are meant
READINGS: dict[str, Callable[[Path], xr.Dataset]] = {
    "nyc_crime_events.parquet": _crimes,
}


def found(paths: Sequence[Path]) -> list[Path]:
    """The files meant by ``paths``: a file is itself; a folder stands for the datasets in it.

    Of a folder's own files the NetCDF ones are taken, or, where it has none, the tables; folders whose ``truth.json``
    speaks of labels or of causal pairs belong to other benches. Sorted by path. Raises ``ReadError``.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("a.csv", "b.nc", "notes.txt"):
    ...         Path(folder, name).touch()
    ...     [path.name for path in found([Path(folder)])]
    ['b.nc']
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ReadError("no such file or folder", where=str(path), expected="data", remedy="check --data")
        files += [path] if path.is_file() or path.suffix == ".zarr" else list(_in_folder(path))
    if not files:
        raise ReadError("no data there", where=", ".join(map(str, paths)), remedy="name a file",
                        expected="a file that ends in one of " + ", ".join(READERS))
    return list(dict.fromkeys(files))


def _in_folder(folder: Path) -> Iterator[Path]:
    truth = folder / "truth.json"
    if truth.is_file() and OTHER_BENCHES & set(json.loads(truth.read_text(encoding="utf-8"))):
        return
    own = sorted(path for path in folder.iterdir() if path.suffix.lower() in READERS.keys() - BESIDE)
    rasters = [path for path in own if path.suffix.lower() in (".nc", ".nc4", ".zarr")]
    named = [path for path in own if path.name in READINGS]
    yield from rasters or named or own
    for inner in sorted(path for path in folder.iterdir() if path.is_dir() and path.suffix != ".zarr"):
        yield from _in_folder(inner)


def panel_of(path: Path) -> xr.Dataset:
    """The file as a panel on an even clock; rasters have a node for each cell. Raises ``ReadError``."""
    reading = READINGS.get(path.name)
    try:
        panel = reading(path) if reading else _grid(path) if is_raster(path) else read(path, domain=path.stem)
    except TerracastError as wrong:
        raise ReadError(wrong.what, where=path.name, expected=wrong.expected, remedy=wrong.remedy) from wrong
    return on_even_clock(panel.drop_vars("known_time", errors="ignore"), path.name)


def on_even_clock(panel: xr.Dataset, where: str) -> xr.Dataset:
    """The panel with every step between its first and last stamp, NaN where a row is missing.

    Months and years become even steps of 30.4375 and 365.25 days, each stamp moved to the nearest. Raises
    ``ReadError`` where two rows fall on one step, or fewer than a tenth of the steps have a row. O(values).

    >>> stamps = pd.to_datetime(["2020-01-01", "2020-02-01", "2020-03-01", "2020-05-01"])
    >>> panel = xr.Dataset({"x": (("time", "node"), np.ones((4, 1)))}, {"time": stamps, "node": ["a"]})
    >>> on_even_clock(panel, "x").x.values.ravel().tolist()
    [1.0, 1.0, 1.0, nan, 1.0]
    """
    stamps = panel["time"].values.astype("datetime64[ns]")
    if len(stamps) < 3:
        raise ReadError(f"{len(stamps)} stamps", where=where, expected="a series", remedy="leave it out")
    step = pd.Timedelta(int(np.median(np.diff(stamps).astype("int64"))), "ns")
    if pd.Timedelta("27D") < step < pd.Timedelta("32D"):
        step = MONTH
    elif pd.Timedelta("364D") < step < pd.Timedelta("367D"):
        step = YEAR
    slots = np.rint((stamps - stamps[0]) / step.to_timedelta64()).astype(int)
    if len(np.unique(slots)) < len(slots):
        raise ReadError("two rows fall on one step", where=where, expected=f"rows {step} apart",
                        remedy="resample the file")
    length = int(slots[-1]) + 1
    if length > 10 * len(slots):
        raise ReadError(f"{len(slots)} rows on {length} steps of {step}", where=where, expected="rows at even steps",
                        remedy="resample the file")
    whole = np.arange(length) * step.to_timedelta64() + stamps[0]
    even = panel.assign_coords(time=whole[slots]).reindex(time=whole)
    return even.assign_attrs(step=str(step))
