"""Every node in units of its own: centre and width per node, and the asinh that tames heavy tails.

A river gauge and its tributary, or a kerb and a park, differ a hundredfold; a shared model must not care.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.stats.robust_scale import interdecile_scale
from terracast.stfm.forecaster import ForecastError

ENOUGH = 24  # known values from which a new node's own width is trusted
LARGEST = 30.0  # |z| beyond this is refused: sinh(30) is five million million widths


@dataclass(frozen=True)
class Scale:
    """Centre and width of each node, shape (node,); z = asinh((value - centre) / width)."""

    centre: np.ndarray
    width: np.ndarray

    def into(self, values: np.ndarray) -> np.ndarray:
        """Values (…, node) to z.

        >>> Scale(np.array([10.0]), np.array([2.0])).into(np.array([[10.0], [12.0]])).round(3).tolist()
        [[0.0], [0.881]]
        """
        z: np.ndarray = np.arcsinh((values - self.centre) / self.width)
        return z

    def back(self, z: np.ndarray) -> np.ndarray:
        """z (…, node) to values: the inverse of ``into``."""
        values: np.ndarray = np.sinh(np.clip(z, -LARGEST, LARGEST)) * self.width + self.centre
        return values


def measure(values: np.ndarray) -> Scale:
    """Centre and width of the columns of ``values`` (time, node); NaN where a column says nothing about it.

    Centre is the median; width is the 10-90 % range of a normal's sigma, the standard deviation where that is 0
    (series that are mostly one value), NaN where the column is constant. O(values log values).
    """
    with np.errstate(all="ignore"):
        known = np.isfinite(values)
        empty = ~known.any(axis=0)
        filled = np.where(empty, 0.0, values)
        centre, width = interdecile_scale(filled, axis=0)
        width = np.where(width > 0, width, np.nanstd(filled, axis=0))
        tiny = 1e-9 * np.maximum(np.abs(centre), 1e-3)
    return Scale(np.where(empty, np.nan, centre), np.where(empty | (width <= tiny), np.nan, width))


def completed(scale: Scale, known: np.ndarray, spare: float) -> Scale:
    """Fill what single nodes do not tell from the network.

    ``known``: number of known values per node; ``spare``: a width to fall back on where no node has one. A node
    with few values takes at least the network's typical width, one without any its centre and the spread of centres
    too (honest: it may be like any node); a node constant for long takes a tenth of the typical width.
    """
    trusted = np.isfinite(scale.width) & (known >= ENOUGH)
    typical = float(np.median(scale.width[trusted])) if trusted.any() else spare
    centre, width = scale.centre.copy(), scale.width.copy()
    few = known < ENOUGH
    width = np.where(few, np.fmax(typical, width), np.where(np.isfinite(width), width, typical / 10))
    empty = ~np.isfinite(centre)
    if empty.any() and not empty.all():
        others = centre[~empty]
        centre[empty] = np.median(others)
        width[empty] = np.hypot(typical, np.std(others))
    return Scale(centre, width)


@dataclass(frozen=True)
class Scales:
    """The scales a model was trained with, by node name; unseen nodes are measured on their own context."""

    by_node: dict[str, tuple[float, float]]
    typical: float

    @classmethod
    def measured(cls, values: np.ndarray, nodes: np.ndarray, target: str) -> Scales:
        """Measure the training panel: ``values`` (time, node)."""
        found = measure(values)
        if not np.isfinite(found.centre).any():
            raise ForecastError("nothing to learn from: every value is missing", where=target,
                                expected="known values in the panel", remedy="check the source or the time span")
        known = np.isfinite(values).sum(axis=0)
        widths = found.width[np.isfinite(found.width)]
        spare = max(float(np.abs(found.centre[np.isfinite(found.centre)]).max()) * 1e-3, 1e-3)
        typical = float(np.median(widths)) if len(widths) else spare
        full = completed(found, known, typical)
        names = [str(node) for node in nodes]
        pairs = zip(full.centre.tolist(), full.width.tolist(), strict=True)
        return cls({name: pair for name, pair, count in zip(names, pairs, known, strict=True) if count}, typical)

    def constant(self, nodes: np.ndarray) -> np.ndarray:
        """Which of ``nodes`` never varied in training, bool (node,): ``completed`` gave them a tenth of the typical
        width."""
        widths = np.array([self.by_node.get(name, (0.0, 0.0))[1] for name in nodes.astype(str).tolist()])
        return np.asarray(widths == self.typical / 10)

    def joined(self, other: Scales) -> Scales:
        """These scales and, for nodes not among them, those of ``other``."""
        return Scales({**other.by_node, **self.by_node}, self.typical)

    def of(self, nodes: np.ndarray, values: np.ndarray, target: str) -> Scale:
        """The scale of each of ``nodes``; ``values`` (time, node) is what their context knows."""
        held = [self.by_node.get(name) for name in nodes.astype(str).tolist()]
        unseen = np.array([pair is None for pair in held])
        if not unseen.any():
            pairs = np.array(held, dtype="float64")
            return Scale(pairs[:, 0], pairs[:, 1])
        found = measure(values)
        known = np.isfinite(values).sum(axis=0)
        for index, pair in enumerate(held):
            if pair is not None:
                found.centre[index], found.width[index] = pair
                known[index] = ENOUGH
        if not np.isfinite(found.centre).any():
            raise ForecastError("no node of the context is known", where=f"{target} at {nodes[0]}",
                                expected="history, or nodes seen in training",
                                remedy="wait for values, or leave nodes out")
        return completed(found, known, self.typical)
