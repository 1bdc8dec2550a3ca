"""Cells of a regular grid: which cell a position falls in, what the cells are called, how large they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from terracast.streams.errors import PanelError


def cell_names(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Names "lat,lon" of cell centres, as short as keeps them apart.

    >>> cell_names(np.array([46.6875, 47.0]), np.array([-75.4375, -75.4375])).tolist()
    ['46.6875,-75.4375', '47,-75.4375']
    """
    for digits in (6, 9, 17):
        names = np.array([f"{a:.{digits}g},{b:.{digits}g}" for a, b in zip(lat, lon, strict=True)], dtype=str)
        if len(set(names.tolist())) == len(names):
            break
    return names


def occupied(lat: np.ndarray, lon: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cell of each position, and the centres of the cells that hold any: squares of ``size`` degrees at whole
    multiples of it, from the south-west. Costs O(n log n) for n positions, however far apart they lie.

    >>> [one.tolist() for one in occupied(np.array([0.1, 5.2, 0.3]), np.array([0.1, 7.1, 0.4]), 0.5)]
    [[0, 1, 0], [0.25, 5.25], [0.25, 7.25]]
    """
    row, column = (np.floor(values / size + 1e-9).astype(np.int64) for values in (lat, lon))
    key, cell = np.unique(row * 1_000_000_007 + column, return_inverse=True)
    first = np.zeros(len(key), np.int64)
    first[cell[::-1]] = np.arange(len(cell))[::-1]
    return cell, _centre(row[first], size), _centre(column[first], size)


def _centre(number: np.ndarray, size: float) -> np.ndarray:
    return np.round((number + 0.5) * size, 9)


@dataclass(frozen=True)
class GridCells:
    """Cells between ascending edges in degrees; numbered row by row (latitude first) from the south-west.

    A cell holds its lower edges; the last row and column hold their upper edge too. Longitudes are taken modulo
    360, so a grid across the date line has edges such as 170 … 190.

    >>> cells = GridCells((0.0, 1.0, 2.0), (179.0, 180.0, 181.0))
    >>> cells.cell_of([0.5, 2.0, 3.0], [-179.5, 179.0, 179.0]).tolist()
    [1, 2, -1]
    """

    lat_edges: tuple[float, ...]
    lon_edges: tuple[float, ...]

    def __post_init__(self) -> None:
        for name, edges, widest in (("lat_edges", self.lat_edges, 180.0), ("lon_edges", self.lon_edges, 360.0)):
            if len(edges) < 2 or (np.diff(edges) <= 0).any() or edges[-1] - edges[0] > widest:
                raise PanelError(f"{name} are no edges", where="grid cells",
                                 expected=f"two or more ascending degrees, at most {widest:g} apart",
                                 remedy="sort them, or use GridCells.covering")

    @classmethod
    def covering(cls, lat: ArrayLike, lon: ArrayLike, size: float) -> GridCells:
        """Square cells of ``size`` degrees, at whole multiples of it, that cover the positions."""
        def edges(values: np.ndarray, lowest: float, highest: float) -> tuple[float, ...]:
            first, last = np.floor(np.nanmin(values) / size), np.floor(np.nanmax(values) / size) + 1
            return tuple(np.clip(np.arange(first, last + 1) * size, lowest, highest).tolist())
        return cls(edges(np.asarray(lat, float), -90.0, 90.0), edges(np.asarray(lon, float), -180.0, 360.0))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows (latitudes) and columns (longitudes)."""
        return len(self.lat_edges) - 1, len(self.lon_edges) - 1

    def __len__(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def lat(self) -> np.ndarray:
        """Latitudes of the row centres."""
        return np.convolve(self.lat_edges, [0.5, 0.5], "valid")

    @property
    def lon(self) -> np.ndarray:
        """Longitudes of the column centres."""
        return np.convolve(self.lon_edges, [0.5, 0.5], "valid")

    @property
    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """Latitude and longitude of every cell, in cell order."""
        return np.repeat(self.lat, self.shape[1]), np.tile(self.lon, self.shape[0])

    @property
    def names(self) -> np.ndarray:
        """One name per cell: its centre."""
        return cell_names(*self.centres)

    def cell_of(self, lat: ArrayLike, lon: ArrayLike) -> np.ndarray:
        """The cell's number for each position, −1 outside (or without a position). O(n log edges)."""
        west = self.lon_edges[0]
        lon = np.asarray(lon, float)
        if len(lon) and (np.nanmin(lon) < west or np.nanmax(lon) > self.lon_edges[-1]):
            lon = np.where((lon >= west) & (lon <= self.lon_edges[-1]), lon, west + np.mod(lon - west, 360.0))
        row = _place(np.asarray(lat, float), self.lat_edges)
        column = _place(lon, self.lon_edges)
        return np.where((row >= 0) & (column >= 0), row * self.shape[1] + column, -1)


def _place(values: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """Interval of each value; even edges by division first, then corrected by the edges themselves."""
    bounds = np.asarray(edges, float)
    count = len(bounds) - 1
    steps = np.diff(bounds)
    if np.ptp(steps) <= 1e-9 * steps[0]:
        guess = np.nan_to_num((values - bounds[0]) * (1 / steps.mean()), nan=-1.0)
        at = np.clip(guess, 0, count - 1).astype(np.int32)
        at -= values < bounds[at]
        at += values >= bounds[1:][np.maximum(at, 0)]
        at = np.where(at == count, np.where(values == bounds[-1], count - 1, -1), at)
    else:
        at = np.searchsorted(bounds, values, side="right") - 1
        at = np.where(values == bounds[-1], count - 1, at)
    return np.where((at >= 0) & (at < count) & np.isfinite(values), at, -1)
