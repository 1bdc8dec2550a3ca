"""What a forecaster is given: the target's panel with other domains' variables on its stamps and nodes.

Nothing is looked up ahead of time: all panels come in as known at one instant, and a driver's row stays at its own
stamp. Only a driver of a longer step than the target's is held until its next value, from the end of its own step on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from terracast.streams.alignment.in_space import Place, SpaceMethod, moved, place_of, weights
from terracast.streams.alignment.in_time import TimeAxis, TimeMethod, onto_axis
from terracast.streams.panel import axes_of, step_of


def context(target: xr.Dataset, variable: str, drivers: Mapping[str, tuple[xr.Dataset, Sequence[str]]]) -> xr.Dataset:
    """The panel a forecaster gets: a target and each domain's driver variables on its stamps and nodes.

    Parameters
    ----------
    target : xarray.Dataset
        The target's panel; its stamps and nodes are the result's.
    variable : str
        The target among its variables.
    drivers : mapping of str to (xarray.Dataset, sequence of str)
        By domain, its panel as known at the same instant and the variables wanted.

    Returns
    -------
    xarray.Dataset
        Drivers are named ``domain.variable`` and carry ``role = "past_driver"``. A target node takes the driver's node
        of the same name where all names are there, else the nearest one, else the mean of all nodes.

    Examples
    --------
    >>> import pandas as pd
    >>> axis = {"time": pd.date_range("2020-01-01", periods=2, freq="h"), "node": ["a"]}
    >>> air = xr.Dataset({"pm25": (("time", "node"), np.ones((2, 1)))}, axis, {"step": "1h"})
    >>> wind = xr.Dataset({"speed": (("time", "node"), np.zeros((2, 1)))}, {**axis, "node": ["mast"]}, {"step": "1h"})
    >>> sorted(context(air, "pm25", {"weather": (wind, ["speed"])}).data_vars)
    ['pm25', 'weather.speed']
    """
    place = _place(target)
    own = target[variable]
    data = {variable: (("time", "node"), own.transpose("time", "node").values, {**own.attrs, "role": "target"})}
    for domain, (panel, names) in drivers.items():
        there = np.array_equal(panel["node"].values, target["node"].values)
        use = None if there else weights(_place(panel), place, _method(panel, target), where=domain)
        for name, values in _on_stamps(panel, target, list(names)).items():
            on_nodes = values if use is None else moved(values, use, 0.0).astype(panel[name].dtype, copy=False)
            data[f"{domain}.{name}"] = (("time", "node"), on_nodes, {**panel[name].attrs, "role": "past_driver"})
    names = ("time", "node", *(name for name in ("lat", "lon") if name in target.coords))
    return xr.Dataset(data, axes_of(target, *names, attrs=False), target.attrs)


def _on_stamps(panel: xr.Dataset, target: xr.Dataset, names: list[str]) -> dict[str, np.ndarray]:
    """Values (time, node) of the panel's own nodes at the target's stamps."""
    if np.array_equal(panel["time"].values, target["time"].values):
        return {name: panel[name].transpose("time", "node").values for name in names}
    method: TimeMethod = "latest" if step_of(target) < step_of(panel) else "instant"
    return onto_axis(panel, TimeAxis.of(target), method, names).values


def _method(panel: xr.Dataset, target: xr.Dataset) -> SpaceMethod:
    if set(target["node"].values.tolist()) <= set(panel["node"].values.tolist()):
        return "same"
    return "nearest" if all(_stays(one) for one in (panel, target)) else "mean"


def _place(panel: xr.Dataset) -> Place:
    return place_of(panel) if _stays(panel) else Place(panel["node"].values.astype(str))


def _stays(panel: xr.Dataset) -> bool:
    """Whether the nodes have positions and do not move."""
    return all(name in panel.coords and panel[name].dims == ("node",) for name in ("lat", "lon"))
