"""Values of one set of nodes at another: weights from source nodes to target nodes, and what they make known when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from scipy.sparse import csr_matrix, kron

from terracast.streams.alignment.in_time import NEVER
from terracast.streams.errors import PanelError
from terracast.streams.kinds.cells import GridCells
from terracast.streams.kinds.grid import cell_areas_km2, edges_of
from terracast.streams.kinds.nearby import Nearby

SpaceMethod = Literal["same", "nearest", "inverse_distance", "conservative", "gather", "mean"]


@dataclass(frozen=True)
class Place:
    """The target nodes: names, positions, and where they are ``cell``s of a grid its edges and ``axes`` (JSON)."""

    nodes: np.ndarray
    lat: np.ndarray | None = None
    lon: np.ndarray | None = None
    lat_edges: np.ndarray | None = None
    lon_edges: np.ndarray | None = None
    cell: np.ndarray | None = None
    axes: str | None = None

    @classmethod
    def of_cells(cls, cells: GridCells) -> Place:
        """All cells of a grid."""
        lat, lon = cells.centres
        axes = {"lat": cells.lat.tolist(), "lon": cells.lon.tolist(), "lat_type": "float64", "lon_type": "float64",
                "lat_attrs": {}, "lon_attrs": {}}
        return cls(cells.names, lat, lon, np.array(cells.lat_edges), np.array(cells.lon_edges),
                   np.arange(len(cells)), json.dumps(axes))


def place_of(panel: xr.Dataset) -> Place:
    """The place of a panel's nodes; a raster panel brings its grid.

    >>> place_of(xr.Dataset(coords={"node": ["a"], "lat": ("node", [1.0]), "lon": ("node", [2.0])})).lat.tolist()
    [1.0]
    """
    nodes = panel["node"].values.astype(str)
    if "lat" not in panel.coords:
        return Place(nodes)
    if panel["lat"].dims != ("node",):
        raise PanelError("nodes that move are no place", where=str(panel.attrs.get("domain", "panel")),
                         expected="lat and lon on node",
                         remedy='count them on cells: measure = "cells" in [[sources]]')
    lat, lon = panel["lat"].values.astype(float), panel["lon"].values.astype(float)
    if "grid" not in panel.attrs:
        return Place(nodes, lat, lon)
    axes = json.loads(panel.attrs["grid"])
    cell = panel["row"].values * len(axes["lon"]) + panel["column"].values
    return Place(nodes, lat, lon, edges_of(axes["lat"], is_latitude=True), edges_of(axes["lon"]), cell,
                 panel.attrs["grid"])


@dataclass(frozen=True)
class Weights:
    """``matrix`` (targets × sources), the ``whole`` weight of each target, and whether values are added up.

    ``alike``: all targets weigh the sources alike.
    """

    matrix: csr_matrix
    whole: np.ndarray
    adds: bool
    alike: bool = False

    @property
    def single(self) -> np.ndarray | None:
        """The one source of each target where every target has exactly one, of weight one; else None."""
        counts = np.diff(self.matrix.indptr)
        return self.matrix.indices if (counts == 1).all() and (self.matrix.data == 1).all() else None


def weights(source: Place, target: Place, method: SpaceMethod, *, neighbours: int = 4, power: float = 2.0,
            radius_km: float = np.inf, adds: bool = False, where: str = "alignment") -> Weights:
    """Weights from source nodes to target nodes.

    ``same``: equal names. ``nearest``. ``inverse_distance``: the ``neighbours`` nearest within ``radius_km``, weight
    distance^−``power`` (a node on the spot counts alone; Shepard 1968). ``mean``: all nodes alike. ``gather``: every
    source node goes to its nearest target, so that counts add up to the same total (means are averaged).
    ``conservative``: grid onto grid by overlapping area on the sphere; for means the integral is kept, for counts
    (``adds``) the sum (Jones 1999, first order).
    """
    shape = (len(target.nodes), len(source.nodes))
    if method == "same":
        column = pd.Index(source.nodes).get_indexer(pd.Index(target.nodes))
        if (column < 0).any():
            raise PanelError(f"no node {target.nodes[column < 0][0]!r}", where=where, expected="the same nodes",
                             remedy="choose nearest, inverse_distance or mean")
        return _given(np.arange(len(column)), column, np.ones(len(column)), shape, adds)
    if method == "mean":
        return Weights(csr_matrix(np.full(shape, 1.0)), np.full(shape[0], float(shape[1])), adds, alike=True)
    if method == "conservative":
        return _conservative(source, target, adds, where)
    if method == "gather":
        row, away = Nearby(*_positions(target, where)).nearest(*_positions(source, where))
        near = (row[:, 0] >= 0) & (away[:, 0] <= radius_km)
        return _given(row[near, 0], np.flatnonzero(near), np.ones(int(near.sum())), shape, adds)
    count = 1 if method == "nearest" else neighbours
    column, away = Nearby(*_positions(source, where)).nearest(*_positions(target, where), count)
    near = (column >= 0) & (away <= radius_km)
    with np.errstate(divide="ignore"):
        weight = np.where(near, np.where(near, away, 1.0) ** -power, 0.0) if count > 1 else near.astype(float)
    spot = np.isinf(weight)
    weight = np.where(spot.any(axis=1, keepdims=True), spot.astype(float), weight)
    row = np.repeat(np.arange(shape[0]), count)
    kept = weight.ravel() > 0
    return _given(row[kept], column.ravel()[kept], weight.ravel()[kept], shape, adds)


def _positions(place: Place, where: str) -> tuple[np.ndarray, np.ndarray]:
    if place.lat is None or place.lon is None:
        raise PanelError("nodes without positions", where=where, expected="lat and lon on node",
                         remedy="choose 'same' or 'mean', or add the coordinates")
    return place.lat, place.lon


def _given(row: np.ndarray, column: np.ndarray, weight: np.ndarray, shape: tuple[int, int], adds: bool) -> Weights:
    matrix = csr_matrix((weight, (row, column)), shape=shape)
    return Weights(matrix, np.asarray(matrix.sum(axis=1)).ravel(), adds)


def _conservative(source: Place, target: Place, adds: bool, where: str) -> Weights:
    for place, word in ((source, "source"), (target, "target")):
        if place.cell is None or place.lat_edges is None or place.lon_edges is None:
            raise PanelError(f"the {word} is no grid", where=where, expected="a raster panel or grid cells",
                             remedy="choose nearest or inverse_distance, or give Place.of_cells(…)")
    assert source.lat_edges is not None and source.lon_edges is not None and source.cell is not None
    assert target.lat_edges is not None and target.lon_edges is not None and target.cell is not None
    rows = _overlap(np.sin(np.deg2rad(target.lat_edges)), np.sin(np.deg2rad(source.lat_edges)))
    columns = sum(_overlap(target.lon_edges, source.lon_edges + turn) for turn in (-360.0, 0.0, 360.0))
    scale = cell_areas_km2([0, 90], [0, 1])[0, 0]  # km² of a unit of sine times a degree
    area = kron(csr_matrix(rows), csr_matrix(columns), format="csr")[target.cell][:, source.cell] * scale
    if adds:
        own = cell_areas_km2(source.lat_edges, source.lon_edges).ravel()[source.cell]
        shared = csr_matrix(area.multiply(1.0 / own[None, :]))
        return Weights(shared, np.asarray(shared.sum(axis=1)).ravel(), True)
    whole = cell_areas_km2(target.lat_edges, target.lon_edges).ravel()[target.cell]
    return Weights(csr_matrix(area), whole, False)


def _overlap(target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Lengths (target cells, source cells) of the overlap of intervals between edges in any direction."""
    low, high = np.minimum(target[:-1], target[1:]), np.maximum(target[:-1], target[1:])
    other_low, other_high = np.minimum(source[:-1], source[1:]), np.maximum(source[:-1], source[1:])
    return np.maximum(np.minimum(high[:, None], other_high) - np.maximum(low[:, None], other_low), 0.0)


def moved(values: np.ndarray, use: Weights, min_share: float) -> np.ndarray:
    """Values (time, source) at the targets; NaN where less than ``min_share`` of a target's weight has a value."""
    if (source := use.single) is not None:
        in_place = np.array_equal(source, np.arange(values.shape[1]))
        return values if in_place else np.asarray(values[:, source])
    matrix, whole = (use.matrix[:1], use.whole[:1]) if use.alike else (use.matrix, use.whole)
    there = np.isfinite(values)
    total = (matrix @ np.where(there, values, 0.0).T).T
    found = (matrix @ there.astype(float).T).T
    enough = (found >= (min_share - 1e-9) * whole) & (found > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        result = np.where(enough, total if use.adds else total / found, np.nan)
    return np.repeat(result, len(use.whole), axis=1) if use.alike else result


def known_of(known: np.ndarray, use: Weights) -> np.ndarray:
    """The latest settling time (ns) of the parts of each target, ``NEVER`` where there are none. O(time × weights)."""
    pointer, parts = use.matrix.indptr, use.matrix.indices
    out = np.full((known.shape[0], len(use.whole)), NEVER)
    fed = np.flatnonzero(np.diff(pointer) > 0)
    if not len(fed):
        return out
    if (known == known[:, :1]).all():
        out[:, fed] = known[:, :1]
        return out
    rows = max(1, 4_000_000 // max(len(parts), 1))
    for first in range(0, len(known), rows):
        some = slice(first, first + rows)
        out[some, fed] = np.maximum.reduceat(known[some][:, parts], pointer[fed], axis=1)
    return out
