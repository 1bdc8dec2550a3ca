"""Rasters as a stream: panels of some steps each, read as they are asked for; a node for every cell with values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dask
import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.bitemporal import known_after
from terracast.streams.errors import ReadError
from terracast.streams.kinds.model_calendar import on_its_labels
from terracast.streams.kinds.raster import observed_cells, to_panel
from terracast.streams.kinds.raster_file import read
from terracast.streams.readers.ticks import on_ticks
from terracast.streams.readers.wanted import Wanted

VALUES_A_PIECE = 4_000_000  # in a panel: some 32 MB a variable
MOST_NODES = 1000


@dataclass(frozen=True)
class OpenedRaster:
    """A raster file on its clock: a lazy grid, and the cells (lat, lon) that hold a value at any time."""

    grid: xr.Dataset
    mask: xr.DataArray

    @property
    def cells(self) -> int:
        """How many hold a value."""
        return int(self.mask.sum())


def opened(path: str | Path | Sequence[Path], wanted: Wanted, coarsen: int = 1) -> OpenedRaster:
    """A raster file, or several of one grid, as they will be read; ``coarsen``: so many cells a side become one, their
    mean.

    Raises
    ------
    ReadError
        The file is no raster, has no time axis, or shows no clock.
    """
    names = {given: ours for ours, given in (("time", wanted.time), ("lat", wanted.lat), ("lon", wanted.lon))
             if isinstance(given, str)}
    grid = _joined([path] if isinstance(path, str | Path) else path, wanted, names)
    stamps = grid["time"].values
    order = np.argsort(stamps, kind="stable")
    if (np.diff(order) < 0).any():
        grid, stamps = grid.isel(time=order), stamps[order]
    ticks = on_ticks(stamps, np.zeros(len(stamps), int), wanted)
    kept = np.flatnonzero(ticks.keep)
    grid = grid.isel(time=kept).assign_coords(time=ticks.time[kept])
    own = {key: value for key, value in grid.attrs.items() if key not in ("calendar", "step", "anchor")}
    grid = grid.assign_attrs({**own, **ticks.attrs})
    if "calendar" not in ticks.attrs:
        grid.attrs.pop("calendar", None)
    for name in grid.data_vars:
        grid[name].attrs["units"] = wanted.units.get(str(name)) or str(grid[name].attrs.get("units") or "unknown")
    grid = grid.assign_attrs(cell=",".join(f"{coarsen * size:g}" for size in _spacing(grid)))
    if coarsen > 1:
        grid = coarser(grid, coarsen)
    with dask.config.set(scheduler="synchronous"):  # the HDF5 library reads one thread at a time, and may lock threads
        return OpenedRaster(grid, observed_cells(grid, grid.sizes["time"]))


def _joined(paths: Sequence[str | Path], wanted: Wanted, names: Mapping[str, str]) -> xr.Dataset:
    """The files' grids one after the other: a file a step, a month or a year."""
    step = None if wanted.step is None else str(wanted.step)
    grids = [on_its_labels(read(path, domain=wanted.domain, names=names, variables=wanted.variables,
                                step=step or ("1h" if len(paths) > 1 else None))) for path in paths]
    if len(grids) == 1:
        return grids[0]
    try:
        whole = xr.concat(grids, "time", join="exact", combine_attrs="override", coords="minimal", compat="override")
    except ValueError as wrong:
        raise ReadError("the files lie on several grids", where=str(Path(paths[0]).parent),
                        expected="the same latitudes and longitudes in each", remedy="name one of the files, or "
                        "regrid them to one") from wrong
    _, first = np.unique(whole["time"].values, return_index=True)
    return whole.isel(time=first)


def coarser(grid: xr.Dataset, cells: int) -> xr.Dataset:
    """Means of ``cells`` by ``cells`` cells; what is missing takes no part."""
    attrs = {name: grid[name].attrs for name in grid.variables}
    means = grid.coarsen(lat=cells, lon=cells, boundary="pad").mean(keep_attrs=True)
    for name, held in attrs.items():
        if name in means.variables:
            means[name].attrs = held
    return means.assign_attrs(grid.attrs)


def raster_panels(path: str | Path, wanted: Wanted, coarsen: int = 1) -> Iterator[xr.Dataset]:
    """The cells that hold values as panels of some steps each, in order of time. Memory: a piece at a time."""
    stacked = opened(path, wanted, coarsen)
    if not stacked.cells:
        raise ReadError("every cell is missing at every time", where=Path(path).name, expected="values",
                        remedy="check the file's fill value")
    panel = to_panel(stacked.grid, stacked.mask)
    panel = panel.drop_vars(["calendar_time", "row", "column"], errors="ignore")
    delay = pd.Timedelta(wanted.delay) if wanted.delay is not None else None
    if delay is not None:
        panel = known_after(panel.drop_vars("known_time"), delay)
    panel.attrs.pop("grid", None)
    rows = max(1, VALUES_A_PIECE // max(stacked.cells, 1))
    for start in range(0, panel.sizes["time"], rows):
        with dask.config.set(scheduler="synchronous"):
            piece = panel.isel(time=slice(start, start + rows)).compute()
        yield piece


def coarsen_by(stacked: OpenedRaster, most: int = MOST_NODES) -> int:
    """How many cells a side become one, so that at most ``most`` nodes are left; 1 where there are no more."""
    cells = 1
    while stacked.cells / cells**2 > most:
        cells += 1
    return cells


def _spacing(grid: xr.Dataset) -> Sequence[float]:
    """Degrees between two rows and two columns."""
    gaps = [float(np.median(np.abs(np.diff(grid[name].values)))) if grid.sizes[name] > 1 else np.nan
            for name in ("lat", "lon")]
    other = next((gap for gap in gaps if np.isfinite(gap)), 1.0)
    return [gap if np.isfinite(gap) else other for gap in gaps]
