"""Moving points (buoys, vehicles, floats): ``lat`` and ``lon`` lie on (time, node) and may change every step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.errors import PanelError, ReadError
from terracast.streams.kinds.cells import GridCells
from terracast.streams.kinds.nearby import Nearby
from terracast.streams.kinds.sensor import write
from terracast.streams.panel import check_panel, step_of
from terracast.streams.readers import read as read_file

__all__ = ["check", "check_moving", "index_at", "indices", "neighbours", "of_table", "on_grid", "read", "to_table",
           "write"]

AXES = ("time", "node", "lat", "lon", "known_time")


def read(path: str | Path, *, domain: str, step: str | None = None, **wanted: Any) -> xr.Dataset:
    """Read moving points: NetCDF with positions on (time, node), or a CSV or Parquet table with a row per report.

    A table has columns ``time``, ``node``, ``lat``, ``lon``, values and perhaps ``known_time``; other names by
    ``time=``, ``node=``, ``lat=``, ``lon=``, ``known_time=``. The panel is checked. Raises ``ReadError``.
    """
    path = Path(path)
    if path.suffix in (".nc", ".nc4"):
        return check(read_file(path, domain=domain, kind="point", step=step, **wanted))
    units = wanted.pop("units", {})
    if not path.is_file():
        raise ReadError("no such file", where=str(path), expected="a table of reports", remedy="check the path")
    table = pd.read_parquet(path) if path.suffix in (".parquet", ".pq") else pd.read_csv(path, sep=None,
                                                                                       engine="python")
    table = table.rename(columns={theirs: ours for ours, theirs in wanted.items() if ours in AXES})
    missing = [name for name in AXES[:4] if name not in table]
    if missing:
        raise ReadError(f"no column {missing[0]!r}", where=path.name, remedy=f"name it: {missing[0]}='…'",
                        expected="one of " + ", ".join(map(str, table.columns)))
    return of_table(table, domain=domain, step=step, units=units)


def of_table(table: pd.DataFrame, *, domain: str, step: str | None = None,
             units: dict[str, str] | None = None) -> xr.Dataset:
    """A panel from rows ``time``, ``node``, ``lat``, ``lon``, values and perhaps ``known_time``.

    A node without a row at a stamp has no position there and no values. Nodes come in sorted order.

    >>> table = pd.DataFrame({"time": pd.to_datetime(["2020-01-01", "2020-01-01", "2020-01-02"]),
    ...                       "node": ["a", "b", "a"], "lat": [0.0, 1.0, 0.5], "lon": 10.0, "sst": [20.0, 21.0, 19.0]})
    >>> panel = of_table(table, domain="sea", step="1D")
    >>> panel.sst.values.tolist(), to_table(panel).lat.tolist()
    ([[20.0, 21.0], [19.0, nan]], [0.0, 1.0, 0.5])
    """
    time = pd.to_datetime(table["time"]).to_numpy("datetime64[ns]")
    stamps, row = np.unique(time, return_inverse=True)
    nodes, column = np.unique(table["node"].astype(str).to_numpy(str), return_inverse=True)
    place = row * len(nodes) + column
    if len(np.unique(place)) != len(place):
        raise PanelError("a node has two rows at one stamp", where=domain, expected="one row per time and node",
                         remedy="keep the last row, or resample the track (trajectory)")
    values = [name for name in table.columns if name not in AXES and table[name].dtype.kind in "fiub"]

    def spread(name: str) -> np.ndarray:
        whole = np.full(len(stamps) * len(nodes), np.nan)
        whole[place] = table[name].to_numpy(float)
        return whole.reshape(len(stamps), len(nodes))

    if step is None:
        if len(stamps) < 2:
            raise PanelError("one stamp has no step", where=domain, expected="two or more", remedy="give step=")
        step = str(pd.Timedelta(int(np.median(np.diff(stamps).astype(np.int64)))))
    known = np.full(len(stamps) * len(nodes), np.datetime64("NaT", "ns"))
    known[place] = (pd.to_datetime(table["known_time"]).to_numpy("datetime64[ns]") if "known_time" in table
                    else time + pd.Timedelta(step).to_timedelta64())
    about = units or {}
    return check(xr.Dataset(
        {name: (("time", "node"), spread(name), {"units": about.get(name, "unknown"), "long_name": name})
         for name in values},
        {"time": stamps, "node": nodes, "lat": (("time", "node"), spread("lat")),
         "lon": (("time", "node"), spread("lon")),
         "known_time": (("time", "node"), known.reshape(len(stamps), len(nodes)))},
        {"domain": domain, "kind": "point", "step": step}))


def to_table(panel: xr.Dataset) -> pd.DataFrame:
    """A row per position held: ``of_table`` of it gives the panel again."""
    lat = panel["lat"].transpose("time", "node").values
    row, column = np.nonzero(np.isfinite(lat))
    table: dict[str, np.ndarray] = {"time": panel["time"].values[row], "node": panel["node"].values[column]}
    for name in map(str, ("lat", "lon", *panel.data_vars, *(["known_time"] if "known_time" in panel.coords else []))):
        held = panel[name].transpose("time", ...).values
        table[name] = held[row, column] if held.ndim == 2 else held[row]
    return pd.DataFrame(table)


def check(panel: xr.Dataset) -> xr.Dataset:
    """The panel in canonical form; positions on (time, node), and no value without a position."""
    where = str(panel.attrs.get("domain", "panel"))
    if panel.attrs.get("kind") != "point":
        raise PanelError(f"kind is {panel.attrs.get('kind')!r}", where=where, expected="'point'",
                         remedy="use the check of that kind")
    check_moving(panel)
    return check_panel(panel)


def check_moving(panel: xr.Dataset) -> None:
    """Raise ``PanelError`` unless nodes have positions on (time, node) wherever they have values."""
    where = str(panel.attrs.get("domain", "panel"))
    for axis in ("lat", "lon"):
        if axis not in panel.coords or set(panel[axis].dims) != {"time", "node"}:
            raise PanelError(f"{axis} does not move", where=where, expected=f"{axis} on (time, node)",
                             remedy="give positions per step, or set kind to 'sensor'")
    placed = (panel["lat"].notnull() & panel["lon"].notnull()).transpose("time", "node").values
    for name in map(str, panel.data_vars):
        lost = panel[name].transpose("time", "node").notnull().values & ~placed
        if lost.any():
            row, node = np.argwhere(lost)[0]
            at = np.datetime_as_string(panel["time"].values[row], "s")
            raise PanelError(f"a value of {name!r} has no position", where=f"{where}, {panel['node'].values[node]} "
                             f"at {at}", expected="lat and lon wherever there is a value", remedy="drop the value")


def index_at(panel: xr.Dataset, time: np.datetime64 | str) -> Nearby:
    """The look-up of one step: its rows are the panel's nodes. O(n log n)."""
    row = panel.sel(time=np.datetime64(time))
    return Nearby(row["lat"].values, row["lon"].values)


def indices(panel: xr.Dataset) -> Iterator[tuple[np.datetime64, Nearby]]:
    """The look-up of every step in turn; one step in memory at a time."""
    lat, lon = (panel[name].transpose("time", "node").values for name in ("lat", "lon"))
    for row, time in enumerate(panel["time"].values):
        yield time, Nearby(lat[row], lon[row])


def neighbours(panel: xr.Dataset, count: int) -> xr.Dataset:
    """The ``count`` nearest other nodes of every node at every step: ``neighbour`` (node number, −1 = none) and
    ``distance`` in km, dims (time, node, rank). O(steps × n log n).

    >>> table = pd.DataFrame({"time": pd.Timestamp("2020-01-01"), "node": ["a", "b", "c"], "lat": 0.0,
    ...                       "lon": [179.0, -179.0, 170.0], "x": 1.0})
    >>> neighbours(of_table(table, domain="sea", step="1h"), 1).neighbour.values.ravel().tolist()
    [1, 0, 0]
    """
    lat, lon = (panel[name].transpose("time", "node").values for name in ("lat", "lon"))
    shape = (*lat.shape, count)
    rows, away = np.full(shape, -1), np.full(shape, np.nan)
    own = np.arange(lat.shape[1])[:, None]
    for step, (_, index) in enumerate(indices(panel)):
        found, distance = index.nearest(lat[step], lon[step], count + 1)
        last = np.argsort((found == own) | (found < 0), axis=1, kind="stable")[:, :count]  # self and none go last
        rows[step] = np.take_along_axis(np.where(found == own, -1, found), last, axis=1)
        away[step] = np.take_along_axis(np.where(found == own, np.nan, distance), last, axis=1)
    return xr.Dataset({"neighbour": (("time", "node", "rank"), rows),
                       "distance": (("time", "node", "rank"), away, {"units": "km"})},
                      {"time": panel["time"].values, "node": panel["node"].values})


def on_grid(panel: xr.Dataset, cells: GridCells, patience: str | pd.Timedelta = "0s") -> xr.Dataset:
    """The mean per cell and step, with its support: for each variable ``x`` also ``x_support`` (values per cell).

    Only what was known by the end of the step plus ``patience`` takes part, and the whole step is known then, so
    that a report that comes later changes nothing already given out; how many came too late is the attr ``late``.
    Returns a grid (``time``, ``lat``, ``lon``), kind raster. O(values).
    """
    step, time = step_of(panel), panel["time"].values
    deadline = time + step + pd.Timedelta(patience).to_timedelta64()
    lat, lon = (panel[name].transpose("time", "node").values for name in ("lat", "lon"))
    cell = cells.cell_of(lat.ravel(), lon.ravel()).reshape(lat.shape)
    known = panel["known_time"].broadcast_like(panel["lat"]).transpose("time", "node").values \
        if "known_time" in panel.coords else np.broadcast_to(time[:, None], lat.shape)
    in_time = known <= deadline[:, None]
    data: dict[str, Any] = {}
    late = 0
    for name in map(str, panel.data_vars):
        values = panel[name].transpose("time", "node").values
        held = np.isfinite(values) & (cell >= 0)
        late += int((held & ~in_time).sum())
        row, node = np.nonzero(held & in_time)
        place, size = row * len(cells) + cell[row, node], len(time) * len(cells)
        support = np.bincount(place, minlength=size).astype(float)
        total = np.bincount(place, weights=values[row, node], minlength=size)
        mean = np.divide(total, support, out=np.full(size, np.nan), where=support > 0)
        shape = (len(time), *cells.shape)
        data[name] = (("time", "lat", "lon"), mean.reshape(shape), panel[name].attrs)
        data[f"{name}_support"] = (("time", "lat", "lon"), support.reshape(shape),
                                   {"units": "1", "long_name": f"values of {name} in the cell"})
    attrs = {**panel.attrs, "kind": "raster", "late": late}
    return xr.Dataset(data, {"time": time, "lat": cells.lat, "lon": cells.lon, "known_time": ("time", deadline)}, attrs)
