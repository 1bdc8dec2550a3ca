"""NetCDF files and Zarr stores as panels: axes by plain names, else by CF (standard_name, axis, cf_role, units)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.io import netcdf_file

from terracast.streams.clock import Clock, span_text
from terracast.streams.errors import PanelError
from terracast.streams.readers.ticks import on_ticks
from terracast.streams.readers.wanted import Names, Wanted, finish, in_order

CF_AXES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "time": {"standard_name": ("time",), "axis": ("T",)},
    "node": {"cf_role": ("timeseries_id", "trajectory_id"), "standard_name": ("platform_name", "platform_id")},
    "lat": {"standard_name": ("latitude",), "units": ("degrees_north", "degree_north"), "axis": ("Y",)},
    "lon": {"standard_name": ("longitude",), "units": ("degrees_east", "degree_east"), "axis": ("X",)},
}
PLAIN_NAMES = {
    "time": ("time", "valid_time", "date", "datetime"), "node": ("node", "station", "site", "sensor"),
    "lat": ("lat", "latitude"), "lon": ("lon", "longitude"),
}
NODE_TEXTS = ("name", "node", "station", "station_name", "station_id")


def read_netcdf(path: Path, wanted: Wanted) -> xr.Dataset:
    """Read a NetCDF file; dims (time, node), or (time) of a single place. Raises ``ReadError``."""
    try:
        _refuse_short_classic(path)
        with xr.open_dataset(path, engine="netcdf4") as opened:
            file = opened.load()
    except (OSError, RuntimeError, ValueError, IndexError) as wrong:
        raise wanted.refusal(f"not a sound NetCDF file ({str(wrong).splitlines()[0][:80]})",
                             expected="a whole NetCDF file", remedy="fetch it again") from wrong
    return _panel(file, wanted)


def _refuse_short_classic(path: Path) -> None:
    """``ValueError`` for a NetCDF 3 file that was cut: the netCDF library reads zeros for what is missing."""
    with path.open("rb") as file:
        classic = file.read(4) in (b"CDF\x01", b"CDF\x02")
    if classic:
        with netcdf_file(path, mmap=False):  # reads everything that the header announces
            pass


def read_zarr(path: Path, wanted: Wanted) -> xr.Dataset:
    """Read a Zarr store (a folder that ends in ``.zarr``), laid out as a NetCDF file. Raises ``ReadError``."""
    try:
        with xr.open_dataset(path, engine="zarr") as opened:
            file = opened.load()
    except (OSError, RuntimeError, ValueError, KeyError) as wrong:
        words = " ".join(str(wrong).split())[:80]
        raise wanted.refusal(f"not a sound Zarr store ({words})", expected="a whole Zarr group",
                             remedy="fetch it again") from wrong
    return _panel(file, wanted)


def _with_own_clock(file: xr.Dataset, wanted: Wanted) -> Wanted:
    """What is wanted, with the clock that the file itself says: a few corrections do not show theirs."""
    if wanted.step is not None or "step" not in file.attrs:
        return wanted
    try:
        clock = Clock.of(file.attrs)
    except (PanelError, ValueError):
        return wanted
    anchor = wanted.anchor or file.attrs.get("anchor")
    return replace(wanted, step=span_text(pd.Timedelta(clock.step)), calendar=wanted.calendar or clock.calendar or None,
                   anchor=None if anchor is None else str(anchor))


def _panel(file: xr.Dataset, wanted: Wanted) -> xr.Dataset:
    wanted = _with_own_clock(file, wanted)
    file, axes = _with_plain_axes(file, wanted)
    names, left_out = _chosen(file, wanted)
    data = {name: wanted.observed(name, _on_time_and_node(file, name)) for name in names}
    file_time = file["time"].values
    known = _known_time(file, wanted)
    coords: dict[Hashable, tuple[Any, ...]] = {}
    for name in ("lat", "lon"):
        if name in axes:
            held = file[name]
            order = [dim for dim in ("time", "node") if dim in held.dims]
            coords[name] = (order or ["node"], np.atleast_1d(held.transpose(*order).values), held.attrs)
    coords |= {name: held for name, held in _facts(file, names).items() if name not in coords}
    keep, repeated = in_order(file_time, data | ({} if known is None else {"known_time": known}), wanted)
    ticks = on_ticks(file_time[keep].astype("datetime64[ns]"), np.zeros(int(keep.sum()), int), wanted)
    if known is not None:
        known[keep] = ticks.known(file_time[keep].astype("datetime64[ns]"), known[keep])
    keep = np.flatnonzero(keep)[ticks.keep]
    if known is not None:
        coords["known_time"] = (("time", "node"), known)
    coords = {name: (value[0], value[1][keep], *value[2:]) if "time" in value[0] else value
              for name, value in coords.items()}
    attrs: dict[Hashable, object] = {**file.attrs, **repeated.attrs(ticks.attrs)}
    if left_out:
        attrs["not_read"] = ", ".join(left_out)
    panel = finish({name: values[keep] for name, values in data.items()},
                   {name: file[name].attrs for name in names}, ticks.time[ticks.keep], file["node"].values, coords,
                   wanted, attrs)
    panel["time"].attrs = {key: value for key, value in file["time"].attrs.items() if isinstance(value, str)}
    return panel


def _facts(file: xr.Dataset, variables: Iterable[str]) -> dict[Hashable, tuple[Any, ...]]:
    """What a file says of its nodes alone: numbers and texts, such as heights and names of stations."""
    return {name: (["node"], held.values.astype(str) if held.dtype.kind in "OU" else held.values, held.attrs)
            for name, held in file.variables.items()
            if held.dims == ("node",) and held.dtype.kind in "fiuOU" and name not in ("time", "node", *variables)}


def _find(file: xr.Dataset, axis: str, given: Names | None, wanted: Wanted) -> str | None:
    """The variable or dim that is this axis: the given name, a plain one, or one that CF marks."""
    known = [str(name) for name in (*file.variables, *file.dims)]
    if given is not None:
        if not isinstance(given, str) or given not in known:
            raise wanted.refusal(f"no {given!r}", expected="one of " + ", ".join(sorted(set(known))),
                                 remedy=f"name the {axis} axis that the file has")
        return given
    for name in PLAIN_NAMES[axis]:
        if name in known:
            return name
    for key, values in CF_AXES[axis].items():
        for name in map(str, file.variables):
            if file[name].attrs.get(key) in values:
                return name
    if axis == "time":
        stamped = [str(name) for name in file.coords if file[name].dtype.kind == "M" and file[name].ndim == 1]
        return stamped[0] if len(stamped) == 1 else None
    return None


def _with_plain_axes(file: xr.Dataset, wanted: Wanted) -> tuple[xr.Dataset, set[str]]:
    """The file with dims ``time`` and ``node``, their coordinates, and ``lat``/``lon`` where it has them."""
    file, axes = _with_time(file, wanted), {"time"}
    found = {axis: _find(file, axis, given, wanted)
             for axis, given in (("node", wanted.node), ("lat", wanted.lat), ("lon", wanted.lon))}
    if (found["lat"] is None) != (found["lon"] is None):
        found["lat"] = found["lon"] = None
    lat, lon = found["lat"], found["lon"]
    if lat is not None and lon is not None:
        file = file.rename({old: new for old, new in ((lat, "lat"), (lon, "lon")) if old != new})
        axes |= {"lat", "lon"}
        if file["lat"].dims == ("lat",) and file["lon"].dims == ("lon",):
            raise wanted.refusal("values on a grid of latitudes and longitudes", expected="series at fixed places",
                                 remedy='say that it is one: kind = "raster" (or --kind raster)')
        file = file.set_coords(["lat", "lon"])
    node = found["node"]
    if node is None or not (node in file.dims or file[node].ndim):
        return _with_node_dim(file, node), axes
    dim = node if node in file.dims else str(file[node].dims[0])
    if node != dim:
        names = file[node].values
        file = file.drop_vars(node).assign_coords({dim: names})
    file = file.rename({dim: "node"}) if dim != "node" else file
    return (file if "node" in file.coords else file.assign_coords(node=np.arange(file.sizes["node"]))), axes


def _with_time(file: xr.Dataset, wanted: Wanted) -> xr.Dataset:
    time = _find(file, "time", wanted.time, wanted)
    if time is None or time not in file.variables or file[time].ndim != 1:
        raise wanted.refusal("no time axis", expected="a one-dimensional coordinate time; there are "
                             + ", ".join(map(str, file.variables)), remedy="name it: time='...'")
    if file[time].dtype.kind != "M":
        raise wanted.refusal(f"{time!r} holds {file[time].dtype} values", expected="stamps in a standard calendar",
                             remedy="write units such as 'hours since 2000-01-01' with a standard calendar")
    dim = str(file[time].dims[0])
    if dim != time:
        file = file.swap_dims({dim: time})
    return file.rename({time: "time"}) if time != "time" else file


def _with_node_dim(file: xr.Dataset, named: str | None) -> xr.Dataset:
    """A dim ``node`` for a file that has none: the only other dim of its series, else one place."""
    others = {str(dim) for name in file.data_vars if "time" in file[name].dims and file[name].ndim == 2
              for dim in file[name].dims if dim != "time"}
    if len(others) == 1 and not any(file[name].dims == ("time",) for name in file.data_vars):
        dim = others.pop()
        file = file.rename({dim: "node"})
        return file if "node" in file.coords else file.assign_coords(node=np.arange(file.sizes["node"]))
    texts = [name for name in ((named,) if named else NODE_TEXTS)
             if name in file.variables and not file[name].ndim and file[name].dtype.kind in "SOUT"]
    text = file[texts[0]].item() if texts else "0"
    place = text.decode() if isinstance(text, bytes) else str(text)
    file = file.drop_vars([name for name in ("node",) if name in file.variables])
    return file.expand_dims(node=[place])


def _chosen(file: xr.Dataset, wanted: Wanted) -> tuple[list[str], list[str]]:
    """The variables to read, and what was left out with its reason."""
    single = file.sizes["node"] == 1
    fit, left_out = [], []
    for name in map(str, file.data_vars):
        dims = set(file[name].dims)
        if name == wanted.known_time:
            continue
        if file[name].dtype.kind not in "fiub":
            left_out.append(f"{name} (no numbers)")
        elif dims == {"time", "node"} or (single and dims == {"time"}):
            fit.append(name)
        else:
            left_out.append(f"{name} (on {', '.join(sorted(map(str, dims))) or 'no axis'})")
    if wanted.variables is None:
        if not fit:
            raise wanted.refusal("no series", expected="a numeric variable on (time, node)",
                                 remedy="name the axes: time=..., node=...")
        return fit, left_out
    for name in wanted.variables:
        if name not in file.data_vars:
            raise wanted.refusal(f"no variable {name!r}", remedy="choose among them",
                                 expected="one of " + ", ".join(map(str, file.data_vars)))
        if name not in fit and (file[name].dims != ("time",) or file[name].dtype.kind not in "fiub"):
            raise wanted.refusal(f"{name!r} is no series", expected="numbers on (time, node) or on (time)",
                                 remedy="leave it out")
    return list(dict.fromkeys(wanted.variables)), []


def _on_time_and_node(file: xr.Dataset, name: str) -> np.ndarray:
    """Values (time, node); a series on time alone holds for every node."""
    held = file[name]
    values = np.asarray(held.transpose("time", *(dim for dim in held.dims if dim != "time")).values)
    if held.dtype.kind != "f":
        values = values.astype(np.float64)
    return values if values.ndim == 2 else np.repeat(values[:, None], file.sizes["node"], axis=1)


def _known_time(file: xr.Dataset, wanted: Wanted) -> np.ndarray | None:
    if wanted.known_time is None:
        return None
    if wanted.known_time not in file.variables or file[wanted.known_time].dtype.kind != "M":
        raise wanted.refusal(f"no stamps {wanted.known_time!r}", remedy="name the variable of known times",
                             expected="one of " + ", ".join(map(str, file.variables)))
    held = file[wanted.known_time].reset_coords(drop=True)
    shape = (file.sizes["time"], file.sizes["node"])
    values = held.transpose("time", ...).values.astype("datetime64[ns]")
    return np.array(np.broadcast_to(values if values.ndim == 2 else values[:, None], shape))
