"""One context for the forecaster: the target's panel with other domains' variables brought onto its nodes.

Nothing is looked up ahead of time: both panels come in as known at one instant, and a driver's row stays at its
own stamp.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr


def onto_nodes(panel: xr.Dataset, target: xr.Dataset) -> xr.Dataset:
    """Bring ``panel``'s variables onto ``target``'s nodes.

    Same node names where all are there; else the nearest node by ``lat``/``lon``; else the mean of all nodes.
    O(nodes × target nodes) for the nearest.
    """
    wanted = target["node"].values
    if np.array_equal(panel["node"].values, wanted):
        return panel
    if set(wanted.tolist()) <= set(panel["node"].values.tolist()):
        return panel.sel(node=wanted)
    if all(name in one.coords and one[name].dims == ("node",) for name in ("lat", "lon") for one in (panel, target)):
        nearest = _nearest(panel, target)
        return panel.isel(node=nearest).assign_coords(node=wanted)
    mean = panel.mean("node", skipna=True, keep_attrs=True)
    return mean.expand_dims(node=wanted, axis=1)


def _nearest(panel: xr.Dataset, target: xr.Dataset) -> np.ndarray:
    """Index of the nearest node for each target node; longitudes shrink by the cosine of the latitude."""
    cosine = np.cos(np.deg2rad(float(target["lat"].mean())))
    here = np.stack([target["lat"].values, target["lon"].values * cosine], axis=1)
    there = np.stack([panel["lat"].values, panel["lon"].values * cosine], axis=1)
    distance = ((here[:, None, :] - there[None, :, :]) ** 2).sum(axis=2)
    return distance.argmin(axis=1)


def context(target: xr.Dataset, variable: str, drivers: Mapping[str, tuple[xr.Dataset, Sequence[str]]]) -> xr.Dataset:
    """The panel a forecaster gets: ``variable`` of ``target`` plus each domain's driver variables on its nodes.

    ``drivers`` maps a domain to its panel as known at the same instant and the variables wanted; they are named
    ``domain.variable`` and carry ``role = "past_driver"``. The clock is the
    target's.

    >>> import pandas as pd
    >>> axis = {"time": pd.date_range("2020-01-01", periods=2, freq="h"), "node": ["a"]}
    >>> air = xr.Dataset({"pm25": (("time", "node"), np.ones((2, 1)))}, axis)
    >>> wind = xr.Dataset({"speed": (("time", "node"), np.zeros((2, 1)))}, {**axis, "node": ["mast"]})
    >>> sorted(context(air, "pm25", {"weather": (wind, ["speed"])}).data_vars)
    ['pm25', 'weather.speed']
    """
    clock, nodes = target["time"].values, target["node"].values
    variables = {variable: (("time", "node"), target[variable].transpose("time", "node").values,
                            {**target[variable].attrs, "role": "target"})}
    for domain, (panel, names) in drivers.items():
        moved = onto_nodes(panel[list(names)], target)
        if not np.array_equal(moved["time"].values, clock):
            moved = moved.reindex(time=clock)
        for name in names:
            attrs = {**panel[name].attrs, "role": "past_driver"}
            variables[f"{domain}.{name}"] = (("time", "node"), moved[name].transpose("time", "node").values, attrs)
    places = {name: (target[name].dims, target[name].values) for name in ("lat", "lon") if name in target.coords}
    return xr.Dataset(variables, {"time": clock, "node": nodes, **places}, target.attrs)
