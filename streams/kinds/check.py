"""One entrance for every kind: a panel is checked by the rules of what its data was."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr

from terracast.streams.errors import PanelError
from terracast.streams.kinds import counts, raster
from terracast.streams.panel import KINDS, check_panel


def check_kind(panel: xr.Dataset) -> xr.Dataset:
    """The panel in canonical form by the rules of its kind.

    Sensors stay where they are; raster nodes are cells of their grid; points and movers move and have no value without
    a position, and what was counted of movers stays on cells; event counts are whole numbers, zero or more. Raises
    ``PanelError``.

    >>> panel = xr.Dataset({"thefts": (("time", "node"), [[0.5]], {"units": "1", "long_name": "thefts"})},
    ...                    {"time": np.array(["2020-01-01"], "M8[ns]"), "node": ["a"]},
    ...                    {"domain": "crime", "kind": "event", "step": "1h"})
    >>> check_kind(panel)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    terracast.streams.errors.PanelError: 'thefts' holds 0.5 (crime): expected counts: 0, 1, 2, …; ...
    """
    kind = str(panel.attrs.get("kind"))
    if kind not in RULES:
        raise PanelError(f"kind is {kind!r}", where=str(panel.attrs.get("domain", "panel")),
                         expected="one of " + ", ".join(KINDS), remedy="set panel.attrs['kind']")
    return RULES[kind](panel)


def _sensor(panel: xr.Dataset) -> xr.Dataset:
    if _moves(panel):
        raise PanelError("a sensor moves", where=str(panel.attrs.get("domain", "panel")),
                         expected="lat and lon on node", remedy="set kind to 'point' or drop time from its position")
    return check_panel(panel)


def _point(panel: xr.Dataset) -> xr.Dataset:
    """Positions on (time, node), and no value without one."""
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
    return check_panel(panel)


def _trajectory(panel: xr.Dataset) -> xr.Dataset:
    """Movers as themselves, or what was counted of them on cells, which stay."""
    return _point(panel) if _moves(panel) else check_panel(panel)


def _moves(panel: xr.Dataset) -> bool:
    return "lat" in panel.coords and "time" in panel["lat"].dims


RULES: Mapping[str, Callable[[xr.Dataset], xr.Dataset]] = {
    "sensor": _sensor, "raster": raster.check, "point": _point, "trajectory": _trajectory, "event": counts.check}
