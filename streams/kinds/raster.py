"""Rasters: grids of cells as panels, lazily; a panel's nodes are the cells that a mask leaves."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.bitemporal import known_after
from terracast.streams.errors import PanelError
from terracast.streams.kinds.cells import cell_names
from terracast.streams.panel import check_panel, step_of


def observed_cells(grid: xr.Dataset, steps: int = 1) -> xr.DataArray:
    """Mask (lat, lon): cells with a value in the first ``steps`` steps. Reads only those.

    >>> grid = xr.Dataset({"t": (("time", "lat", "lon"), [[[1.0, np.nan]]])})
    >>> observed_cells(grid).values.tolist()
    [[True, False]]
    """
    first = grid.isel(time=slice(0, steps))
    seen = [first[name].notnull().any("time").transpose("lat", "lon") for name in first.data_vars]
    return xr.concat(seen, "variable").any("variable").compute()


def to_panel(grid: xr.Dataset, mask: xr.DataArray | None = None) -> xr.Dataset:
    """The grid as a panel: each cell a node called "lat,lon"; cells outside the ``mask`` are dropped.

    Lazy when the grid is lazy: nothing is computed, each chunk is reshaped by itself, never a long table. ``row``
    and ``column`` on node and the attr ``grid`` (JSON: the axes) say which cell each is. Known one step after its
    stamp, unless the grid has ``known_time`` on time.

    >>> grid = xr.Dataset({"t": (("time", "lat", "lon"), np.arange(4.0).reshape(1, 2, 2),
    ...                          {"units": "K", "long_name": "temperature"})},
    ...                   {"time": np.array(["2020-01-01"], "M8[ns]"), "lat": [1.0, 0.0], "lon": [5.0, 6.0]},
    ...                   {"domain": "weather", "kind": "raster", "step": "1h"})
    >>> panel = to_panel(grid, mask=grid.t.isel(time=0) != 1.0)
    >>> panel.node.values.tolist(), panel.t.values.tolist()
    (['1,5', '0,5', '0,6'], [[0.0, 2.0, 3.0]])
    """
    _check_grid(grid)
    lat, lon = grid["lat"].values, grid["lon"].values
    kept = np.ones((len(lat), len(lon)), bool) if mask is None else mask.transpose("lat", "lon").values.astype(bool)
    if kept.shape != (len(lat), len(lon)) or not kept.any():
        raise PanelError(f"a mask of {kept.shape}, {kept.sum()} cells in it", where=str(grid.attrs["domain"]),
                         expected=f"{(len(lat), len(lon))} with a cell or more", remedy="take the grid's own mask")
    row, column = np.nonzero(kept)
    data = {str(name): _stacked(grid[name], kept) for name in grid.data_vars}
    axes = {"lat": lat.tolist(), "lon": lon.tolist(), "lat_type": str(lat.dtype), "lon_type": str(lon.dtype),
            "lat_attrs": _texts(grid["lat"]), "lon_attrs": _texts(grid["lon"])}
    coords = {name: grid[name] for name in ("time", "known_time", "calendar_time") if name in grid.coords}
    panel = xr.Dataset(data, coords, {**grid.attrs, "grid": json.dumps(axes)}).assign_coords(
        node=cell_names(lat[row], lon[column]), row=("node", row), column=("node", column),
        lat=("node", lat[row].astype(float), _texts(grid["lat"])),
        lon=("node", lon[column].astype(float), _texts(grid["lon"])))
    if "known_time" not in panel.coords:
        panel = known_after(panel, pd.Timedelta(step_of(panel)))
    return check(panel)


def check(panel: xr.Dataset) -> xr.Dataset:
    """A raster panel in canonical form: nodes are cells of the grid in the attr ``grid``.

    Lazy variables are checked by shape, axes and attrs only; their values are looked at where they are read.
    """
    where = str(panel.attrs.get("domain", "panel"))
    if panel.attrs.get("kind") != "raster":
        raise PanelError(f"kind is {panel.attrs.get('kind')!r}", where=where, expected="'raster'",
                         remedy="use the check of that kind")
    axes = _axes(panel)
    for name, axis in (("row", "lat"), ("column", "lon")):
        if name not in panel.coords or panel[name].dims != ("node",):
            raise PanelError(f"no {name} on node", where=where, expected="the cell of every node",
                             remedy="make the panel with raster.to_panel")
        along = np.array(axes[axis])
        if not np.array_equal(along[panel[name].values].astype(float), panel[axis].values.astype(float)):
            raise PanelError(f"{axis} is not that of the node's {name}", where=where, expected=f"{axis} of the grid",
                             remedy="make the panel with raster.to_panel")
    lazy = [str(name) for name in panel.data_vars if panel[name].chunks is not None]
    if not lazy:
        return check_panel(panel)
    # two thin stand-ins carry every axis through the one check without touching a value
    checked = [check_panel(_stand_in(panel.isel(thin))) for thin in ({"node": slice(0, 1)}, {"time": slice(0, 1)})]
    coords = {"time": checked[0]["time"], "node": checked[1]["node"]}
    if "known_time" in panel.coords and panel["known_time"].dims == ("time",):
        coords["known_time"] = checked[0]["known_time"]
    kept = panel.transpose("time", "node", ...).assign_coords(
        {name: (held.dims, held.values, held.attrs) for name, held in coords.items()})
    return kept.assign({name: kept[name].astype("float64") for name in kept.data_vars if kept[name].dtype.kind != "f"})


def _stacked(held: xr.DataArray, kept: np.ndarray) -> xr.Variable:
    """(time, lat, lon) as (time, kept cells), chunk by chunk."""
    held = held.transpose("time", "lat", "lon")
    if held.chunks is not None:
        held = held.chunk({"lat": -1, "lon": -1})
    flat = held.data.reshape((held.sizes["time"], kept.size))
    return xr.Variable(("time", "node"), flat if kept.all() else flat[:, np.flatnonzero(kept.ravel())], held.attrs)


def _stand_in(thin: xr.Dataset) -> xr.Dataset:
    return thin.assign({name: (thin[name].dims, np.zeros(thin[name].shape), thin[name].attrs)
                        for name in thin.data_vars})


def _check_grid(grid: xr.Dataset) -> None:
    where = str(grid.attrs.get("domain", "grid"))
    for dim in ("time", "lat", "lon"):
        if dim not in grid.coords or grid[dim].dims != (dim,):
            raise PanelError(f"no axis {dim!r}", where=where, expected="a grid on time, lat, lon",
                             remedy="read it with raster.read")
    for name in grid.data_vars:
        if set(grid[name].dims) != {"time", "lat", "lon"}:
            raise PanelError(f"variable {name!r} has dims {grid[name].dims}", where=where,
                             expected="dims (time, lat, lon)", remedy="split levels into variables, drop the rest")
    for dim in ("lat", "lon"):
        gaps = np.diff(grid[dim].values)
        if len(gaps) and not ((gaps > 0).all() or (gaps < 0).all()):
            raise PanelError(f"{dim} goes back and forth", where=where, expected="ascending or descending degrees",
                             remedy=f"sort the grid by {dim}")


def _axes(panel: xr.Dataset) -> dict[str, list[float]]:
    if "grid" not in panel.attrs:
        raise PanelError("the grid's axes are missing", where=str(panel.attrs.get("domain", "panel")),
                         expected="the attr 'grid'", remedy="make the panel with raster.to_panel")
    return json.loads(panel.attrs["grid"])


def _texts(axis: xr.DataArray) -> dict[str, str]:
    return {str(key): value for key, value in axis.attrs.items() if isinstance(value, str)}
