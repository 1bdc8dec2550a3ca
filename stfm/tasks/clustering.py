"""Clustering of nodes: groups of places that behave alike, by the embeddings of a frozen base."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.stfm.forecaster import ForecastError
from terracast.stfm.tasks.embedder import standardised

MOST = 10  # clusters tried
KEPT = 0.95  # share of the variance that the components keep


@dataclass(frozen=True)
class Clusters:
    """``labels`` (node,), the largest cluster first; ``silhouette`` in -1 … 1, how well apart they lie."""

    labels: np.ndarray
    silhouette: float

    @property
    def count(self) -> int:
        """How many clusters."""
        return int(self.labels.max()) + 1


def cluster(embeddings: np.ndarray, count: int | None = None, *, seed: int = 0) -> Clusters:
    """K-means on the main components of standardised embeddings (node, width).

    ``count`` None takes the number, 2 to 10, whose silhouette is best (Rousseeuw 1987). Raises ``ForecastError`` for
    fewer than three nodes. O(nodes² × components) for the silhouette.

    >>> draws = np.random.default_rng(0)
    >>> embeddings = np.concatenate([draws.normal(place, 0.3, (10, 5)) for place in (0, 3, 6)])
    >>> found = cluster(embeddings)
    >>> found.count, found.silhouette > 0.7
    (3, True)
    """
    if len(embeddings) < 3 or not np.isfinite(embeddings).all():
        raise ForecastError(f"{len(embeddings)} nodes", where="clustering", remedy="give more nodes",
                            expected="at least three with finite embeddings")
    if count is not None and not 2 <= count < len(embeddings):
        raise ForecastError(f"{count} clusters of {len(embeddings)} nodes", where="clustering",
                            expected="2 or more, fewer than nodes", remedy="ask for another number")
    from sklearn.decomposition import PCA  # scikit-learn takes a second, which only those who cluster need

    z = standardised(embeddings)
    points = PCA(KEPT, svd_solver="full").fit_transform(z) if z.any() else z
    tried = [count] if count is not None else range(2, min(MOST, len(points) - 1) + 1)
    found = [_kmeans(points, one, seed) for one in tried]
    return max(found, key=lambda one: one.silhouette)


def _kmeans(points: np.ndarray, count: int, seed: int) -> Clusters:
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    labels = KMeans(count, n_init=8, random_state=seed).fit_predict(points)
    sizes = np.bincount(labels, minlength=count)
    order = np.argsort(-sizes, kind="stable")
    place = np.empty(count, int)
    place[order] = np.arange(count)
    apart = float(silhouette_score(points, labels)) if len(np.unique(labels)) > 1 else -1.0
    return Clusters(place[labels], apart)
