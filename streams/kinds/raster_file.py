"""Raster files as lazy grids: NetCDF, Zarr and (with the extra) GRIB; nothing is read before it is asked for."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.clock import span_text
from terracast.streams.errors import ReadError
from terracast.streams.kinds.model_calendar import on_panel_clock

OUR_NAMES = {"latitude": "lat", "longitude": "lon", "valid_time": "time"}
LEVELS = ("level", "isobaricInhPa", "plev", "pressure_level", "height", "depth", "model_level_number")
GRIB_ENDINGS = (".grib", ".grb", ".grib2", ".grb2")
TIFF_ENDINGS = (".tif", ".tiff")
NETCDF_ENDINGS = (".nc", ".nc4", ".netcdf", ".cdf", ".zarr")
AXES = {"lat": ("latitude", "degrees_north", "Y"), "lon": ("longitude", "degrees_east", "X"), "time": ("time", "", "T")}


def read(path: str | Path, *, domain: str, step: str | None = None, names: Mapping[str, str] | None = None,
         time: Sequence[str] | np.ndarray | None = None, variables: Sequence[str] | None = None,
         steps_a_chunk: int | None = None) -> xr.Dataset:
    """Open a raster file as a lazy grid: dims ``time``, ``lat``, ``lon``, dask arrays, the file's own number type.

    ``names`` renames the file's axes to ours where they are not plain; ``time`` gives stamps to a file that has
    none; ``step`` is the clock's step (default: the only or median difference). Vertical levels become variables:
    ``z`` on level 500 becomes ``z_500`` with attrs ``level``, ``level_name``, ``level_units``. A model calendar is
    moved onto the panel's clock (``streams.kinds.model_calendar``). Auxiliary variables (bounds, grid mapping) are
    left out and named in the attr ``not_read``. GRIB needs the extra ``terracast[grib]``. Raises ``ReadError``.
    """
    path = Path(path)
    if not path.exists():
        raise ReadError("no such file", where=str(path), expected="a raster file", remedy="check the path")
    grid = _opened(path, steps_a_chunk)
    grid = grid.rename({old: new for old, new in {**_by_convention(grid), **(names or {})}.items()
                        if old in grid.variables and new not in grid.variables})
    if "time" in grid.coords and grid["time"].ndim == 0:  # a file a step, as forecasts and satellites come
        grid = grid.expand_dims("time")
    if time is not None:
        grid = grid.assign_coords(time=("time", np.asarray(time, "datetime64[ns]")))
    for dim in ("time", "lat", "lon"):
        if dim not in grid.coords or dim not in grid.dims:
            raise _no_axis(grid, dim, path.name)
    if float(grid["lon"].max()) > 360.0:  # axes such as 20 … 380, which go round the Pacific
        grid = grid.assign_coords(lon=("lon", grid["lon"].values - 360.0, grid["lon"].attrs))
    grid = _series_only(on_panel_clock(grid), variables, path.name)
    grid = grid.assign_attrs(domain=domain, kind="raster", step=step or _step(grid, path.name))
    for name in grid.data_vars:
        attrs = grid[name].attrs
        attrs.setdefault("long_name", str(attrs.get("standard_name", name)).replace("_", " "))
    return grid


def _no_axis(grid: xr.Dataset, dim: str, where: str) -> ReadError:
    sizes = ", ".join(f"{name} ({size})" for name, size in grid.sizes.items())
    if dim != "time":
        return ReadError(f"no axis {dim!r} among {sizes}", where=where, expected="a grid of latitudes and longitudes",
                         remedy=f'name it: {dim} = "AXIS" in [[sources]]; a grid in metres must be warped to degrees')
    return ReadError(f"no time axis among {sizes}", where=where,
                     expected="a series of 100 steps or more, with dates (units such as 'hours since 2000-01-01')",
                     remedy='join the files of a longer series, or name an axis of dates: time = "AXIS" in [[sources]]')


def is_raster(path: str | Path) -> bool:
    """Whether a NetCDF file or a Zarr folder holds a variable on latitudes and longitudes; its head alone is read."""
    path = Path(path)
    if path.suffix.lower() not in NETCDF_ENDINGS or not path.exists():
        return False
    try:
        how = {"engine": "zarr", "consolidated": False} if path.suffix == ".zarr" else {"engine": "netcdf4"}
        with xr.open_dataset(path, decode_times=False, **how) as held:
            axes = {new: old for old, new in _by_convention(held).items()}
            lat, lon = axes.get("lat", "lat"), axes.get("lon", "lon")
            return any({lat, lon} <= set(map(str, one.dims)) for one in held.data_vars.values())
    except (OSError, ValueError, KeyError):
        return False


def refuse_other_grids(path: Path) -> None:
    """Raise ``ReadError`` for a grid that has no axes of degrees: a curvilinear one, or one in metres."""
    if path.suffix.lower() not in NETCDF_ENDINGS or not path.exists():
        return
    try:
        how = {"engine": "zarr", "consolidated": False} if path.suffix == ".zarr" else {"engine": "netcdf4"}
        with xr.open_dataset(path, decode_times=False, **how) as held:
            wide = [one for one in held.variables.values() if one.ndim == 2 and str(one.attrs.get(
                "standard_name", "")) in ("latitude", "longitude")]
            wide += [held.variables[name] for name in held.variables if held[name].ndim == 2 and str(name).lower() in (
                "lat", "lon", "latitude", "longitude", "xlat", "xlong", "nav_lat", "nav_lon")
                     and not {"time", "node"} & set(map(str, held[name].dims))]
            metres = any({"x", "y"} <= {str(dim).lower() for dim in one.dims} and one.ndim >= 3
                         for one in held.data_vars.values())
    except (OSError, ValueError, KeyError):
        return
    if wide or metres:
        what = "degrees of each cell, but no axes of them" if wide else "axes x and y that are no degrees"
        raise ReadError(f"the grid has {what}", where=path.name, expected="axes of latitudes and longitudes",
                        remedy="regrid it, with cdo remapbil,GRID or gdalwarp -t_srs EPSG:4326")


def _by_convention(grid: xr.Dataset) -> dict[str, str]:
    """Names of the file's axes to ours: plain names, else what CF marks as latitude, longitude or time."""
    found = {old: new for old, new in OUR_NAMES.items() if old in grid.variables}
    for ours, (standard, units, axis) in AXES.items():
        if ours in grid.variables or ours in found.values():
            continue
        marked = [str(name) for name in grid.variables if grid[name].ndim == 1 and (
            grid[name].attrs.get("standard_name") == standard or grid[name].attrs.get("axis") == axis
            or (units and str(grid[name].attrs.get("units", "")).replace("degree_", "degrees_") == units))]
        found |= {marked[0]: ours} if len(marked) == 1 else {}
    return found


def _opened(path: Path, steps_a_chunk: int | None) -> xr.Dataset:
    try:
        if path.suffix == ".zarr":
            grid = xr.open_zarr(path, chunks={}, consolidated=False)
        elif path.suffix.lower() in GRIB_ENDINGS:
            grid = _grib(path)
        elif path.suffix.lower() in TIFF_ENDINGS:
            grid = _geotiff(path)
        else:
            grid = xr.open_dataset(path, engine="netcdf4", chunks={})
    except (OSError, ValueError, KeyError) as wrong:
        raise ReadError(f"not a raster file ({str(wrong).splitlines()[0][:80]})", where=path.name,
                        expected="a sound NetCDF, Zarr or GRIB file", remedy="fetch it again") from wrong
    wanted = {dim: -1 for dim in grid.dims if dim not in ("time", "valid_time")}
    time = "time" if "time" in grid.dims else "valid_time" if "valid_time" in grid.dims else None
    return grid.chunk(wanted | ({time: steps_a_chunk} if steps_a_chunk and time else {}))


def _grib(path: Path) -> xr.Dataset:
    if importlib.util.find_spec("cfgrib") is None:
        raise ReadError("GRIB files need cfgrib", where=path.name, expected="the extra terracast[grib]",
                        remedy="pip install 'terracast[grib]', or convert the file to NetCDF")
    try:
        importlib.import_module("cfgrib")
    except (ImportError, OSError, RuntimeError) as wrong:  # the file is sound, the library behind cfgrib is not there
        raise ReadError(f"GRIB files need ecCodes, which cannot be loaded ({' '.join(str(wrong).split())[:80]})",
                        where=path.name, expected="cfgrib with the library ecCodes",
                        remedy="pip install --force-reinstall eccodes, or convert the file to NetCDF") from wrong
    grid = xr.open_dataset(path, engine="cfgrib", chunks={}, backend_kwargs={"indexpath": ""})
    if "valid_time" in grid.coords and "time" in grid.dims:
        grid = grid.drop_vars("valid_time")
    return grid


def _geotiff(path: Path) -> xr.Dataset:
    """One step, a band a variable, its stamp in the file's name or its tag TIFFTAG_DATETIME; or a step a band, where
    bands are called by their stamps."""
    if importlib.util.find_spec("rasterio") is None:
        raise ReadError("GeoTIFF files need rasterio", where=path.name, expected="the extra terracast[geotiff]",
                        remedy="pip install 'terracast[geotiff]', or convert the file to NetCDF")
    import rasterio

    with rasterio.open(path) as file:
        if file.crs is None or not file.crs.is_geographic:
            raise ReadError("positions are not degrees", where=path.name, expected="a geographic grid (EPSG:4326)",
                            remedy=f"warp it: gdalwarp -t_srs EPSG:4326 {path.name} OUT.tif")
        names = [str(told or "") for told in file.descriptions]
        of_bands = [_stamp_of(name, None) for name in names]
        stamp = _stamp_of(path.stem, file.tags().get("TIFFTAG_DATETIME"))
        if stamp is None and None in of_bands:
            raise ReadError("no stamp", where=path.name, remedy="rename the file, or describe each band by its date",
                            expected="a date in the file's name, as 2020-01-31 or 20200131")
        rows, columns = np.arange(file.height) + 0.5, np.arange(file.width) + 0.5
        axes = {"lat": file.transform.f + file.transform.e * rows, "lon": file.transform.c + file.transform.a * columns}
        bands = np.ma.filled(file.read(masked=True).astype("float32"), np.nan)
    if None not in of_bands and len(of_bands) > 1:
        return xr.Dataset({"value": (("time", "lat", "lon"), bands)}, {"time": np.array(of_bands), **axes})
    called = [name or ("value" if len(names) == 1 else f"band_{at}") for at, name in enumerate(names, 1)]
    data = {name: (("time", "lat", "lon"), bands[at][None]) for at, name in enumerate(called)}
    return xr.Dataset(data, {"time": [stamp], **axes})


def _stamp_of(name: str, tag: str | None) -> np.datetime64 | None:
    """The stamp that a name or a tag holds.

    >>> str(_stamp_of("rain_20200131T1200", None))[:16], _stamp_of("rain", None) is None
    ('2020-01-31T12:00', True)
    """
    found = re.search(r"(\d{4})[-_:]?(\d\d)[-_:]?(\d\d)(?:[T_ -]?(\d\d)[:-]?(\d\d))?", name) or re.search(
        r"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d)", tag or "")
    if found is None:
        return None
    year, month, day, hour, minute = (int(part or 0) for part in found.groups())
    try:
        return pd.Timestamp(year, month, day, hour, minute).to_datetime64().astype("datetime64[ns]")
    except ValueError:
        return None


def _series_only(grid: xr.Dataset, variables: Sequence[str] | None, where: str) -> xr.Dataset:
    """Variables on (time, lat, lon), levels split up; the rest is named in ``not_read``."""
    data: dict[str, xr.DataArray] = {}
    left_out: list[str] = []
    for name in map(str, grid.data_vars):
        held = grid[name]
        held = held.squeeze([dim for dim in held.dims if held.sizes[dim] == 1 and dim not in ("time", "lat", "lon")],
                            drop=True)
        levels = [dim for dim in held.dims if dim not in ("time", "lat", "lon")]
        named = [str(dim) for dim in levels if dim in LEVELS or grid[dim].attrs.get("axis") == "Z"]
        if not {"time", "lat", "lon"} <= set(held.dims) or len(levels) > 1 or levels != named:
            left_out.append(name)
        elif named:
            data |= _split(held, named[0])
        else:
            data[name] = held.reset_coords(drop=True).transpose("time", "lat", "lon")
    if variables is not None:
        missing = [name for name in variables if name not in data]
        if missing:
            raise ReadError(f"no variable {missing[0]!r}", where=where, expected="one of " + ", ".join(data),
                            remedy="choose among them")
        data = {name: data[name] for name in variables}
    if not data:
        raise ReadError("no series", where=where, expected="a variable on (time, lat, lon)", remedy="rename the axes")
    kept = xr.Dataset(data, attrs=grid.attrs)
    if "calendar_time" in grid.coords:
        kept = kept.assign_coords(calendar_time=grid["calendar_time"].reset_coords(drop=True))
    return kept.assign_attrs(not_read=", ".join(left_out)) if left_out else kept


def _split(held: xr.DataArray, dim: str) -> dict[str, xr.DataArray]:
    """One variable per level, named ``variable_level``."""
    split = {}
    for level in held[dim].values.tolist():
        one = held.sel({dim: level}).reset_coords(drop=True).transpose("time", "lat", "lon")
        one.attrs |= {"level": level, "level_name": dim, "level_units": str(held[dim].attrs.get("units", "1")),
                      "level_of": str(held.name)}
        split[f"{held.name}_{level:g}"] = one
    return split


def _step(grid: xr.Dataset, where: str) -> str:
    gaps = np.diff(grid["time"].values)
    if not len(gaps):
        raise ReadError("one step has no length", where=where, expected="two or more steps, or step=",
                        remedy="give step='1h' or the like")
    return span_text(pd.Timedelta(np.median(gaps.astype(np.int64)).astype("timedelta64[ns]")))
