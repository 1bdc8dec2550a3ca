"""One threshold from one promise: how many false alarms a month the operator is willing to hear."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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


def threshold(scores: Callable[[np.ndarray], np.ndarray], streams: np.ndarray, blocks_per_month: float,
              per_month: float, cooldown: int, seed: int, *, by_node: bool = False) -> float:
    """The smallest threshold with which ``streams`` (block, stream), all normal, raise at most the promised episodes.

    ``scores`` turns rows of ``streams``, given by their numbers, into (block, place), by limits that these rows had no
    part in; an alarm is a score above the threshold. It is the mean of what two trials need to keep ``per_month``: a
    circular block bootstrap of all streams together (which keeps what happens at once and within four weeks; Künsch
    1989, Politis and Romano 1992) and the reference in its own order (which keeps its seasons). ``by_node``: alarms
    of different places are counted each; otherwise those of a cooldown are one episode.
    """
    months = float(np.clip(200.0 / per_month, 2.0, 120.0))
    length = min(round(months * blocks_per_month), max(2 * len(streams), MOST_VALUES // streams.shape[1]))
    rows = np.arange(len(streams))
    trials = [scores(rows), scores(resample(rows, length, min(BOOTSTRAP_BLOCKS, len(streams)), seed))]
    return float(np.mean([_smallest(trial, per_month * len(trial) / blocks_per_month, cooldown, by_node)
                          for trial in trials]))


def _smallest(trial: np.ndarray, allowed: float, cooldown: int, by_node: bool) -> float:
    """Bisection on the threshold; a trial too short for even one allowed alarm must only stay below its largest."""
    places = trial if by_node else trial.max(axis=1, keepdims=True)
    low, high = LOOSEST, STRICTEST
    for _ in range(12):
        middle = (low + high) / 2
        alarms = places > middle
        episodes = sum(count_episodes(alarms[:, at], cooldown) for at in np.flatnonzero(alarms.any(axis=0)))
        low, high = (low, middle) if episodes <= allowed else (middle, high)
    return high


def resample(streams: np.ndarray, length: int, block: int, seed: int) -> np.ndarray:
    """``length`` rows drawn as runs of ``block`` rows from random places; the end is followed by the beginning."""
    draws = np.random.default_rng(seed)
    starts = draws.integers(0, len(streams), size=-(-length // block))
    rows = (starts[:, None] + np.arange(block)).ravel()[:length] % len(streams)
    return streams[rows]


def by_place(scores: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The largest of the scores (block, stream) of each place, (block, place)."""
    best = np.zeros((len(scores), int(places.max()) + 1))
    last = best.shape[1] - 1
    nodes = np.flatnonzero(places < last)
    # All nodes of one kind lie together: kinds become an axis of their own.
    best[:, :last] = scores[:, nodes].reshape(len(scores), -1, last).max(axis=1)
    best[:, last] = scores[:, places == last].max(axis=1)
    return best
