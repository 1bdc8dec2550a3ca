"""What the monitor looks at: each node by itself, each node against its neighbours, and all nodes together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from terracast.adapt.monitoring.statistics.gain import QUIET, factors, mean_of, units_of
from terracast.adapt.monitoring.statistics.reference_scale import ReferenceScale
from terracast.adapt.monitoring.statistics.volatility import Volatility
from terracast.streams.stateful import Stateful

RECENT_BLOCKS = 70  # that are kept, and that ``Detector.update`` is handed at most
BURST = 3.0  # local deviations: what one hour may say; a burst of a few hours is no change that lasts
CALM, FEWEST_NODES = 0.2, 5  # square of the roughness that even the calmest block has; nodes that make a network
WORST = 2.5  # square of the roughness beyond which a day is not believed to say less
NORMAL = 0.8  # mean size of a normal variable, in deviations
ALIKE = 0.9  # share of the nodes that must jump the same way within one step: instruments do, weather takes its time
# The block streams of a node, in the order in which ``NodeStatistics.streams`` lays them out, all nodes of one after
# another.
OF_NODES = ("own level", "own scale", "local level", "swing", "cycle cosine", "cycle sine")
OF_ALL = ("common level", "common scale", "common jump")
KINDS = OF_NODES + OF_ALL


@dataclass(frozen=True)
class Blocks:
    """``streams`` (block, stream) of the blocks ``numbers``, and the ``moments`` (block, 7, node) that tell what
    type of change there was: means of local, expected, local × expected, expected² and local² (without neighbours: own,
    and an expected of nothing), and the daily cycle of local; nothing is clipped in them."""

    numbers: np.ndarray
    streams: np.ndarray
    moments: np.ndarray


@dataclass(frozen=True)
class NodeStatistics(Stateful):
    """Turns residuals (time, node) into what is watched, frozen at ``fit``: ``KINDS``, a number a block each.

    *own* = z of the node; *local* = z minus what its neighbours' z make one expect (ridge regression on the best
    correlated nodes: blind to what is common, sharp for one drifting sensor); *common* = median over the nodes, where
    at least half of those known report. Of each the mean over a block (level) and the log of the mean distance from it
    (scale; of a node, minus the same of its neighbours, because days are calm or stormy for all).
    The local level is of the local view clipped to ± ``BURST``, so that a few wild hours do not look like a day.
    In it calm hours count for more (``adapt.monitoring.statistics.volatility``), and days by how rough they are for
    most nodes, squared: rough days say as little about a level as rough hours.
    *swing*: by what factor a node swings more than its neighbours make one expect, from three estimates at once
    (``adapt.monitoring.statistics.gain``), rough hours made as small as calm ones. *cycle*: the local view (own, where
    there are no neighbours) times the cosine and sine of the hour of day, in blocks of whole days. *jump*: the
    largest step from one instant to the next that ``ALIKE`` of all nodes made the same way.

    >>> draws = np.random.default_rng(0)
    >>> views = NodeStatistics.fit(draws.normal(size=(500, 1)) + 0.1 * draws.normal(size=(500, 4)))
    >>> own, local = (one[0, 0] for one in views.of(np.array([[2.0, 0.0, 0.0, 0.0]]))[:2])
    >>> bool(own > 1.5 and abs(local) > 1.5)
    True
    """

    reference: ReferenceScale
    weights: np.ndarray
    power: np.ndarray  # mean (expected / roughness)² of each node
    usual: np.ndarray  # log mean size of own and of local / roughness (2, node)
    burst: np.ndarray  # where local / roughness is clipped, of each node
    units: np.ndarray  # deviations of a block's estimates of the swing (3, node)
    roughness: Volatility

    @classmethod
    def fit(cls, residuals: np.ndarray, places: tuple[np.ndarray, np.ndarray, int] | None = None, neighbours: int = 8,
            ridge: float = 1e-2) -> NodeStatistics:
        """ReferenceScale scale and neighbour weights from ``residuals`` (time, node); O(time × node²). ``places``:
        block (time,), step in it (time,) and steps of a block, from which the units of the swing are learned."""
        reference = ReferenceScale.fit(residuals)
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
        local, roughness, rough = z - expected, Volatility.even(nodes), np.ones(1)
        if places is not None and nodes > 1:
            roughness = Volatility.fit(local, expected, *places[1:])
            rough = roughness.of(expected, places[1])
        power = np.maximum(((expected / rough)**2).mean(axis=0), 1e-3)
        usual = np.log(np.stack([np.abs(z).mean(axis=0), ((local / rough)**2).mean(axis=0)**0.5]) + QUIET)
        burst = BURST * ReferenceScale.fit(local / rough).scale
        views = cls(reference, weights, power, usual, burst, np.ones((3, nodes)), roughness)
        if places is None or nodes == 1:
            return views
        block, steps, size = places
        numbers, at = np.unique(block, return_inverse=True)
        grids = (_grid(one / rough, at, steps, len(numbers), size) for one in views.of(residuals)[1:3])
        return replace(views, units=units_of(views._factors(*grids)))

    @classmethod
    def crossed(cls, residuals: np.ndarray, block: np.ndarray, steps: np.ndarray, size: int, daily: bool,
                folds: int = 5) -> Blocks:
        """The blocks of a reference, each run of blocks seen by views that were fitted on the others."""
        numbers = np.unique(block)
        parts = []
        for out in np.array_split(numbers, min(folds, len(numbers))):
            held = np.isin(block, out)
            kept = ~held if (~held).any() else held
            views = cls.fit(residuals[kept], (block[kept], steps[kept], size))
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
            known = int(np.isfinite(self.reference.location).sum())  # a node of which nothing was is not waited for
            enough = (2 * np.isfinite(z).sum(axis=1) >= known) & (known > 1)
            if enough.any():
                median = np.median if np.isfinite(z).all() else np.nanmedian  # ten times slower for many nodes
                common[enough, 0] = median(z[enough], axis=1)
        return z, local, expected, common

    def blocks(self, residuals: np.ndarray, block: np.ndarray, steps: np.ndarray, size: int, daily: bool) -> Blocks:
        """The blocks of ``residuals`` (time, node).

        ``block`` (time,): which block a row is of; ``steps`` (time,): which of its ``size`` steps; ``daily``: whether
        a block is a day of several steps. A stream with less than half a block of values is NaN: no evidence.
        """
        numbers, at = np.unique(block, return_inverse=True)
        seen = self.of(residuals)
        own, local, expected, common = (_grid(one, at, steps, len(numbers), size) for one in seen)
        rough = _grid(self.roughness.of(seen[2], steps), at, steps, len(numbers), size)
        (own_level, own_scale), (common_level, common_scale) = (_level_and_scale(one) for one in (own, common))
        left, given = (local, expected) if own.shape[2] > 1 else (own, np.where(np.isfinite(own), 0.0, np.nan))
        moments = [mean_of(one) for one in (left, given, left * given, given**2, left**2)]
        calm = np.clip(left, -self.burst, self.burst)
        none = np.full(own_level.shape, np.nan)
        angle = 2 * np.pi * np.arange(size)[None, :, None] / size
        waves = (np.cos(angle), np.sin(angle))
        cycle = [2 * mean_of(calm * wave) if daily else none for wave in waves]
        moments += [2 * mean_of(left * wave) if daily else none for wave in waves]
        many = own.shape[2] > 1
        of_nodes = (own_level, self._against(own_scale, self.usual[0]),
                    self._level(local, rough) if many else none,
                    self._gain(local / rough, expected / rough) if many else none, *cycle)
        jump = common_jump(self.reference.standardise(residuals), block * size + steps, at, len(numbers))
        return Blocks(numbers, np.concatenate([*of_nodes, common_level, common_scale, jump], axis=1),
                      np.stack(moments, axis=1))

    def _level(self, local: np.ndarray, rough: np.ndarray) -> np.ndarray:
        """The mean of each block (block, node) weighted by 1 / ``rough``² (block, step, node), rough days divided."""
        burst = self.burst * rough
        weight = np.where(np.isfinite(local), rough**-2.0, np.nan)
        level = mean_of(weight * np.clip(local, -burst, burst)) / mean_of(weight)
        return np.asarray(level / storminess(local, self.burst))

    def _factors(self, local: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Three estimates (3, block, node) of how much more than usual each node swings, of (block, step, node)."""
        slope, inner, size = factors(local, expected, self.power, self.burst)
        return np.stack([slope, inner, self._against(size, self.usual[1])])

    def _gain(self, local: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """The mean of the estimates, each in units of its own deviation."""
        return np.asarray((self._factors(local, expected) / self.units[:, None]).mean(axis=0))

    def _against(self, scale: np.ndarray, usual: np.ndarray) -> np.ndarray:
        """Scales (block, node) minus what the scales of the neighbours that report are above their usual."""
        pull, over = np.abs(self.weights), scale - usual
        seen = np.isfinite(over)
        total = seen @ pull.T
        return scale - np.where(total > 0, np.where(seen, over, 0.0) @ pull.T / np.maximum(total, 1e-12), 0.0)


def storminess(local: np.ndarray, burst: np.ndarray) -> np.ndarray:
    """How much rougher than usual each block is for most nodes, squared, (block, 1), at least a little: on rough
    days a node strays from its neighbours without having changed, but large changes must show on them too. 1 where
    one node counts for much."""
    nodes = local.shape[2]
    if nodes < FEWEST_NODES:
        return np.ones((len(local), 1))
    rough = mean_of(np.abs(local)) * BURST / (NORMAL * burst)
    middle = np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else 1.0 for row in rough])
    return np.minimum((CALM + middle**2) / (CALM + 1.0), WORST)[:, None]


def common_jump(z: np.ndarray, place: np.ndarray, at: np.ndarray, blocks: int) -> np.ndarray:
    """The largest common jump of ``z`` (time, node) in each block, (block, 1); NaN for fewer than three nodes."""
    nodes = z.shape[1]
    if nodes < 3:
        return np.full((blocks, 1), np.nan)
    moved = np.full(z.shape, np.nan)
    moved[1:] = np.where((np.diff(place) == 1)[:, None], np.diff(z, axis=0), np.nan)
    moved = np.sort(moved, axis=1)
    seen = np.isfinite(moved).sum(axis=1)
    few = np.floor((1 - ALIKE) * np.maximum(seen - 1, 0)).astype(int)
    low, high = (np.take_along_axis(moved, one[:, None], axis=1)[:, 0]
                 for one in (few, np.maximum(seen - 1, 0) - few))
    common = np.where(2 * seen < nodes, np.nan, np.where(low > 0, low, np.where(high < 0, high, 0.0)))
    up, down, count = np.zeros(blocks), np.zeros(blocks), np.zeros(blocks)
    np.maximum.at(up, at, np.nan_to_num(common))
    np.minimum.at(down, at, np.nan_to_num(common))
    np.add.at(count, at, np.isfinite(common))
    return np.where(count > 0, np.where(up > -down, up, down), np.nan)[:, None]


def _grid(rows: np.ndarray, at: np.ndarray, steps: np.ndarray, blocks: int, size: int) -> np.ndarray:
    """Rows (time, view) laid out as (block, step, view), NaN where there is none."""
    grid = np.full((blocks, size, rows.shape[1]), np.nan)
    grid[at, steps] = rows
    return grid


def _level_and_scale(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and log mean distance from it, (block, view); a block of one step is measured from normal instead."""
    level = mean_of(grid)
    middle = level[:, None] if grid.shape[1] > 1 else 0.0
    return level, np.log(mean_of(np.abs(grid - middle)) + QUIET)


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
