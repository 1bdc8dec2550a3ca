"""Intervals for a mean skill over datasets: datasets are drawn anew, and in each one blocks of issue times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from terracast.stats.block_bootstrap import circular_block_rows

DRAWS = 1000
MASS = 0.9


@dataclass(frozen=True)
class BlockPair:
    """Mean losses of a method and of its reference at the same issue times, in order; ``data`` names the dataset."""

    data: str
    losses: np.ndarray
    reference: np.ndarray


@dataclass(frozen=True)
class Skill:
    """1 - geometric mean ratio of losses, with its 90 % interval; ``series`` says of how many pairs."""

    skill: float
    low: float
    high: float
    series: int


def skill_of(pairs: Sequence[BlockPair], seed: int = 0, draws: int = DRAWS) -> Skill | None:
    """The skill over ``pairs``; None where no pair can be compared.

    Each draw takes datasets with replacement (all series of one together) and, in every series, whole circles of
    blocks of about √n consecutive issue times (circular block bootstrap, Politis & Romano 1992), so that neighbouring
    forecasts, which share their fate, stay together. With one dataset the interval speaks of its time alone. A pair
    whose reference made no error is left out. O(draws × issue times).

    >>> chance = np.random.default_rng(0)
    >>> pairs = [BlockPair(f"d{one}", chance.gamma(9, 1, 60), chance.gamma(18, 1, 60)) for one in range(8)]
    >>> found = skill_of(pairs)
    >>> round(found.skill, 1), found.low < found.skill < found.high, found.series
    (0.5, True, 8)
    """
    usable = [_finite(pair) for pair in pairs]
    usable = [pair for pair in usable if len(pair.losses) and pair.losses.mean() > 0 and pair.reference.mean() > 0]
    if not usable:
        return None
    random = np.random.default_rng(seed)
    plain = np.array([np.log(pair.losses.mean() / pair.reference.mean()) for pair in usable])
    logs = np.stack([_redrawn(pair, random, draws) for pair in usable], axis=1)  # (draw, pair)
    names = list(dict.fromkeys(pair.data for pair in usable))
    place = np.array([names.index(pair.data) for pair in usable])
    times = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    weights = times[:, place].astype("float64")
    means = (weights * logs).sum(axis=1) / weights.sum(axis=1)
    low, high = np.quantile(1 - np.exp(means), ((1 - MASS) / 2, (1 + MASS) / 2))
    return Skill(float(1 - np.exp(plain.mean())), float(low), float(high), len(usable))


def _finite(pair: BlockPair) -> BlockPair:
    both = np.isfinite(pair.losses) & np.isfinite(pair.reference)
    return BlockPair(pair.data, pair.losses[both], pair.reference[both])


def _redrawn(pair: BlockPair, random: np.random.Generator, draws: int) -> np.ndarray:
    """Log ratios of redrawn means, (draw,)."""
    count = len(pair.losses)
    rows = circular_block_rows(count, count, max(1, round(count**0.5)), random, (draws,))
    tiny = 1e-12
    return np.asarray(np.log(np.maximum(pair.losses[rows].mean(axis=1), tiny)
                             / np.maximum(pair.reference[rows].mean(axis=1), tiny)))
