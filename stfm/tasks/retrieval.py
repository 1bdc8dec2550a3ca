"""Similar places: the nodes whose embeddings point the same way, to borrow a model or an expert's knowledge from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.stfm.forecaster import ForecastError
from terracast.stfm.tasks.embedder import standardised

TINY = 1e-12


@dataclass(frozen=True)
class Similar:
    """For each query the ``places`` (query, most), nearest first, and their ``likeness`` (-1 … 1)."""

    places: np.ndarray
    likeness: np.ndarray


def similar_places(embeddings: np.ndarray, queries: np.ndarray, most: int = 5) -> Similar:
    """The ``most`` nodes of ``embeddings`` (node, width) that are most like each of ``queries`` (indices of nodes).

    Cosine of standardised embeddings; a node is never its own neighbour. O(queries × nodes × width). Raises
    ``ForecastError`` where there are not that many others.

    >>> draws = np.random.default_rng(0)
    >>> embeddings = np.concatenate([draws.normal(place, 0.3, (4, 6)) for place in (-2, 2)])
    >>> sorted(similar_places(embeddings, np.array([0]), most=3).places[0].tolist())
    [1, 2, 3]
    """
    if not 1 <= most < len(embeddings):
        raise ForecastError(f"{most} places of {len(embeddings)}", where="similar places", remedy="ask for fewer",
                            expected="at least one, fewer than nodes")
    z = standardised(embeddings)
    z = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), TINY)
    likeness = z[queries] @ z.T
    likeness[np.arange(len(queries)), queries] = -np.inf
    places = np.argsort(-likeness, axis=1, kind="stable")[:, :most]
    return Similar(places, np.take_along_axis(likeness, places, axis=1))
