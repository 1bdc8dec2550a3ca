"""A scan over windows in time: is the mean of the last few blocks like that of the weeks before them?

The generalised likelihood ratio of a step in the mean, for streams whose level wanders with the seasons: the reference
is not frozen but trails, so that a change is something that happened within the last weeks. What is normal for a
window's mean is learned from the reference period itself, for each length, because blocks depend on each other and
their tails are heavy: limits are set on the largest of each run of blocks, since one alarm lasts as long as a window.

Where single strange days are common (a strike, a storm), a window's median is compared instead: one day moves a mean
and no median, so that two days alike say as much as a week of means (the runs rules of control charts: Page 1955).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from terracast.adapt.monitoring.detection.detector import RECENT_BLOCKS, Detector, ReferenceStatistics, Rehearsal

MEANS, MEDIANS = (1, 3, 7, 14), (2, 7, 14)  # blocks of the windows whose mean, and whose median, is compared
WINDOWS = MEANS + MEDIANS
# Share of a stream's false alarms that each window may raise, if nothing else is asked; they often do so together.
WEIGHTS = (0.15, 0.2, 0.3, 0.6, 0.0, 0.0, 0.0)
RUN = 7  # blocks within which alarms are one
HISTORY = RECENT_BLOCKS - max(WINDOWS)  # blocks before the window that it is compared with, at most
FEWEST = 8  # and at least
REACH = RECENT_BLOCKS
TAIL = 0.8  # beyond this quantile the size of a run's largest score is taken to fall off exponentially


def differences(streams: np.ndarray, window: int) -> np.ndarray:
    """Mean of the last ``window`` blocks minus that of at most ``HISTORY`` before them, (block, stream).

    NaN where less than half of the window, or fewer than ``FEWEST`` blocks before it, were seen. O(values).

    >>> differences(np.repeat([0.0, 1.0], [56, 2])[:, None], 2)[-1].tolist()
    [1.0]
    """
    return np.asarray(_differences(np.ascontiguousarray(streams, float), window))


@njit(cache=True, error_model="numpy")
def _differences(streams: np.ndarray, window: int) -> np.ndarray:
    """``differences`` by sums that move along: over the window and over the history before it, for all streams."""
    found = np.full(streams.shape, np.nan)
    many = streams.shape[1]
    now, before, count, past = np.zeros(many), np.zeros(many), np.zeros(many), np.zeros(many)
    for at in range(len(streams)):
        for stream in range(many):
            if np.isfinite(streams[at, stream]):
                now[stream] += streams[at, stream]
                count[stream] += 1
            if at >= window and np.isfinite(streams[at - window, stream]):
                now[stream] -= streams[at - window, stream]
                before[stream] += streams[at - window, stream]
                count[stream] -= 1
                past[stream] += 1
            if at >= window + HISTORY and np.isfinite(streams[at - window - HISTORY, stream]):
                before[stream] -= streams[at - window - HISTORY, stream]
                past[stream] -= 1
            if count[stream] > 0 and 2 * count[stream] >= window and past[stream] >= FEWEST:
                # Gaps and a short past make the difference less sure: it is shrunk to the deviation of a full one.
                sure = math.sqrt((1 / window + 1 / HISTORY) / (1 / count[stream] + 1 / past[stream]))
                found[at, stream] = (now[stream] / count[stream] - before[stream] / past[stream]) * sure
    return found


def median_differences(streams: np.ndarray, window: int, first: int = 0) -> np.ndarray:
    """As ``differences``, of the window's median, from block ``first`` on: of two in the middle that nearer to zero, 0
    where they lie on both sides. NaN where half of the window or more is missing. O(values × window).

    >>> strange = np.repeat([0.0, 5.0, 0.0, 1.0, 3.0], [49, 1, 4, 1, 1])[:, None]
    >>> median_differences(strange, 2)[[49, -1]].round(1).tolist()  # one strange day, then two alike
    [[0.0], [0.9]]
    """
    return np.asarray(_median_differences(np.ascontiguousarray(streams, float), window, first))


@njit(cache=True, error_model="numpy")
def _median_differences(streams: np.ndarray, window: int, first: int) -> np.ndarray:
    found = np.full((len(streams) - first, streams.shape[1]), np.nan)
    for at in range(max(first, window), len(streams)):
        for stream in range(streams.shape[1]):
            history = streams[max(0, at + 1 - window - HISTORY):at + 1 - window, stream]
            before = history[np.isfinite(history)]
            now = streams[at + 1 - window:at + 1, stream]
            now = now[np.isfinite(now)]
            if 2 * len(now) <= window or len(before) < FEWEST:
                continue
            now = np.sort(now) - before.mean()
            low, high = now[(len(now) - 1) // 2], now[len(now) // 2]
            sure = math.sqrt((1 / window + 1 / HISTORY) / (1 / len(now) + 1 / len(before)))
            found[at - first, stream] = sure * (max(low, 0.0) + min(high, 0.0))
    return found


def _moved(streams: np.ndarray, row: int, latest: bool = False) -> np.ndarray:
    """What the window of this ``row`` of ``WINDOWS`` compares, (block, stream); only of the ``latest`` block."""
    window = WINDOWS[row]
    recent = streams[-HISTORY - window:] if latest else streams
    if row < len(MEANS):
        found = differences(recent, window)
        return found[-1:] if latest else found
    return median_differences(recent, window, len(recent) - 1 if latest else 0)


@dataclass(frozen=True)
class WindowScan(Detector):
    """Scores of streams (block, stream): the largest over the windows of |difference| in units of its own limit.

    Attributes
    ----------
    limits : ndarray of float, shape (window, stream)
        What a window's difference exceeds at the stated rate. A score above 1 is rarer.
    threshold : float
        The score beyond which a stream is flagged.

    Examples
    --------
    >>> draws = np.random.default_rng(0)
    >>> scan = WindowScan.fit(ReferenceStatistics(draws.normal(size=(400, 3)), np.zeros(3, int), np.array([0.001])))
    >>> later = draws.normal(size=(70, 3))
    >>> later[60:, 1] += 2.0
    >>> scan.update(later).tolist()
    [False, True, False]
    """

    limits: np.ndarray
    threshold: float = 1.0

    @classmethod
    def fit(cls, reference: ReferenceStatistics, shrink: float = 5.0) -> WindowScan:
        """Limits of each window and stream from normal blocks; see ``Detector.fit``.

        Streams of one kind lend each other strength: ``shrink`` says how many windows the kind's typical deviation
        is worth beside a stream's own. False alarms of a ``RUN`` of blocks are one. A window is used where the
        reference holds two of it beside its history.
        """
        streams, kinds, rates = reference.streams, reference.kinds, reference.rates
        rates = rates if rates.ndim == 2 else rates[:, None] * (np.array(WEIGHTS) / sum(WEIGHTS))
        limits = np.full((len(WINDOWS), streams.shape[1]), np.inf)
        used = [window == 1 or FEWEST + 2 * window <= len(streams) for window in WINDOWS]
        left = rates.sum(axis=1) / np.maximum(np.where(used, rates, 0.0).sum(axis=1), 1e-300)
        for row, window in enumerate(WINDOWS):
            asked = np.flatnonzero(rates[kinds, row] > 0)
            if not used[row] or not len(asked):
                continue
            moved = np.full(streams.shape, np.nan)
            moved[:, asked] = np.abs(_moved(streams[:, asked], row))
            count = np.isfinite(moved).sum(axis=0)
            power = np.nansum(moved**2, axis=0)
            for kind in range(len(rates)):
                own = (kinds == kind) & (count > 0)
                if not own.any():
                    continue
                typical = power[own].sum() / count[own].sum()
                worth = count[own] / window
                scale = np.sqrt((worth * power[own] / count[own] + shrink * typical) / (worth + shrink))
                scale = np.maximum(scale, 1e-9)
                largest = _of_runs(moved[:, own] / scale)
                exceeded = _exceeded(largest, RUN * float(rates[kind, row] * left[kind]))
                limits[row, own] = np.maximum(scale * exceeded, 1e-6)
        return cls(limits)

    def scores(self, streams: np.ndarray) -> np.ndarray:
        """The largest score over the windows at each block, (block, stream); 0 where there is no evidence."""
        best = np.zeros(streams.shape)
        for row in _used(self.limits):
            best = np.fmax(best, np.abs(_moved(streams, row)) / self.limits[row])
        return best

    def at(self, threshold: float) -> WindowScan:
        """The same limits at another threshold."""
        return replace(self, threshold=threshold)

    def update(self, recent: np.ndarray) -> np.ndarray:
        """Whose score passes the threshold at the last of the blocks; nothing is kept."""
        scores, _ = self.latest(recent)
        return np.asarray(np.nan_to_num(np.abs(scores)).max(axis=0) > self.threshold)

    def update_many(self, streams: np.ndarray, new: int) -> np.ndarray:
        """The flags of the last ``new`` blocks, all compared at once."""
        return np.asarray(self.scores(streams)[len(streams) - new:] > self.threshold)

    def rehearsal(self, reference: ReferenceStatistics) -> Rehearsal:
        """Flags of resampled reference blocks, each by limits that were fitted on other parts of the reference."""
        crossed = self.crossed(reference)

        def resampled(rows: np.ndarray) -> Callable[[float], np.ndarray]:
            scores = crossed.scores(rows)
            return lambda threshold: np.asarray(scores > threshold)
        return resampled

    def restart(self) -> None:
        """There is nothing to forget: the blocks themselves are handed in."""

    @classmethod
    def crossed(cls, reference: ReferenceStatistics, folds: int = 10) -> Crossed:
        """As ``fit``, for the scores of the reference's blocks themselves: each of a few parts of them in units
        of limits that were fitted on the others. Without it the strangest block of a stream widens its own limit, and
        of thousands of streams that is the one that would have alarmed. O(folds × values)."""
        whole, streams = cls.fit(reference), reference.streams
        part = np.arange(len(streams)) * folds // len(streams)
        without = [cls.fit(replace(reference, streams=np.where((part == out)[:, None], np.nan, streams))).limits
                   for out in range(folds)]
        # A part without which a short reference says nothing of a window is judged by the whole.
        return Crossed(streams, part, tuple(cls(np.where(np.isfinite(one), one, whole.limits)) for one in without))

    def latest(self, past: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the last block of ``past`` (block, stream): each window's difference in units of its limit, signed,
        (window, stream); and the differences themselves. NaN where there is no evidence. O(HISTORY × stream)."""
        moved = np.full(self.limits.shape, np.nan)
        for row in _used(self.limits):
            moved[row] = _moved(past, row, latest=True)[0]
        return moved / self.limits, moved


@dataclass(frozen=True)
class Crossed:
    """A reference whose blocks are scored out of sample: ``part`` (block,) says by which of the ``scans``."""

    streams: np.ndarray
    part: np.ndarray
    scans: tuple[WindowScan, ...]

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """Scores (block, stream) of the reference's blocks ``rows`` (block,), in that order."""
        limits, streams, part = [scan.limits for scan in self.scans], self.streams[rows], self.part[rows]
        best = np.zeros(streams.shape)
        for row in _used(np.fmin.reduce(limits)):
            moved = np.abs(_moved(streams, row))
            for out in range(len(limits)):
                own = part == out
                best[own] = np.fmax(best[own], moved[own] / limits[out][row])
        return best


def _used(limits: np.ndarray) -> list[int]:
    """The rows of ``WINDOWS`` by which any stream is watched, by the ``limits`` (window, stream)."""
    return [int(row) for row in np.flatnonzero(np.isfinite(limits).any(axis=1))]


def _of_runs(sizes: np.ndarray) -> np.ndarray:
    """The largest of ``sizes`` (block, stream) in each whole run from the end back; those without any left out."""
    whole = len(sizes) - len(sizes) % RUN if len(sizes) >= RUN else 0
    runs = sizes[len(sizes) - whole:].reshape(-1, RUN, sizes.shape[1]) if whole else sizes[None]
    largest = np.fmax.reduce(runs, axis=1).ravel()
    return largest[np.isfinite(largest)]


def _exceeded(sizes: np.ndarray, rate: float) -> float:
    """What the share ``rate`` of all sizes exceeds; beyond ``TAIL`` by the mean excess over it."""
    if not len(sizes):
        return np.inf
    corner = float(np.quantile(sizes, TAIL))
    if rate >= 1 - TAIL:
        return float(np.quantile(sizes, 1 - rate))
    excess = float((sizes[sizes > corner] - corner).mean()) if (sizes > corner).any() else 0.0
    return corner + excess * float(np.log((1 - TAIL) / rate))
