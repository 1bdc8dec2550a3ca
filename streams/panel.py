"""The panel: the one in-memory form of spatio-temporal data, and the check that every entrance applies.

A panel is an ``xarray.Dataset`` with dims ``time``, ``node``; a floating data variable per measured quantity
with attrs ``units`` and ``long_name``; NaN means "not observed". ``lat``/``lon`` are coordinates on ``node``, or
on (``time``, ``node``) where nodes move. Attrs: ``domain``, ``kind``, ``step``. The optional coordinate
``known_time`` (on ``time`` or (``time``, ``node``)) says when a row became known here.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.clock import span
from terracast.streams.errors import PanelError

KINDS = ("sensor", "raster", "point", "trajectory", "event")


def step_of(panel: xr.Dataset) -> np.timedelta64:
    """The panel's time step, from its ``step`` attribute.

    >>> step_of(xr.Dataset(attrs={"step": "1h"})) == np.timedelta64(1, "h")
    np.True_
    """
    return span(str(panel.attrs["step"])).to_timedelta64().astype("timedelta64[ns]")


def axes_of(panel: xr.Dataset, *names: str, attrs: bool = True) -> xr.Coordinates:
    """The coordinates of a panel that are named, with or without ``attrs``, and with the indexes that they have: made
    anew, these cost more than all else that a small Dataset needs, and the loop makes several at every step.

    >>> panel = xr.Dataset(coords={"time": pd.date_range("2020-01-01", periods=2), "node": ["a"], "lat": ("node", [0])})
    >>> sorted(axes_of(panel, "time", "node"))
    ['node', 'time']
    """
    indexes, variables = panel.xindexes, {name: panel.variables[name].copy(deep=False) for name in names}
    for one in () if attrs else variables.values():
        one.attrs = {}
    return xr.Coordinates(variables, {name: indexes[name] for name in names if name in indexes})


def check_panel(panel: xr.Dataset) -> xr.Dataset:
    """Return the panel in canonical form (ns stamps, text node names, float variables, dims in order).

    Parameters
    ----------
    panel : Dataset, dims (time, node)
        With the attributes ``domain``, ``kind`` and ``step``, and ``units`` and ``long_name`` of each variable. It is
        never changed.

    Returns
    -------
    Dataset, dims (time, node)
        In canonical form. O(values).

    Raises
    ------
    PanelError
        Names the first thing that is wrong.

    Examples
    --------
    >>> import numpy as np, pandas as pd, xarray as xr
    >>> raw = xr.Dataset({"pm25": (("time", "node"), np.ones((3, 2)), {"units": "ug m-3", "long_name": "PM2.5"})},
    ...                  {"time": pd.date_range("2020-01-01", periods=3, freq="h"), "node": ["a", "b"]},
    ...                  {"domain": "air", "kind": "sensor", "step": "1h"})
    >>> check_panel(raw).sizes["node"]
    2
    """
    where = str(panel.attrs.get("domain", "panel"))
    _check_attrs(panel, where)
    _check_dims(panel, where)
    panel = panel.transpose("time", "node", ...)
    panel = panel.assign_coords(
        time=panel["time"].astype("datetime64[ns]"), node=panel["node"].astype(str).astype(object).astype(str)
    )
    _check_time(panel, where)
    _check_nodes(panel, where)
    panel = _checked_variables(panel, where)
    return _checked_known_time(panel, where)


def _check_attrs(panel: xr.Dataset, where: str) -> None:
    for name in ("domain", "kind", "step"):
        if name not in panel.attrs:
            raise PanelError(f"attribute {name!r} is missing", where=where,
                             expected="attrs domain, kind and step", remedy=f"set panel.attrs[{name!r}]")
    if panel.attrs["kind"] not in KINDS:
        raise PanelError(f"kind is {panel.attrs['kind']!r}", where=where,
                         expected="one of " + ", ".join(KINDS), remedy="set panel.attrs['kind']")
    try:
        positive = span(str(panel.attrs["step"])) > pd.Timedelta(0)
    except (ValueError, TypeError):
        positive = False
    if not positive:
        raise PanelError(f"step is {panel.attrs['step']!r}", where=where,
                         expected="a positive duration such as '1h'", remedy="set panel.attrs['step']")


def _check_dims(panel: xr.Dataset, where: str) -> None:
    for dim in ("time", "node"):
        if dim not in panel.dims or dim not in panel.coords:
            raise PanelError(f"dimension {dim!r} is missing", where=where,
                             expected="dims time and node with coordinates", remedy=f"rename the axis to {dim!r}")
    if not panel.data_vars:
        raise PanelError("no data variable", where=where, expected="at least one measured quantity",
                         remedy="keep a numeric column besides time and node")
    for name, variable in panel.data_vars.items():
        if set(variable.dims) != {"time", "node"}:
            raise PanelError(f"variable {name!r} has dims {variable.dims}", where=where,
                             expected="dims (time, node)", remedy="stack other axes into node or into variables")


def _check_time(panel: xr.Dataset, where: str) -> None:
    time = panel["time"].values
    if np.isnat(time).any():
        raise PanelError("a time stamp is missing", where=where, expected="a stamp on every row",
                         remedy="drop the rows without a stamp")
    gaps = np.diff(time)
    if (gaps <= np.timedelta64(0, "ns")).any():
        at = time[1:][gaps <= np.timedelta64(0, "ns")][0]
        word = "a time stamp is doubled" if (gaps == np.timedelta64(0, "ns")).any() else "time goes backwards"
        raise PanelError(f"{word} at {np.datetime_as_string(at, 's')}", where=where,
                         expected="strictly increasing time", remedy="sort by time and keep one row per stamp")


def _check_nodes(panel: xr.Dataset, where: str) -> None:
    nodes = panel["node"].values
    if len(set(nodes.tolist())) != len(nodes):
        doubled = pd.Index(nodes)[pd.Index(nodes).duplicated()][0]
        raise PanelError(f"node {doubled!r} is doubled", where=where, expected="unique node names",
                         remedy="merge or rename the doubled node")
    if ("lat" in panel.coords) != ("lon" in panel.coords):
        raise PanelError("only one of lat and lon is given", where=where, expected="both or neither",
                         remedy="add the missing coordinate")
    for name, limit in (("lat", 90.0), ("lon", 360.0)):
        if name in panel.coords:
            if panel[name].dims not in (("node",), ("time", "node")):
                raise PanelError(f"{name} has dims {panel[name].dims}", where=where,
                                 expected="dims (node) or (time, node)", remedy=f"broadcast {name} to one of them")
            if bool((np.abs(panel[name]) > limit).any()):
                raise PanelError(f"{name} beyond {limit:g}", where=where, expected="degrees",
                                 remedy="convert coordinates to degrees (WGS 84)")


def _checked_variables(panel: xr.Dataset, where: str) -> xr.Dataset:
    for name in panel.data_vars:
        variable = panel[name]
        for attr in ("units", "long_name"):
            if attr not in variable.attrs:
                raise PanelError(f"variable {name!r} has no {attr}", where=where,
                                 expected="units and long_name on every variable",
                                 remedy=f"set panel[{name!r}].attrs[{attr!r}]")
        if variable.dtype.kind not in "fiub":
            raise PanelError(f"variable {name!r} is of type {variable.dtype}", where=where,
                             expected="numbers", remedy="convert or drop the column")
        if variable.dtype.kind != "f":
            panel = panel.assign({name: variable.astype("float64")})
        if bool(np.isinf(panel[name]).any()):
            raise PanelError(f"variable {name!r} holds an infinite value", where=where,
                             expected="finite numbers, NaN where not observed", remedy="replace inf by NaN")
    return panel


def _checked_known_time(panel: xr.Dataset, where: str) -> xr.Dataset:
    if "known_time" not in panel.coords:
        return panel
    known = panel["known_time"]
    if known.dims not in (("time",), ("time", "node")):
        raise PanelError(f"known_time has dims {known.dims}", where=where,
                         expected="dims (time) or (time, node)", remedy="broadcast known_time to one of them")
    known = known.astype("datetime64[ns]")
    early = (known < panel["time"]).values  # NaT (never known) compares False
    if early.any():
        raise PanelError("a value is known before its own time", where=where, expected="known_time >= time",
                         remedy="check the clock or the time zone of known_time")
    return panel.assign_coords(known_time=known)
