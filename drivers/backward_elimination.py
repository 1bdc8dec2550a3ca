"""Backward elimination: of a set of series that has been shown to pay together, who adds to the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from terracast.causal.graph.graph import Series
from terracast.drivers.paired_e_process import block_length

SeriesLosses = Callable[[tuple[Series, ...]], np.ndarray]
"""Losses (n,) of forecasts that may read these series and no others."""


@dataclass(frozen=True)
class MarginalGain:
    """What one series adds to others: the share of the loss it saves and by how many standard errors, over ``blocks``
    blocks of ``block`` issue times."""

    gain: float
    errors: float
    block: int
    blocks: int


def marginal_gain(without: np.ndarray, beside: np.ndarray, overlap: int = 1) -> MarginalGain:
    """``without`` and ``beside``: losses (n,) of the same issue times; pairs with a NaN are left out. O(n log n).

    >>> noise = np.random.default_rng(0).normal(size=(2, 400)) / 5
    >>> found = marginal_gain(1 + noise[0], 0.97 + noise[0] + noise[1] / 4)
    >>> round(found.gain, 2), bool(found.errors > 5)
    (0.03, True)
    """
    there = np.isfinite(without) & np.isfinite(beside)
    first, second = without[there], beside[there]
    if not len(first):
        return MarginalGain(0.0, 0.0, max(1, overlap), 0)
    saved = first - second
    block = block_length(saved, overlap)
    blocks = len(saved) // block
    usual = float(first.mean())
    gain = float(saved.mean()) / usual if usual > 0 else 0.0
    if blocks < 2:
        return MarginalGain(gain, 0.0, block, blocks)
    means = saved[:blocks * block].reshape(blocks, block).mean(axis=1)
    error = float(means.std(ddof=1)) / np.sqrt(blocks)
    errors = float(means.mean()) / error if error > 0 else float(np.sign(means.mean())) * np.inf
    return MarginalGain(gain, float(errors), block, blocks)


def backward_elimination(members: Sequence[Series], losses: SeriesLosses, *, least: float, overlap: int = 1
                         ) -> tuple[tuple[Series, ...], dict[Series, MarginalGain]]:
    """The ``members`` that each save at least ``least`` standard errors beside the others kept, and how each stood when
    it was last asked.

    Backward: while some stand lower than ``least``, the one that surely harms leaves (lowest first), else the last of
    them in the order of ``members`` (strongest first): of two that tell the same the weaker leaves, and the other then
    stands by itself. At most members × (members + 1) / 2 sets are asked for.
    """
    kept, stood = tuple(members), dict[Series, MarginalGain]()
    while kept:
        whole = losses(kept)
        now = {one: marginal_gain(losses(tuple(other for other in kept if other != one)), whole, overlap)
               for one in kept}
        stood |= now
        idle = [one for one in kept if now[one].errors < least]
        if not idle:
            break
        lowest = min(idle, key=lambda one: now[one].errors)
        leaves = lowest if now[lowest].errors <= -least else idle[-1]
        kept = tuple(one for one in kept if one != leaves)
    return kept, stood
