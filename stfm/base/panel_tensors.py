"""A panel as arrays on a regular clock: what windows are cut from, in training and in service alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from terracast.stats.great_circle import EARTH_RADIUS_KM, unit_vectors
from terracast.stfm.base.seasons import calendar
from terracast.stfm.forecaster import ForecastError
from terracast.streams.kinds.counts import is_counted

NEIGHBOURS = 3
ROLES = ("past_driver", "future_driver")
LARGEST = 1e15  # what is larger is no reading: sums of its square would leave single precision


@dataclass(frozen=True)
class Neighbourhood:
    """Who is near whom: ``neighbours`` (node, NEIGHBOURS) indices, ``near`` whether there is one, ``offsets``
    (node, NEIGHBOURS, 3): east, north (in typical distances) and log distance."""

    neighbours: np.ndarray
    near: np.ndarray
    offsets: np.ndarray


@dataclass(frozen=True)
class PanelTensors:
    """``target`` (node, time) and ``drivers`` (driver, node, time), NaN where not known; each driver's ``lags`` in
    steps and whether its ``future`` is known; ``circles`` (time, FEATURES); ``places``; ``first`` stamp, ``step``;
    ``counts``: the panel counts events."""

    target: np.ndarray
    drivers: np.ndarray
    lags: tuple[int, ...]
    future: tuple[bool, ...]
    circles: np.ndarray
    places: Neighbourhood
    first: np.datetime64
    step: np.timedelta64
    counts: bool


def panel_tensors(panel: xr.Dataset, target: str, step: np.timedelta64, *, until: np.datetime64, ahead: int,
                  since: np.datetime64 | None = None, graph: np.ndarray | None = None) -> PanelTensors:
    """The panel on its clock from ``since`` (default: its first stamp) to ``ahead`` steps after ``until``.

    Stamps may be unsorted and may lack rows; a doubled stamp and one off the clock are refused. Variables with a
    ``role`` (``past_driver``, ``future_driver``) become drivers, shifted by their ``lag``. ``graph`` (node, node),
    weights from row to column, names neighbours where coordinates do not. O(values + nodes log nodes).
    """
    if target not in panel.data_vars:
        raise ForecastError(f"no variable {target!r}", where="panel given to the base model",
                            expected="one of " + ", ".join(map(str, panel.data_vars)),
                            remedy="name a variable of the panel")
    if not panel.sizes["time"] or not panel.sizes["node"]:
        raise ForecastError("the panel is empty", where=target, expected="at least one stamp and one node",
                            remedy="give it history")
    stamps = panel["time"].values.astype("datetime64[ns]")
    step = step.astype("timedelta64[ns]")
    until = until.astype("datetime64[ns]")
    start = stamps.min() if since is None else since.astype("datetime64[ns]")
    first = until - max(0, int((until - start) // step)) * step
    slots = _slots(stamps, first, step, target)
    length = int((until - first) // step) + 1 + ahead
    named = [name for name in panel.data_vars if name != target and panel[name].attrs.get("role") in ROLES]
    drivers = [_on_clock(panel, str(name), slots, length) for name in named]
    values = _on_clock(panel, target, slots, length)
    times = first + np.arange(length) * step
    return PanelTensors(values, np.stack(drivers) if drivers else np.empty((0, *values.shape), "float32"),
                        tuple(int(panel[name].attrs.get("lag", 0)) for name in named),
                        tuple(panel[name].attrs["role"] == "future_driver" for name in named),
                        calendar(times, step), places_of(panel, graph, until), first, step,
                        panel.attrs.get("kind") == "event" or is_counted(panel[target]))


def places_of(panel: xr.Dataset, graph: np.ndarray | None, at: np.datetime64) -> Neighbourhood:
    """Neighbours by ``graph`` if given, else by coordinates (of moving nodes: the last up to ``at``), else none."""
    nodes, position = panel.sizes["node"], _positions(panel, at)
    if graph is None:
        return _nearest(nodes) if position is None else _nearest(nodes, position.tobytes(), position.dtype.str)
    weights = np.where(np.eye(nodes, dtype=bool), 0.0, np.asarray(graph, "float64").T)
    order = np.argsort(-weights, axis=1, kind="stable")[:, :min(NEIGHBOURS, nodes - 1)]
    neighbours, near = _nobody(nodes)
    neighbours[:, :order.shape[1]] = order
    near[:, :order.shape[1]] = np.take_along_axis(weights, order, axis=1) > 0
    return _placed(neighbours, near, position)


@lru_cache(maxsize=4)
def _nearest(nodes: int, position: bytes = b"", dtype: str = "<f8") -> Neighbourhood:
    """Neighbours of nodes at positions (node, 3), kept as bytes: a network that stays is asked for with each forecast.
    O(nodes log nodes)."""
    neighbours, near = _nobody(nodes)
    if not position:
        return _placed(neighbours, near, None)
    points, count = np.frombuffer(position, dtype).reshape(nodes, 3), min(NEIGHBOURS, nodes - 1)
    placed = np.flatnonzero(np.isfinite(points).all(axis=1))
    if 0 < count < len(placed):
        _, found = cKDTree(points[placed]).query(points[placed], k=count + 1)
        own = found == np.arange(len(placed))[:, None]  # a twin at the same place may come before oneself
        own[~own.any(axis=1), -1] = True
        neighbours[placed, :count] = placed[found[~own].reshape(len(placed), count)]
        near[placed, :count] = True
    return _placed(neighbours, near, points)


def _nobody(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Each node as its own neighbours (node, NEIGHBOURS), none of them near."""
    return np.repeat(np.arange(nodes)[:, None], NEIGHBOURS, axis=1), np.zeros((nodes, NEIGHBOURS), bool)


def _placed(neighbours: np.ndarray, near: np.ndarray, position: np.ndarray | None) -> Neighbourhood:
    """With where the neighbours lie, as far as positions (node, 3) are known; who is not near is the node itself."""
    neighbours[~near] = _nobody(len(near))[0][~near]
    offsets = np.zeros((*near.shape, 3), "float32") if position is None else \
        _offsets(np.where(np.isfinite(position), position, 0.0), neighbours, near)
    return Neighbourhood(neighbours, near, offsets)


def _positions(panel: xr.Dataset, at: np.datetime64) -> np.ndarray | None:
    """Points (node, 3) on the earth in km, NaN where unknown; None where the panel has no coordinates."""
    if "lat" not in panel.coords or "lon" not in panel.coords:
        return None
    degrees = []
    for name in ("lat", "lon"):
        values = panel[name]
        if "time" in values.dims:
            past = values.transpose("node", "time").values[:, panel["time"].values <= at]
            known = np.isfinite(past)
            last = past.shape[1] - 1 - known[:, ::-1].argmax(1) if past.shape[1] else np.zeros(len(past), int)
            degrees.append(past[np.arange(len(past)), last] if past.shape[1] else np.full(len(past), np.nan))
        else:
            degrees.append(values.values)
    return EARTH_RADIUS_KM * unit_vectors(*degrees)


def _offsets(position: np.ndarray, neighbours: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Where the neighbours lie: east and north in typical distances, and the log of the distance in these."""
    difference = position[neighbours] - position[:, None]
    distance = np.linalg.norm(difference, axis=2)
    typical = np.median(distance[near & (distance > 0)]) if (near & (distance > 0)).any() else 1.0
    up = position / np.maximum(np.linalg.norm(position, axis=1, keepdims=True), 1e-9)
    east = np.stack([-up[:, 1], up[:, 0], np.zeros(len(up))], axis=1)
    east /= np.maximum(np.linalg.norm(east, axis=1, keepdims=True), 1e-9)
    north = np.cross(up, east)
    along = np.stack([(difference * east[:, None]).sum(2), (difference * north[:, None]).sum(2)], axis=2) / typical
    found = np.concatenate([along.clip(-4, 4), np.log1p(distance / typical)[:, :, None]], axis=2)
    return np.where(near[:, :, None], found, 0.0).astype("float32")


def _slots(stamps: np.ndarray, first: np.datetime64, step: np.timedelta64, target: str) -> np.ndarray:
    """Row of each stamp on the clock (negative: before it)."""
    since = (stamps - first).astype("int64")
    slots = since // int(step.astype("int64"))
    off = since % int(step.astype("int64")) != 0
    if off.any():
        raise ForecastError(f"stamp {np.datetime_as_string(stamps[off][0], 's')} is off the clock", where=target,
                            expected=f"stamps whole steps of {step} from the issue time",
                            remedy="align it, or ask at its stamps")
    if len(np.unique(slots)) != len(slots):
        raise ForecastError("a stamp is doubled", where=target, expected="one row a stamp",
                            remedy="keep one row per stamp")
    return slots


def _on_clock(panel: xr.Dataset, name: str, slots: np.ndarray, length: int) -> np.ndarray:
    """Values (node, time) as float32 on the clock, NaN where there is none."""
    values = panel[name].transpose("node", "time").values
    placed = np.full((len(values), length), np.nan, "float32")
    inside = (slots >= 0) & (slots < length)
    placed[:, slots[inside]] = values[:, inside]
    placed[~(np.abs(placed) <= LARGEST)] = np.nan
    return placed
