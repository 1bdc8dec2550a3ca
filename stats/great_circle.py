"""Distances on the sphere (mean Earth radius); degrees in, kilometres out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

EARTH_RADIUS_KM = 6371.0088  # mean radius R1 of WGS 84 (Moritz 2000)
KM_PER_DEGREE = float(np.pi / 180 * EARTH_RADIUS_KM)  # of latitude
Array = np.ndarray


def haversine_km(lat: ArrayLike, lon: ArrayLike, other_lat: ArrayLike, other_lon: ArrayLike) -> Array:
    """Great-circle distance in km; arrays broadcast; exact across the date line and at the poles.

    >>> haversine_km(0.0, 179.5, 0.0, -179.5).round(2)
    np.float64(111.2)
    """
    phi, other_phi = np.deg2rad(lat), np.deg2rad(other_lat)
    half_lat = (other_phi - phi) / 2
    half_lon = (np.deg2rad(other_lon) - np.deg2rad(lon)) / 2
    chord = np.sin(half_lat) ** 2 + np.cos(phi) * np.cos(other_phi) * np.sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(chord, 0.0, 1.0)))


def unit_vectors(lat: ArrayLike, lon: ArrayLike) -> Array:
    """Points on the unit sphere, shape (..., 3).

    >>> unit_vectors(90.0, 123.0).round(12).tolist()
    [-0.0, 0.0, 1.0]
    """
    phi, lamda = np.deg2rad(np.asarray(lat, float)), np.deg2rad(np.asarray(lon, float))
    return np.stack([np.cos(phi) * np.cos(lamda), np.cos(phi) * np.sin(lamda), np.sin(phi)], axis=-1)


def chord_of(distance_km: ArrayLike) -> Array:
    """The straight line through the unit sphere that belongs to a great-circle distance (at most half round).

    >>> float(chord_of(np.pi * EARTH_RADIUS_KM))
    2.0
    """
    return 2 * np.sin(np.clip(np.asarray(distance_km) / EARTH_RADIUS_KM, 0.0, np.pi) / 2)


def positions_between(start: Array, end: Array, share: Array) -> tuple[Array, Array]:
    """Latitude and longitude at a share of the great circle between rows (lat, lon) of ``start`` and ``end``.

    >>> lat, lon = positions_between(np.array([[0.0, 179.0]]), np.array([[0.0, -179.0]]), np.array([0.75]))
    >>> lat.round(6).tolist(), lon.round(6).tolist()
    ([0.0], [-179.5])
    """
    first, last = unit_vectors(start[:, 0], start[:, 1]), unit_vectors(end[:, 0], end[:, 1])
    angle = haversine_km(start[:, 0], start[:, 1], end[:, 0], end[:, 1]) / EARTH_RADIUS_KM
    sine = np.where(angle > 1e-9, np.sin(angle), 1.0)
    near = np.where(angle > 1e-9, np.sin((1 - share) * angle) / sine, 1 - share)
    far = np.where(angle > 1e-9, np.sin(share * angle) / sine, share)
    x, y, z = (near[:, None] * first + far[:, None] * last).T
    return np.rad2deg(np.arctan2(z, np.hypot(x, y))), np.rad2deg(np.arctan2(y, x))
