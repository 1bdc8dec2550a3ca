"""Where the nodes of a world lie, and how alike near ones are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.stats.great_circle import KM_PER_DEGREE


@dataclass(frozen=True)
class Places:
    """Nodes on a plane: ``xy`` (node, 2) in km around the centre (``lat``, ``lon``) in degrees."""

    xy: np.ndarray
    lat: float
    lon: float

    @property
    def count(self) -> int:
        """Number of nodes."""
        return len(self.xy)

    @property
    def size(self) -> float:
        """Typical distance between nodes, km."""
        return float(np.sqrt(((self.xy - self.xy.mean(0)) ** 2).sum(1).mean()) + 1e-6)

    def degrees(self, xy: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Latitudes and longitudes of positions in km (..., 2), the nodes' own if none are given."""
        xy = self.xy if xy is None else xy
        lat = np.clip(self.lat + xy[..., 1] / KM_PER_DEGREE, -89.0, 89.0)
        lon = self.lon + xy[..., 0] / KM_PER_DEGREE / np.cos(np.radians(self.lat))
        return lat, (lon + 180.0) % 360.0 - 180.0

    @property
    def distances(self) -> np.ndarray:
        """Kilometres between nodes, (node, node)."""
        return np.asarray(np.linalg.norm(self.xy[:, None] - self.xy[None], axis=2))

    def mixing(self, rng: np.random.Generator, reach: float | None = None, own: float | None = None) -> np.ndarray:
        """A matrix (node, node) that turns independent noises into one with covariance exp(-distance / reach).

        ``own`` is the share of variance that a node has for itself; both are drawn when not given, so that some
        panels move as one and others hardly know each other. Rows have norm 1.

        >>> places = Places(np.array([[0.0, 0.0], [1.0, 0.0]]), 50.0, 8.0)
        >>> mixing = places.mixing(np.random.default_rng(0), reach=1.0, own=0.0)
        >>> bool(np.isclose((mixing @ mixing.T)[0, 1], np.exp(-1)))
        True
        """
        reach = self.size * float(np.exp(rng.uniform(-1.5, 2.5))) if reach is None else reach
        own = float(rng.beta(0.7, 2.0)) if own is None else own
        covariance = (1 - own) * np.exp(-self.distances / reach) + (own + 1e-9) * np.eye(self.count)
        factor = np.linalg.cholesky(covariance)
        return np.asarray(factor / np.linalg.norm(factor, axis=1, keepdims=True))

    def nearest_graph(self, near: int) -> np.ndarray:
        """Weights exp(-(distance / scale)²) to the ``near`` nearest nodes, 0 elsewhere and on the diagonal."""
        distances = self.distances + np.where(np.eye(self.count, dtype=bool), np.inf, 0.0)
        near = min(near, self.count - 1)
        if near < 1:
            return np.zeros((self.count, self.count))
        limit = np.sort(distances, axis=1)[:, near - 1:near]
        scale = float(limit.mean()) + 1e-9
        return np.asarray(np.where(distances <= limit, np.exp(-((distances / scale) ** 2)), 0.0))


def draw_places(rng: np.random.Generator, most: int) -> Places:
    """Up to ``most`` nodes: scattered, in clusters, along a line or on a lattice, over 1 to 2000 km.

    >>> draw_places(np.random.default_rng(1), 8).count <= 8
    True
    """
    count = most if rng.random() < 0.6 else int(rng.integers(1, most + 1))
    form = rng.random()
    if form < 0.5:
        xy = rng.uniform(-1, 1, (count, 2))
    elif form < 0.7:
        centres = rng.uniform(-1, 1, (3, 2))
        xy = centres[rng.integers(0, 3, count)] + 0.12 * rng.standard_normal((count, 2))
    elif form < 0.85:
        along = np.sort(rng.uniform(-1, 1, count))
        xy = np.stack([along, 0.1 * rng.standard_normal(count) + 0.3 * np.sin(2 * along)], 1)
    else:
        side = int(np.ceil(np.sqrt(count)))
        xy = np.stack([np.arange(count) % side, np.arange(count) // side], 1) / side * 2.0 - 1.0
    size = float(np.exp(rng.uniform(np.log(1.0), np.log(1000.0))))
    return Places(size * xy, float(rng.uniform(-60, 65)), float(rng.uniform(-180, 180)))
