"""One threshold from one promise: how many false alarms a month the operator is willing to hear."""

from __future__ import annotations

import numpy as np

from adapt.bank import AdwinBank

STRICTEST, LOOSEST = -80.0, 0.0  # ln of ADWIN's delta
ROUNDS = 9  # of bisection: the threshold is found to 0.16
CAUTION = 0.5  # share of the promise that the reference period may use up; the rest is for what it does not hold
BOOTSTRAP_BLOCKS = 28  # longer than weather, tides and weeks remember


def watch_bank(streams: int, log_delta: float) -> AdwinBank:
    """An ADWIN a stream that checks at every block and cuts off no less than five blocks."""
    return AdwinBank(streams, delta=float(np.exp(log_delta)), clock=1, min_window_length=5, grace_period=10)


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


def calibrate(streams: np.ndarray, blocks_per_month: float, per_month: float, cooldown: int, seed: int) -> float:
    """The largest ln delta with which ``streams`` (block, stream), all normal, raise at most the promised episodes.

    Two trials must both keep ``CAUTION`` × ``per_month``: a circular block bootstrap of all streams together (which
    keeps what happens at once and within four weeks; Künsch 1989, Politis and Romano 1992) and the reference in its
    own order (which keeps its seasons). One number for all streams; O(rounds × months × streams).

    Half the promise, because a year knows nothing of how years differ. On four Beijing pollutants (first year for
    reference, three years of service, one alarm a month promised) the whole promise gave 1.5–2.3 alarms a month,
    half of it 1.1–1.6, real changes of those years included. The rarer the promise, the larger the excess.
    """
    months = float(np.clip(20.0 / per_month, 24.0, 120.0))
    drawn = resample(streams, round(months * blocks_per_month), min(BOOTSTRAP_BLOCKS, len(streams)), seed)
    allowed = CAUTION * per_month
    low, high = STRICTEST, LOOSEST
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        kept = all(_rate(trial, middle, blocks_per_month, cooldown) <= allowed for trial in (streams, drawn))
        low, high = (middle, high) if kept else (low, middle)
    return low


def resample(streams: np.ndarray, length: int, block: int, seed: int) -> np.ndarray:
    """``length`` rows drawn as runs of ``block`` rows from random places; the end is followed by the beginning."""
    draws = np.random.default_rng(seed)
    starts = draws.integers(0, len(streams), size=-(-length // block))
    rows = (starts[:, None] + np.arange(block)).ravel()[:length] % len(streams)
    return streams[rows]


def _rate(trial: np.ndarray, log_delta: float, blocks_per_month: float, cooldown: int) -> float:
    alarms = watch_bank(trial.shape[1], log_delta).update_many(trial)
    return count_episodes(np.any(alarms, axis=1), cooldown) * blocks_per_month / len(trial)
