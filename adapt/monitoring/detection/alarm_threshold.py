"""One threshold from one promise: how many false alarms a month the operator is willing to hear."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from terracast.stats.block_bootstrap import circular_block_rows

BOOTSTRAP_BLOCKS = 28  # longer than weather, tides and weeks remember
COOLDOWN_BLOCKS = 7  # false alarms this close are one episode, as for a person who was just told
LOOSEST, STRICTEST = 0.6, 4.0
MOST_VALUES = 4_000_000  # of one bootstrapped trial


def count_episodes(alarms: np.ndarray, cooldown: int) -> int:
    """Alarms (block,) bool, folded: those less than ``cooldown`` blocks after the first of an episode are part of it.

    The cooldown counts from the first alarm, not the last: a siren that never stops is many episodes, not one.

    >>> count_episodes(np.array([1, 1, 0, 1, 0, 1], bool), cooldown=3)
    2
    """
    episodes, begun = 0, -cooldown
    for at in np.flatnonzero(alarms):
        if at - begun >= cooldown:
            episodes, begun = episodes + 1, at
    return episodes


def threshold(trial: Callable[[np.ndarray], Callable[[float], np.ndarray]], shape: tuple[int, ...],
              blocks_per_month: float, per_month: float, cooldown: int, seed: int, *, by_node: bool = False) -> float:
    """The smallest threshold with which a normal reference raises at most the promised episodes.

    It is the mean of what two trials need to keep ``per_month``: a circular block bootstrap of all streams together
    (which keeps what happens at once and within four weeks; Künsch 1989, Politis and Romano 1992) and the reference in
    its own order (which keeps its seasons).

    Parameters
    ----------
    trial : callable
        From numbers of reference blocks to a function, which takes a threshold and answers the alarms (block, place)
        in those blocks in that order. What judges them should have had no part of them.
    shape : tuple of int
        Blocks and streams of the reference.
    blocks_per_month, per_month : float
        How many blocks a month has, and how many false alarms are promised in it.
    cooldown : int
        Blocks within which alarms are one.
    seed : int
        Of the bootstrap.
    by_node : bool
        Whether alarms of different places are counted each; otherwise those of a cooldown are one episode.
    """
    blocks, streams = shape
    months = float(np.clip(200.0 / per_month, 2.0, 120.0))
    length = min(round(months * blocks_per_month), max(2 * blocks, MOST_VALUES // streams))
    rows = np.arange(blocks)
    drawn = circular_block_rows(blocks, length, min(BOOTSTRAP_BLOCKS, blocks), np.random.default_rng(seed))
    orders = [rows, drawn]
    return float(np.mean([_smallest(trial(order), per_month * len(order) / blocks_per_month, cooldown, by_node)
                          for order in orders]))


def _smallest(trial: Callable[[float], np.ndarray], allowed: float, cooldown: int, by_node: bool) -> float:
    """Bisection on the threshold; a trial too short for even one allowed alarm must only stay below its largest."""
    low, high = LOOSEST, STRICTEST
    for _ in range(12):
        middle = (low + high) / 2
        alarms = trial(middle)
        alarms = alarms if by_node else np.asarray(alarms.any(axis=1, keepdims=True))
        episodes = sum(count_episodes(alarms[:, at], cooldown) for at in np.flatnonzero(alarms.any(axis=0)))
        low, high = (low, middle) if episodes <= allowed else (middle, high)
    return high


def by_place(scores: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The largest of the scores or flags (block, stream) of each place, (block, place)."""
    best = np.zeros((len(scores), int(places.max()) + 1), scores.dtype)
    last = best.shape[1] - 1
    nodes = np.flatnonzero(places < last)
    # All nodes of one kind lie together: kinds become an axis of their own.
    best[:, :last] = scores[:, nodes].reshape(len(scores), -1, last).max(axis=1)
    best[:, last] = scores[:, places == last].max(axis=1)
    return best
