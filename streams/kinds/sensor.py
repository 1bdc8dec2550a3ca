"""Sensors: fixed nodes, perhaps with a graph, in networks that grow and shrink."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.errors import PanelError, ReadError
from terracast.streams.known import known_after
from terracast.streams.panel import check_panel, step_of
from terracast.streams.readers import read as read_file

NEVER = np.datetime64("NaT", "ns")


def read(path: str | Path, *, domain: str, step: str | None = None, delay: str | None = None,
         **wanted: Any) -> xr.Dataset:
    """Read a sensor panel: NetCDF, CSV or Parquet (see ``streams.readers.read``), or a Zarr folder.

    The panel is checked and has ``known_time`` (default: value time plus one step). Raises ``ReadError``.
    """
    path = Path(path)
    if path.suffix != ".zarr":
        return check(read_file(path, domain=domain, kind="sensor", step=step, delay=delay, **wanted))
    if wanted:
        raise ReadError(f"{sorted(wanted)[0]!r} is not used for Zarr", where=path.name,
                        expected="a panel written by sensor.write", remedy="leave it out")
    try:
        held = xr.open_zarr(path, chunks=None, consolidated=False).load()
    except (OSError, ValueError, KeyError) as wrong:
        raise ReadError("not a Zarr folder", where=path.name, expected="a panel written by sensor.write",
                        remedy="check the path") from wrong
    texts = {name: one for name, one in held.variables.items() if one.dtype.kind in "TO"}
    held = held.assign({name: (one.dims, one.values.astype(object).astype(str), one.attrs)
                        for name, one in texts.items()})
    held = held.assign_attrs(domain=domain, kind="sensor", step=step or held.attrs.get("step"))
    if "known_time" not in held.coords or delay is not None:
        held = known_after(held, pd.Timedelta(delay or held.attrs["step"]))
    return check(held)


def write(panel: xr.Dataset, path: str | Path) -> None:
    """Write a panel as NetCDF (``.nc``) or Zarr (``.zarr``); ``read`` gives it back bit by bit."""
    path = Path(path)
    plain = panel.drop_encoding()
    if path.suffix == ".zarr":
        texts = {name: held.astype(object) for name, held in plain.variables.items() if held.dtype.kind == "U"}
        plain.assign({name: (held.dims, held.values, held.attrs) for name, held in texts.items()}).to_zarr(
            path, mode="w-", consolidated=False)  # texts of any length have a place in the Zarr 3 format
    elif path.suffix == ".nc":
        plain.to_netcdf(path, engine="netcdf4")
    else:
        raise ReadError(f"files {path.suffix!r} are not written", where=path.name, expected=".nc or .zarr",
                        remedy="choose one of them")


def check(panel: xr.Dataset) -> xr.Dataset:
    """The panel in canonical form; a sensor stays where it is.

    >>> panel = xr.Dataset({"x": (("time", "node"), [[1.0]], {"units": "1", "long_name": "x"})},
    ...                    {"time": np.array(["2020-01-01"], "M8[ns]"), "node": ["a"],
    ...                     "lat": (("time", "node"), [[0.0]]), "lon": (("time", "node"), [[0.0]])},
    ...                    {"domain": "air", "kind": "sensor", "step": "1h"})
    >>> check(panel)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    terracast.streams.errors.PanelError: a sensor moves (air): expected lat and lon on node; ...
    """
    where = str(panel.attrs.get("domain", "panel"))
    if panel.attrs.get("kind") != "sensor":
        raise PanelError(f"kind is {panel.attrs.get('kind')!r}", where=where, expected="'sensor'",
                         remedy="use the check of that kind")
    if "lat" in panel.coords and "time" in panel["lat"].dims:
        raise PanelError("a sensor moves", where=where, expected="lat and lon on node",
                         remedy="set kind to 'point' or drop time from its position")
    return check_panel(panel)


def lifetimes(panel: xr.Dataset) -> pd.DataFrame:
    """First and last stamp with a value, and the share of steps between with one, per node. O(values).

    >>> panel = xr.Dataset({"x": (("time", "node"), [[1.0, np.nan], [np.nan, np.nan], [3.0, 4.0]])},
    ...                    {"time": pd.date_range("2020-01-01", periods=3), "node": ["a", "b"]}, {"step": "1D"})
    >>> lifetimes(panel).share_seen.round(2).tolist()
    [0.67, 1.0]
    """
    seen, time = _seen(panel), panel["time"].values.astype("datetime64[ns]")
    ever = seen.any(axis=0)
    first, last = seen.argmax(axis=0), len(time) - 1 - seen[::-1].argmax(axis=0)
    first_seen, last_seen = (np.where(ever, time[place], NEVER) for place in (first, last))
    steps = (last_seen - first_seen) / step_of(panel) + 1
    return pd.DataFrame({"first_seen": first_seen, "last_seen": last_seen,
                         "share_seen": seen.sum(axis=0) / np.where(ever, steps, np.nan)},
                        index=pd.Index(panel["node"].values, name="node"))


def active(panel: xr.Dataset, silent_after: pd.Timedelta) -> xr.DataArray:
    """Which nodes were in service, as known at each stamp: (time, node) booleans.

    A node is active at t when one of its values was known at t that is about at most ``silent_after`` before t.
    A node that joins later is not active before its first value was known; one that falls silent leaves.
    Without ``known_time`` a value is known one step after its stamp. O(values).

    >>> panel = xr.Dataset({"x": (("time", "node"), [[1.0], [np.nan], [np.nan], [np.nan]])},
    ...                    {"time": pd.date_range("2020-01-01", periods=4, freq="h"), "node": ["a"]}, {"step": "1h"})
    >>> active(panel, pd.Timedelta("2h")).values.ravel().tolist()
    [False, True, True, False]
    """
    seen, time = _seen(panel), panel["time"].values.astype("datetime64[ns]")
    known = (panel["known_time"].broadcast_like(panel[next(iter(panel.data_vars))]).transpose("time", "node").values
             if "known_time" in panel.coords else np.broadcast_to((time + step_of(panel))[:, None], seen.shape))
    seen = seen & ~np.isnat(known)
    row, node = np.nonzero(seen)
    heard_at = np.searchsorted(time, known[row, node])  # first stamp at which the value is known
    inside = heard_at < len(time)
    latest = np.full(seen.shape, np.iinfo(np.int64).min)
    np.maximum.at(latest, (heard_at[inside], node[inside]), time.astype(np.int64)[row[inside]])
    latest = np.maximum.accumulate(latest, axis=0)
    oldest = time.astype(np.int64) - pd.Timedelta(silent_after).value
    return xr.DataArray(latest >= oldest[:, None], dims=("time", "node"),
                        coords={"time": time, "node": panel["node"].values},
                        attrs={"long_name": "in service, as known at time"})


def grown(network: xr.Dataset, report: xr.Dataset) -> xr.Dataset:
    """The network with a later report appended; its new nodes and variables join, old values stay as they are.

    Where one side lacks a node or variable there is NaN (and no known time). Raises ``PanelError`` when the report
    does not begin after the network's last stamp.
    """
    if report["time"].values[0] <= network["time"].values[-1]:
        raise PanelError("a report goes back in time", where=str(network.attrs["domain"]),
                         expected=f"stamps after {np.datetime_as_string(network['time'].values[-1], 's')}",
                         remedy="keep late values as revisions in the store")
    new = [name for name in report["node"].values.tolist() if name not in set(network["node"].values.tolist())]
    nodes = np.array([*network["node"].values.tolist(), *new])
    places = {name: xr.concat([one[name].reset_coords(drop=True) for one in
                               (network, report.sel(node=new))], "node").values
              for name in ("lat", "lon") if name in network.coords and name in report.coords}
    both = [_rows_known(one).drop_vars(["lat", "lon"], errors="ignore").reindex(node=nodes)
            for one in (network, report)]
    whole = xr.concat(both, "time", join="outer", data_vars="all", coords="different", compat="equals",
                      combine_attrs="override")
    for name in whole.data_vars:
        whole[name].attrs = dict((network if name in network else report)[name].attrs)
    whole = whole.assign_coords({name: ("node", degrees) for name, degrees in places.items()})
    return check(whole.assign_attrs(network.attrs))


def _rows_known(panel: xr.Dataset) -> xr.Dataset:
    """The panel with its known time on (time, node), so that nodes that are not there have none."""
    if "known_time" not in panel.coords:
        return panel
    known = panel["known_time"].broadcast_like(panel[next(iter(panel.data_vars))]).transpose("time", "node")
    return panel.assign_coords(known_time=(("time", "node"), known.values))


def _seen(panel: xr.Dataset) -> np.ndarray:
    """Where any variable has a value, (time, node)."""
    return np.any([panel[name].transpose("time", "node").notnull().values for name in panel.data_vars], axis=0)
