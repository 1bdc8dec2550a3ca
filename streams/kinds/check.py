"""One entrance for every kind: a panel is checked by the rules of what its data was."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import xarray as xr

from terracast.streams.errors import PanelError
from terracast.streams.kinds import counts, point, raster, sensor
from terracast.streams.panel import KINDS, check_panel


def _trajectory(panel: xr.Dataset) -> xr.Dataset:
    """Movers as themselves, or what was counted of them on cells, which stay."""
    if "lat" in panel.coords and "time" in panel["lat"].dims:
        point.check_moving(panel)
    return check_panel(panel)


RULES: Mapping[str, Callable[[xr.Dataset], xr.Dataset]] = {
    "sensor": sensor.check, "raster": raster.check, "point": point.check, "trajectory": _trajectory,
    "event": counts.check}


def check_kind(panel: xr.Dataset) -> xr.Dataset:
    """The panel in canonical form by the rules of its kind.

    Sensors stay where they are; raster nodes are cells of their grid; points and trajectories move and have no
    value without a position; event counts are whole numbers, zero or more. Raises ``PanelError``.

    >>> import numpy as np
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
