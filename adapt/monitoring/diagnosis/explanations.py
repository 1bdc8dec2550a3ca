"""What explains the last blocks of a node best: a level, a slow rise, another swing or another daily cycle.

Each is fitted by least squares from every block on at which it may have begun, in units of what the blocks before it
did (columns that move together count once), and also judged by the variance within the blocks. The least cost wins:
minus twice the log likelihood, and a price for each parameter that others do without.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

LOOK = 28  # blocks looked back at for when it began
SLOWEST = 4  # blocks: what takes at least so long to rise is a trend
PRICE = 3.0  # of a parameter: between Akaike's 2 and Schwarz's log of the number of blocks
LONELY = 24.0  # the price of noise that grows while the node follows its neighbours as ever: rare
WAVY = 0.7  # a constant move may add so much of itself as a daily cycle, in units of each hour's spread
FEWEST = 8  # blocks without which nothing can be told
FACTORS = np.array([0.1, 0.3, 0.5, 0.65, 0.75, 0.85, 1.15, 1.25, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0])  # of the swing
CALM, WILD = -3.0, 6.0  # deviations of the log variance within a block; beyond them it says no more
PRIOR = 5.0  # blocks that the noise from one block to the next is worth when the noise is learned
APART = 0.5  # share of what columns have in common that is not believed
SHRINK = 0.3  # share of the usual expected² that is added where the slope within one block is taken
TINY = 1e-9


@dataclass(frozen=True)
class Explanation:
    """``name`` is level, trend, gain, scale or cycle; it began with the block ``start`` and is of size ``amount``."""

    cost: float
    name: str
    start: int
    amount: float


@dataclass(frozen=True)
class Node:
    """A node's blocks: ``values`` (block, column) are its mean, its product with what the neighbours make one expect
    (in units of the latter) and its daily cycle, as far as they can be watched; ``level`` and ``gain`` (block, column)
    what a unit of each adds to them; ``waves`` the columns of the cycle. ``within`` (3, block): variances within the
    blocks of the local view and of the expected, and their covariance; ``single``: whether a block is one step."""

    values: np.ndarray
    level: np.ndarray
    gain: np.ndarray
    waves: tuple[int, ...]
    within: np.ndarray
    single: bool

    @classmethod
    def of(cls, moments: np.ndarray, cycle: np.ndarray) -> Node:
        """From moments (block, 5) without gaps and ``cycle`` (block, 2), NaN where no cycle is watched."""
        mean, expected, product, power, square = moments.T
        one, none = np.ones(len(mean)), np.zeros(len(mean))
        columns = [(mean, one, expected)]
        single = np.allclose(power, expected**2) and np.allclose(square, mean**2)
        if not single and power.any():
            unit = np.sqrt(power + SHRINK * power.mean())
            columns.append((product / unit, expected / unit, power / unit))
        waves: tuple[int, ...] = ()
        if np.isfinite(cycle).all():
            waves = (len(columns), len(columns) + 1)
            columns += [(cycle[:, 0], none, none), (cycle[:, 1], none, none)]
        values, level, gain = (np.stack(part, axis=1) for part in zip(*columns, strict=True))
        within = np.stack([np.maximum(square - mean**2, 1e-6), np.maximum(power - expected**2, 0.0),
                           product - mean * expected])
        return cls(values, level, gain, waves, within, single)

    def wave(self, column: int) -> np.ndarray:
        """What a unit of the cycle's ``column`` adds."""
        added = np.zeros(self.values.shape)
        added[:, column] = 1.0
        return added


def best(moments: np.ndarray, cycle: np.ndarray) -> Explanation:
    """The explanation with the least cost, of moments (block, 5) without gaps and cycle (block, 2).

    >>> draws = np.random.default_rng(0)
    >>> own = 0.3 * draws.normal(size=60) + np.repeat([0.0, 3.0], [50, 10])
    >>> moments = np.stack([own, 0 * own, 0 * own, 0 * own, own**2 + draws.chisquare(23, 60) / 24], axis=1)
    >>> found = best(moments, np.full((60, 2), np.nan))
    >>> found.name, found.start, bool(2 < found.amount < 4)
    ('level', 50, True)
    """
    node = Node.of(moments, cycle)
    steps = np.diff(node.values, axis=0), np.diff(np.log(node.within[0]))
    # At first the noise is what changes from one block to the next, then what the blocks before the change show.
    covariance = np.diag((steps[0] ** 2).mean(axis=0) / 2 + TINY)
    spread = max(float((steps[1] ** 2).mean() / 2), 0.0025)
    first = _least(node, covariance, spread)
    calm = max(first.start, 6)
    off = node.values[:calm] - node.values[:calm].mean(axis=0)
    learned = (off.T @ off + PRIOR * covariance) / (calm + PRIOR)
    learned = (1 - APART) * learned + APART * np.diag(np.diag(learned)) + TINY * np.eye(len(learned))
    inner = np.log(node.within[0, :calm])
    return _least(node, learned, float((((inner - inner.mean()) ** 2).sum() + PRIOR * spread) / (calm + PRIOR)))


def _least(node: Node, covariance: np.ndarray, spread: float) -> Explanation:
    """The cheapest explanation where the columns' noise has ``covariance``, and the log variance within ``spread``."""
    root = np.linalg.cholesky(np.linalg.inv(covariance))
    values = node.values @ root
    values = values - values.mean(axis=0)
    _, slow, starts = shapes_of(len(values))
    inside = Within.of(node, starts[~slow], spread)
    found = [*_moved(node, values, root, inside), *_swung(node, values, root, inside)]
    return min(found, key=lambda one: one.cost)


def _moved(node: Node, values: np.ndarray, root: np.ndarray, inside: Within) -> list[Explanation]:
    """The best level and trend, and the best cycle where one is watched."""
    shapes, slow, starts = shapes_of(len(values))
    which, total = starts - starts[0], float((values**2).sum())
    waves = [node.wave(column) @ root for column in node.waves]
    costs, amounts = np.full(len(shapes), np.inf), np.zeros(len(shapes))
    for added in ([], waves) if waves else ([],):
        fitted, localise = least_squares([node.level @ root, *added], shapes, values)
        fitted = fitted * shapes[:, -1:]  # what it has come to
        # A constant move is not constant in units of each hour's spread: it may add a cycle, and a variance within
        # the block.
        possible = (fitted[:, 1:] ** 2).sum(axis=1) <= (WAVY * fitted[:, 0]) ** 2
        cost = total - localise + inside.between(which, 0.0, np.log1p(fitted[:, 0] ** 2 / inside.usual[which]))
        cost = np.where(possible, cost + PRICE * (slow + len(added)), np.inf)
        costs, amounts = np.minimum(cost, costs), np.where(cost < costs, fitted[:, 0], amounts)
    found = [_cheapest(name, costs[of], starts[of], amounts[of])
             for name, of in (("level", ~slow), ("trend", slow)) if of.any()]
    if waves:
        began = starts[~slow]
        fitted, localise = least_squares(waves, shapes[~slow], values)
        power = (fitted**2).sum(axis=1)
        grown = np.log1p(power / 2 / inside.usual)
        cost = total - localise + inside.between(np.arange(len(began)), grown, grown) + PRICE
        # One day alone cannot tell another cycle from a day like no other.
        found.append(_cheapest("cycle", np.where(began < len(values) - 1, cost, np.inf), began, power**0.5))
    return found


def _swung(node: Node, values: np.ndarray, root: np.ndarray, inside: Within) -> list[Explanation]:
    """The best gain (the node follows its neighbours more or less, its own noise as ever) and the best scale
    (all about it is multiplied, or only its noise: what it does is less surprising)."""
    shapes, slow, starts = shapes_of(len(values))
    starts, every, total = starts[~slow], np.arange(int((~slow).sum())), float((values**2).sum())
    found = []
    if node.gain.any():
        fitted, localise = least_squares([node.gain @ root], shapes[~slow], values)
        grown = inside.grown(np.ones(1), fitted[:, 0])
        found.append(_cheapest("gain", total - localise + inside.between(every, grown, grown), starts, fitted[:, 0]))
    after, gain = len(values) - starts, node.gain @ root
    usual = (until(values, starts).T / starts).T  # means before each start
    before = until((values**2).sum(axis=1), starts) - starts * (usual**2).sum(axis=1)
    own = total - until((values**2).sum(axis=1), starts) - 2 * (since(values, starts) * usual).sum(axis=1)
    own = own + after * (usual**2).sum(axis=1)
    both = since((values * gain).sum(axis=1), starts) - (since(gain, starts) * usual).sum(axis=1)
    theirs = since((gain**2).sum(axis=1), starts)
    pairs = [(factor, factor - 1) for factor in FACTORS if gain.any()] + [(factor, 0.0) for factor in FACTORS]
    for factor, more in pairs:
        grown = inside.grown(factor**2, np.full(len(starts), more), factor)
        cost = before + (own - 2 * more * both + more**2 * theirs) / factor**2
        cost = cost + after * values.shape[1] * 2 * np.log(factor) + inside.between(every, grown, grown)
        cost = cost + (LONELY if gain.any() and not more else 0.0)
        found.append(_cheapest("scale", cost, starts, np.full(len(starts), factor - 1)))
    return found


def _cheapest(name: str, costs: np.ndarray, starts: np.ndarray, amounts: np.ndarray) -> Explanation:
    at = int(np.argmin(costs))
    return Explanation(float(costs[at]), name, int(starts[at]), float(amounts[at]))


@dataclass(frozen=True)
class Within:
    """What the log variance within blocks says of each start (start,): its cost where it changed by so much.

    ``usual`` (start,): the variance before; ``shared`` and ``theirs`` (start,): the covariance with the expected
    before, and the variance of the expected since; ``parts`` (4, start): sums from which the cost follows.
    """

    usual: np.ndarray
    shared: np.ndarray
    theirs: np.ndarray
    parts: np.ndarray
    deviation: float
    single: bool

    @classmethod
    def of(cls, node: Node, starts: np.ndarray, spread: float) -> Within:
        """Of a node's blocks and the blocks ``starts``; ``spread``: variance of the log variance in normal times."""
        local, expected, product = node.within
        log, deviation, after = np.log(local + 1e-3), spread**0.5, len(local) - starts
        off = np.clip((log - np.median(log[:max(int(starts[0]), FEWEST)])) / deviation, CALM, WILD)
        base = until(off, starts) / starts
        noise = until(off**2, starts) - starts * base**2 + since(off**2, starts)
        parts = np.stack([base, noise, since(off, starts), after])
        return cls(until(local, starts) / starts, until(product, starts) / starts, since(expected, starts) / after,
                   parts, deviation, node.single)

    def grown(self, factor: np.ndarray | float, gain: np.ndarray, both: float = 1.0) -> np.ndarray:
        """How much the log variance grows where the node's own is multiplied by ``factor`` and it follows the
        neighbours by ``gain`` more, ``both`` being the factor of what the two have in common."""
        share = (2 * gain * both * self.shared + gain**2 * self.theirs) / np.maximum(self.usual, TINY)
        return np.clip(np.log(np.maximum(factor + share, 0.02)), -3.0, 3.0)

    def between(self, which: np.ndarray, least: np.ndarray | float, most: np.ndarray | float) -> np.ndarray:
        """The cost at the starts number ``which`` where it changed by what fits best between ``least`` and ``most``."""
        if self.single:
            return np.zeros(len(which))
        base, noise, total, after = self.parts[:, which]
        level = base + np.clip((total / after - base) * self.deviation, least, most) / self.deviation
        return np.asarray(noise - 2 * level * total + after * level**2)


def least_squares(added: list[np.ndarray], shapes: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Amounts (shape, part) of each part of ``added`` (block, column), as strong as each of ``shapes`` (shape, block)
    says, that explain most of ``values`` (block, column) around their means; and how much, (shape,)."""
    moved = np.stack([shapes @ (one * values).sum(axis=1) for one in added], axis=1)
    means = [shapes @ one for one in added]
    gram = np.array([[shapes**2 @ (one * other).sum(axis=1) - (mean * others).sum(axis=1) / len(values)
                      for other, others in zip(added, means, strict=True)]
                     for one, mean in zip(added, means, strict=True)]).transpose(2, 0, 1)
    amounts = np.linalg.solve(gram + 1e-6 * np.eye(len(added)), moved[:, :, None])[:, :, 0]
    return amounts, (amounts * moved).sum(axis=1)


def until(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sums of ``values`` (block, …) before each of ``starts``, all of them above 0."""
    return np.asarray(np.cumsum(values, axis=0)[starts - 1])


def since(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sums of ``values`` (block, …) from each of ``starts`` on."""
    return np.asarray(values.sum(axis=0) - until(values, starts))


@lru_cache(maxsize=128)
def shapes_of(blocks: int, least: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All rises from 0 to 1 that begin within the last ``LOOK`` of ``blocks``, but not in the first ``least``, as
    (shape, block); whether each is slow; and the block with which it starts."""
    at, first = np.arange(blocks), max(blocks - LOOK, least)
    pairs = [(start, end) for start in range(first, blocks) for end in range(start + 1, blocks + SLOWEST + 1)
             if end == start + 1 or end >= start + SLOWEST]
    shapes = np.array([np.clip((at - start + 1) / (end - start), 0.0, 1.0) for start, end in pairs])
    return shapes, np.array([end > start + 1 for start, end in pairs]), np.array([start for start, _ in pairs])
