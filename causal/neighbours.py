"""One node with its neighbours: what happens here, and what happens around, as two series a variable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from causal.prepare import PrepareError
from stats.great_circle import haversine_km
from streams.panel import check_panel


def with_neighbours(panel: xr.Dataset, node: str, *, count: int = 4,
                    neighbours: Sequence[str] | None = None) -> xr.Dataset:
    """A panel of ``node`` alone: each variable as seen there, and ``VARIABLE_near``, the mean around it.

    The neighbours are the ``count`` nearest nodes (great circle), or those named. Their mean is one of
    deviations from each neighbour's own mean, so that a gap at one does not move it. Ready for ``prepare``.
    Raises ``PrepareError`` where the node is not there or distances are not known.

    >>> import pandas as pd
    >>> air = xr.Dataset({"o3": (("time", "node"), np.arange(9.0).reshape(3, 3),
    ...                          {"units": "ppb", "long_name": "ozone"})},
    ...                  {"time": pd.date_range("2020-01-01", periods=3, freq="h"), "node": list("abc"),
    ...                   "lat": ("node", [0.0, 1.0, 5.0]), "lon": ("node", [0.0, 0.0, 0.0])},
    ...                  {"domain": "air", "kind": "sensor", "step": "1h"})
    >>> near = with_neighbours(air, "a", count=1)
    >>> near["o3_near"].attrs["long_name"], near["o3_near"].values[:, 0].tolist()
    ('ozone around a (b)', [-3.0, 0.0, 3.0])
    """
    panel = check_panel(panel)
    names = [str(one) for one in panel["node"].values]
    if node not in names:
        raise PrepareError(f"no node {node!r}", where=str(panel.attrs["domain"]),
                           expected="one of " + ", ".join(names), remedy="name another node")
    chosen = _nearest(panel, node, names, count) if neighbours is None else [str(one) for one in neighbours]
    unknown = [one for one in chosen if one not in names or one == node]
    if unknown or not chosen:
        raise PrepareError(f"neighbours {', '.join(chosen) or 'none'}", where=node,
                           expected="other nodes of the panel", remedy="name at least one of them")
    own = panel.sel(node=[node]).drop_vars(["lat", "lon"], errors="ignore")
    told = ", ".join(chosen) if len(chosen) <= 3 else f"{len(chosen)} nodes"
    for name in panel.data_vars:
        around = panel[name].sel(node=chosen).values
        seen = np.isfinite(around)
        mean = np.where(seen, around, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        away = np.where(seen, around - mean, 0.0).sum(axis=1)
        near = np.where(seen.any(axis=1), away / np.maximum(seen.sum(axis=1), 1), np.nan)
        own[f"{name}_near"] = (("time", "node"), near[:, None], {
            **panel[name].attrs, "long_name": f"{panel[name].attrs['long_name']} around {node} ({told})"})
    return own


def _nearest(panel: xr.Dataset, node: str, names: list[str], count: int) -> list[str]:
    if "lat" not in panel.coords or panel["lat"].dims != ("node",):
        raise PrepareError("distances are not known", where=node, expected="nodes with a fixed lat and lon",
                           remedy="name the neighbours")
    lat, lon = panel["lat"].values, panel["lon"].values
    here = names.index(node)
    away = haversine_km(lat[here], lon[here], lat, lon)
    away[here] = np.inf
    return [names[place] for place in np.argsort(away, kind="stable")[:count] if np.isfinite(away[place])]
