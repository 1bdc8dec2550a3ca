"""Who is near: nearest-neighbour and radius look-ups over positions on the sphere."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from terracast.stats.great_circle import chord_of, haversine_km, unit_vectors

SLACK = 1e-9  # widens the search a little: chords are rounded; the haversine distance then decides


class Nearby:
    """An index over positions in degrees; rows without a position are never found.

    A k-d tree over unit vectors, so the date line and the poles are like anywhere else. Built in O(n log n),
    asked in O(log n) each; memory O(n).

    >>> index = Nearby([0.0, 0.0, 89.0], [179.9, -179.9, 0.0])
    >>> found, kilometres = index.nearest([0.0], [-179.95], count=2)
    >>> found.tolist(), kilometres.round(1).tolist()
    ([[1, 0]], [[5.6, 16.7]])
    >>> [rows.tolist() for rows in index.within([90.0], [0.0], radius_km=112.0)]
    [[2]]
    """

    def __init__(self, lat: ArrayLike, lon: ArrayLike) -> None:
        self._lat, self._lon = np.asarray(lat, float), np.asarray(lon, float)
        self._rows = np.flatnonzero(np.isfinite(self._lat) & np.isfinite(self._lon))
        self._tree = cKDTree(unit_vectors(self._lat[self._rows], self._lon[self._rows]))

    def __len__(self) -> int:
        return len(self._rows)

    def nearest(self, lat: ArrayLike, lon: ArrayLike, count: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Rows and kilometres of the ``count`` nearest positions, nearest first, shape (asked, count).

        −1 and NaN where there are fewer positions, or where the asked position is missing.
        """
        lat, lon = np.atleast_1d(np.asarray(lat, float)), np.atleast_1d(np.asarray(lon, float))
        rows = np.full((len(lat), count), -1)
        distance = np.full((len(lat), count), np.nan)
        asked = np.flatnonzero(np.isfinite(lat) & np.isfinite(lon))
        there = min(count, len(self))
        if there and len(asked):
            _, found = self._tree.query(unit_vectors(lat[asked], lon[asked]), k=np.arange(1, there + 1))
            found = self._rows[found]
            away = haversine_km(lat[asked, None], lon[asked, None], self._lat[found], self._lon[found])
            order = np.argsort(away, axis=1, kind="stable")
            rows[asked, :there] = np.take_along_axis(found, order, axis=1)
            distance[asked, :there] = np.take_along_axis(away, order, axis=1)
        return rows, distance

    def within(self, lat: ArrayLike, lon: ArrayLike, radius_km: float) -> list[np.ndarray]:
        """For each asked position the rows at most ``radius_km`` away, in row order."""
        lat, lon = np.atleast_1d(np.asarray(lat, float)), np.atleast_1d(np.asarray(lon, float))
        found: list[np.ndarray] = []
        for one_lat, one_lon in zip(lat, lon, strict=True):
            if not (np.isfinite(one_lat) and np.isfinite(one_lon)) or not len(self):
                found.append(np.zeros(0, int))
                continue
            chord = float(chord_of(radius_km)) * (1 + SLACK) + SLACK
            rows = self._rows[np.sort(self._tree.query_ball_point(unit_vectors(one_lat, one_lon), chord))
                              .astype(int)]
            away = haversine_km(one_lat, one_lon, self._lat[rows], self._lon[rows])
            found.append(rows[away <= radius_km])
        return found
