"""Whom a node is compared with: its nearest nodes on the map, or those that move with it where there is no
map."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from terracast.streams.quality.windows import nan_median

MOST_WITHOUT_MAP = 512
SAME_SHARE = 0.5
NODES_AT_ONCE = 2048


def candidates(panel: xr.Dataset, anomalies: np.ndarray, count: int) -> np.ndarray:
    """Up to ``count`` other nodes for each node, the likeliest first; (node, count), -1 where there is none.

    By distance where nodes have a fixed place; else by correlation of the anomalies (time, node), for up to
    512 nodes, as that costs O(time × nodes²).
    """
    nodes = panel.sizes["node"]
    count = min(count, nodes - 1)
    if count < 1:
        return np.full((nodes, 1), -1)
    places = _places(panel)
    if places is not None:
        _, found = cKDTree(places).query(places, k=count + 1)
        return _without_self(found)
    if nodes > MOST_WITHOUT_MAP:
        return np.full((nodes, 1), -1)
    filled = np.nan_to_num(np.clip(anomalies, -4, 4))
    filled = filled / np.maximum(np.linalg.norm(filled, axis=0), 1e-12)
    alike = filled.T @ filled
    np.fill_diagonal(alike, -np.inf)
    order = np.argsort(-alike, axis=1, kind="stable")[:, :count]
    return np.where(np.take_along_axis(alike, order, axis=1) > 0.2, order, -1)


def _places(panel: xr.Dataset) -> np.ndarray | None:
    """Points on the unit sphere; None where nodes move or have no place."""
    if "lat" not in panel.coords or panel["lat"].dims != ("node",) or panel["lon"].dims != ("node",):
        return None
    lat, lon = np.deg2rad(panel["lat"].values), np.deg2rad(panel["lon"].values)
    if np.isnan(lat).any() or np.isnan(lon).any():
        return None
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def _without_self(found: np.ndarray) -> np.ndarray:
    """Drop the node itself from its row, wherever equal places have put it."""
    own = found == np.arange(len(found))[:, None]
    own[~own.any(axis=1), -1] = True  # crowded out by twins at its own place
    return found[~own].reshape(len(found), -1)


def distinct(chosen: np.ndarray, anomalies: np.ndarray, count: int) -> np.ndarray:
    """The first ``count`` candidates that are not mere copies of the node: a copy cannot bear witness."""
    kept = chosen.copy()
    for place in range(chosen.shape[1]):
        other = anomalies[:, np.maximum(chosen[:, place], 0)]
        both = ~(np.isnan(other) | np.isnan(anomalies))
        moved = both & (np.diff(anomalies, axis=0, prepend=np.nan) != 0)
        same = (moved & (other == anomalies)).sum(axis=0) > SAME_SHARE * np.maximum(moved.sum(axis=0), 1)
        kept[same, place] = -1
    order = np.argsort(kept < 0, axis=1, kind="stable")
    return np.take_along_axis(kept, order, axis=1)[:, :count]


def neighbour_median(anomalies: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Median of the neighbours' anomalies, (time, node); NaN where no neighbour reported.

    Works on blocks of nodes, so that memory stays at O(time × 2048 × neighbours).
    """
    out = np.full(anomalies.shape, np.nan, anomalies.dtype)
    for first in range(0, anomalies.shape[1], NODES_AT_ONCE):
        block = chosen[first : first + NODES_AT_ONCE]
        values = anomalies[:, np.maximum(block, 0)]
        values[:, block < 0] = np.nan
        out[:, first : first + NODES_AT_ONCE] = nan_median(values, axis=2)
    return out
