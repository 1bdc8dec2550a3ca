"""Where moving nodes will be: displacement from the last known place, in metres, with quantiles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from stfm.base.model import Base, at_quantiles
from stfm.forecaster import QUANTILES, ForecastError, Request

METRES = 111_194.9  # a degree of latitude on a sphere of 6,371 km


def forecast_positions(base: Base, context: xr.Dataset, request: Request) -> xr.Dataset:
    """Forecast ``east`` and ``north`` (metres from each node's last known place) of a panel whose nodes move.

    ``context``: a panel with ``lat`` and ``lon`` on (time, node); ``request.target`` is not read. Returns dims
    issue_time, lead, node, quantile, and the coordinates ``lat``, ``lon`` of the last known places. The base forecasts
    the velocity of each direction, whose quantiles are summed up as those of a process with the node's own lag-one
    autocorrelation. In the plane that touches the earth at the node: good to some hundred km and not near the poles.
    Raises ``ForecastError`` where nodes do not move or none was ever placed.

    >>> stamps = np.datetime64("2024-01-01", "ns") + np.arange(200) * np.timedelta64(1, "h")
    >>> east = np.linspace(0, 2, 200)[:, None] + [0.0, 1.0]
    >>> buoys = xr.Dataset({"t": (("time", "node"), east)}, {"time": stamps, "node": ["a", "b"],
    ...     "lat": (("time", "node"), 0 * east), "lon": (("time", "node"), east)},
    ...     {"domain": "sea", "kind": "point", "step": "1h"})
    >>> told = forecast_positions(Base.shipped(), buoys, Request("t", stamps[-1], 12, np.timedelta64(1, "h")))
    >>> wanted = 12 * 2 / 199 * METRES  # it goes on as it went
    >>> bool(abs(float(told["east"].sel(quantile=0.5)[0, -1, 0]) / wanted - 1) < 0.3)
    True
    """
    for name in ("lat", "lon"):
        if name not in context.coords or set(context[name].dims) != {"time", "node"}:
            raise ForecastError("nodes do not move", where=str(context.attrs.get("domain", "panel")),
                                expected="lat and lon on (time, node)", remedy="forecast a variable instead")
    past = context.sel(time=context["time"] <= request.issue_time)
    lat, lon = (past[name].transpose("time", "node").values.astype("float64") for name in ("lat", "lon"))
    here = {"lat": _last(lat), "lon": _last(lon)}
    if not np.isfinite(here["lat"]).any():
        raise ForecastError("no node was ever placed", where=str(context.attrs.get("domain", "panel")),
                            expected="one known place at least", remedy="wait for first places")
    around = (lon - here["lon"] + 180) % 360 - 180  # the date line is no jump
    metres = {"east": around * METRES * np.cos(np.radians(here["lat"])), "north": (lat - here["lat"]) * METRES}
    found = {name: _displacement(base, past, values, replace(request, target=name), here)
             for name, values in metres.items()}
    return xr.Dataset(found, attrs=past.attrs)


def _displacement(base: Base, past: xr.Dataset, metres: np.ndarray, request: Request,
                  here: dict[str, np.ndarray]) -> xr.DataArray:
    """Quantiles of the displacement in one direction: velocities forecast and summed up over the leads."""
    velocity = np.diff(metres, axis=0, prepend=np.nan)
    attrs = {"units": "m", "long_name": f"displacement to the {request.target} of the last known place"}
    panel = xr.Dataset({request.target: (("time", "node"), velocity, attrs)},
                       {"time": past["time"], "node": past["node"],
                        "lat": ("node", here["lat"]), "lon": ("node", here["lon"])},
                       {**past.attrs, "kind": "sensor"})
    told = base.forecast(panel, replace(request, quantiles=QUANTILES))[request.target]
    values = told.values.astype("float64")
    middle = values[..., QUANTILES.index(0.5), None]
    memory = _autocorrelation(velocity)
    off = _summed(values - middle, memory)
    summed = middle.cumsum(axis=1) + np.sign(np.array(QUANTILES) - 0.5) * off
    rising = at_quantiles(summed, request.quantiles).astype("float32")
    return xr.DataArray(rising, {**told.drop_vars("quantile").coords, "quantile": list(request.quantiles)},
                        told.dims, attrs=attrs)


def _summed(off: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """How far sums over the first leads stand off, where single leads stand off by ``off`` (issue, lead, node,
    quantile): the square root of sum_ij off_i off_j memory^|i-j|, built up lead by lead. O(off)."""
    total = np.zeros_like(off[:, 0])
    carried = np.zeros_like(off[:, 0])  # sum over earlier leads of off_j memory^(i-j)
    sums = []
    for lead in range(off.shape[1]):
        now = np.abs(off[:, lead])
        carried = carried * memory[:, None]
        total = total + now * now + 2 * now * carried
        carried = carried + now
        sums.append(np.sqrt(total))
    return np.stack(sums, axis=1)


def _autocorrelation(velocity: np.ndarray) -> np.ndarray:
    """Lag-one autocorrelation of each column, in [0, 1]; 1 (the widest) where nothing is known."""
    centred = velocity - np.nan_to_num(np.nanmean(np.where(np.isfinite(velocity).any(0), velocity, 0.0), axis=0))
    pairs = np.nansum(centred[1:] * centred[:-1], axis=0)
    whole = np.nansum(centred**2, axis=0)
    return np.where(whole > 0, np.clip(pairs / np.where(whole > 0, whole, 1.0), 0.0, 1.0), 1.0)


def _last(values: np.ndarray) -> np.ndarray:
    """The last known value of each column, NaN where there is none."""
    known = np.isfinite(values)
    rows = len(values) - 1 - known[::-1].argmax(0)
    return np.where(known.any(0), values[rows, np.arange(values.shape[1])], np.nan)
