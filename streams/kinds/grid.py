"""Edges and areas of the cells of a grid in degrees."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from terracast.stats.great_circle import EARTH_RADIUS_KM


def edges_of(centres: ArrayLike, *, is_latitude: bool = False) -> np.ndarray:
    """Cell edges halfway between centres (ascending or descending); latitudes end at the poles.

    >>> edges_of([10.0, 20.0, 30.0]).tolist(), edges_of([90.0, 88.0], is_latitude=True).tolist()
    ([5.0, 15.0, 25.0, 35.0], [90.0, 89.0, 87.0])
    """
    centres = np.asarray(centres, float)
    if len(centres) == 1:
        raise ValueError("one centre has no edges: give the edges")
    middle = (centres[1:] + centres[:-1]) / 2
    edges = np.concatenate([[centres[0] - (middle[0] - centres[0])], middle,
                            [centres[-1] + (centres[-1] - middle[-1])]])
    return np.clip(edges, -90.0, 90.0) if is_latitude else edges


def cell_areas_km2(lat_edges: ArrayLike, lon_edges: ArrayLike) -> np.ndarray:
    """Areas (rows, columns) of the cells between edges: R² · Δλ · |sin φ₂ − sin φ₁|.

    >>> whole = cell_areas_km2([-90, 0, 90], [0, 180, 360]).sum()
    >>> bool(np.isclose(whole, 4 * np.pi * EARTH_RADIUS_KM**2))
    True
    """
    height = np.abs(np.diff(np.sin(np.deg2rad(np.asarray(lat_edges, float)))))
    width = np.abs(np.diff(np.deg2rad(np.asarray(lon_edges, float))))
    return EARTH_RADIUS_KM**2 * height[:, None] * width[None, :]
