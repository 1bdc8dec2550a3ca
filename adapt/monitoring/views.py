"""What the monitor looks at: each node by itself, each node against its neighbours, and all nodes together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from adapt.monitoring.reference import Reference

QUIET = 0.05  # added before the logarithm, so that a stuck stream has a scale too
SHRINK = 0.3  # share of the usual expected² that is added where the slope within one block is taken
BURST = 3.0  # local deviations: what one hour may say; a burst of a few hours is no change that lasts
# The block streams of a node, in the order in which ``Views.streams`` lays them out, all nodes of one after another.
OF_NODES = ("own level", "own scale", "local level", "local scale", "local gain", "cycle cosine", "cycle sine")
OF_ALL = ("common level", "common scale")
KINDS = OF_NODES + OF_ALL


@dataclass(frozen=True)
class Blocks:
    """``streams`` (block, stream) of the blocks ``numbers``, and the ``moments`` (block, 7, node) that tell what
    sort of change there was: means of local, expected, local × expected, expected² and local² (without neighbours: own,
    and an expected of nothing), and the daily cycle of local; nothing is clipped in them."""

    numbers: np.ndarray
    streams: np.ndarray
    moments: np.ndarray


@dataclass(frozen=True)
class Views:
    """Turns residuals (time, node) into what is watched, frozen at ``fit``: ``KINDS``, a number a block each.

    *own* = z of the node; *local* = z minus what its neighbours' z make one expect (ridge regression on the best
    correlated nodes: blind to what is common, sharp for one drifting sensor); *common* = median over the nodes, where
    at least half report. Of each the mean over a block (level) and the log of the mean distance from it (scale; of a
    node, minus the same of its neighbours, because days are calm or stormy for all).
    Local level and gain are of the local view clipped to ± ``BURST``, so that a few wild hours do not look like a day.
    *gain*: the slope of local on expected within the block, shrunk where the neighbours hardly move: +0.3 where a
    node swings 1.3 times as far as its neighbours make one expect, -1 where it stands still. *cycle*: the local view
    (own, where there are no neighbours) times the cosine and sine of the hour of day, in blocks of whole days.

    >>> draws = np.random.default_rng(0)
    >>> views = Views.fit(draws.normal(size=(500, 1)) + 0.1 * draws.normal(size=(500, 4)))
    >>> own, local = (one[0, 0] for one in views.of(np.array([[2.0, 0.0, 0.0, 0.0]]))[:2])
    >>> bool(own > 1.5 and abs(local) > 1.5)
    True
    """

    reference: Reference
    weights: np.ndarray
    power: np.ndarray  # mean expected² of each node
    usual: np.ndarray  # log mean size of own and of local (2, node)
    burst: np.ndarray  # where local is clipped, of each node

    @classmethod
    def fit(cls, residuals: np.ndarray, neighbours: int = 8, ridge: float = 1e-2) -> Views:
        """Reference scale and neighbour weights from ``residuals`` (time, node); O(time × node²)."""
        reference = Reference.fit(residuals)
        z = _filled(reference.standardise(residuals))
        nodes, count = z.shape[1], min(neighbours, z.shape[1] - 1)
        products = z.T @ z / len(z)
        deviation = np.sqrt(np.maximum(np.diag(products), 1e-12))
        alike = products / np.outer(deviation, deviation) - 10 * np.eye(nodes)
        weights = np.zeros((nodes, nodes))
        for node in range(nodes if count else 0):
            best = np.argsort(-alike[node], kind="stable")[:count]
            gram = products[np.ix_(best, best)] + ridge * np.eye(count)
            weights[node, best] = np.linalg.solve(gram, products[best, node])
        expected = z @ weights.T
        power = np.maximum((expected**2).mean(axis=0), 1e-3)
        usual = np.log(np.stack([np.abs(z).mean(axis=0), np.abs(z - expected).mean(axis=0)]) + QUIET)
        return cls(reference, weights, power, usual, BURST * Reference.fit(z - expected).scale)

    @classmethod
    def crossed(cls, residuals: np.ndarray, block: np.ndarray, steps: np.ndarray, size: int, daily: bool,
                folds: int = 5) -> Blocks:
        """The blocks of a reference, each run of blocks seen by views that were fitted on the others."""
        numbers = np.unique(block)
        parts = []
        for out in np.array_split(numbers, min(folds, len(numbers))):
            held = np.isin(block, out)
            views = cls.fit(residuals[~held]) if (~held).any() else cls.fit(residuals)
            parts.append(views.blocks(residuals[held], block[held], steps[held], size, daily))
        return Blocks(numbers, np.concatenate([one.streams for one in parts]),
                      np.concatenate([one.moments for one in parts]))

    @property
    def kinds(self) -> tuple[np.ndarray, np.ndarray]:
        """The kind of each stream, as a number in ``KINDS``, and its place: the node, or the number of nodes."""
        nodes = len(self.weights)
        kind = np.repeat(np.arange(len(OF_NODES)), nodes)
        place = np.tile(np.arange(nodes), len(OF_NODES))
        return (np.append(kind, len(OF_NODES) + np.arange(len(OF_ALL))),
                np.append(place, np.full(len(OF_ALL), nodes)))

    def of(self, residuals: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Own, local, expected (time, node) and common (time, 1) of ``residuals`` (time, node); NaN: no report."""
        z = self.reference.standardise(residuals)
        local, common = np.full(z.shape, np.nan), np.full((len(z), 1), np.nan)
        # A missing neighbour is taken to do what all do, so that one gap does not silence five nodes.
        expected = _filled(z) @ self.weights.T
        if z.shape[1] > 1:
            local = z - expected
            enough = 2 * np.isfinite(z).sum(axis=1) >= z.shape[1]
            if enough.any():
                common[enough, 0] = np.nanmedian(z[enough], axis=1)
        return z, local, expected, common

    def blocks(self, residuals: np.ndarray, block: np.ndarray, steps: np.ndarray, size: int, daily: bool) -> Blocks:
        """The blocks of ``residuals`` (time, node).

        ``block`` (time,): which block a row is of; ``steps`` (time,): which of its ``size`` steps; ``daily``: whether
        a block is a day of several steps. A stream with less than half a block of values is NaN: no evidence.
        """
        numbers, at = np.unique(block, return_inverse=True)
        own, local, expected, common = (_grid(one, at, steps, len(numbers), size) for one in self.of(residuals))
        level, scale = zip(*(_level_and_scale(one) for one in (own, local, common)), strict=True)
        scale = (self._against(scale[0], self.usual[0]), self._against(scale[1], self.usual[1]), scale[2])
        left, given = (local, expected) if own.shape[2] > 1 else (own, np.where(np.isfinite(own), 0.0, np.nan))
        moments = [_mean(one) for one in (left, given, left * given, given**2, left**2)]
        calm = np.clip(left, -self.burst, self.burst)
        gain = _mean(calm * given) / (moments[3] + SHRINK * self.power)
        none = np.full(level[0].shape, np.nan)
        angle = 2 * np.pi * np.arange(size)[None, :, None] / size
        waves = (np.cos(angle), np.sin(angle))
        cycle = [2 * _mean(calm * wave) if daily else none for wave in waves]
        moments += [2 * _mean(left * wave) if daily else none for wave in waves]
        local_level = _mean(calm) if own.shape[2] > 1 else none
        streams = np.concatenate([level[0], scale[0], local_level, scale[1], gain, *cycle, level[2], scale[2]], axis=1)
        return Blocks(numbers, streams, np.stack(moments, axis=1))

    def _against(self, scale: np.ndarray, usual: np.ndarray) -> np.ndarray:
        """Scales (block, node) minus what the scales of the neighbours that report are above their usual."""
        pull, over = np.abs(self.weights), scale - usual
        seen = np.isfinite(over)
        total = seen @ pull.T
        return scale - np.where(total > 0, np.where(seen, over, 0.0) @ pull.T / np.maximum(total, 1e-12), 0.0)

    def state(self) -> dict[str, object]:
        """Arrays from which ``restore`` rebuilds the views."""
        return {"reference": self.reference.state(), "weights": self.weights.copy(), "power": self.power.copy(),
                "usual": self.usual.copy(), "burst": self.burst.copy()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Views:
        """What ``state`` described."""
        return cls(Reference.restore(state["reference"]), np.array(state["weights"], float),
                   np.array(state["power"], float), np.array(state["usual"], float),
                   np.array(state["burst"], float))


def _grid(rows: np.ndarray, at: np.ndarray, steps: np.ndarray, blocks: int, size: int) -> np.ndarray:
    """Rows (time, view) laid out as (block, step, view), NaN where there is none."""
    grid = np.full((blocks, size, rows.shape[1]), np.nan)
    grid[at, steps] = rows
    return grid


def _mean(grid: np.ndarray) -> np.ndarray:
    """Mean over the steps of (block, step, view); NaN where less than half of them were seen."""
    seen = np.isfinite(grid)
    count = seen.sum(axis=1)
    total = np.where(seen, grid, 0.0).sum(axis=1)
    return np.where(2 * count >= grid.shape[1], total / np.maximum(count, 1), np.nan)


def _level_and_scale(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and log mean distance from it, (block, view); a block of one step is measured from normal instead."""
    level = _mean(grid)
    middle = level[:, None] if grid.shape[1] > 1 else 0.0
    return level, np.log(_mean(np.abs(grid - middle)) + QUIET)


def _filled(z: np.ndarray) -> np.ndarray:
    """Gaps filled by the median of the nodes that report; 0 (normal) where none does."""
    seen = np.isfinite(z)
    if seen.all():
        return z
    some = seen.any(axis=1)
    middle = np.zeros(len(z))
    if some.any():
        middle[some] = np.nanmedian(z[some], axis=1)
    return np.where(seen, z, middle[:, None])
