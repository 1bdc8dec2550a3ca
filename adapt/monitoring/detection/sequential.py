"""River's sequential detectors in the monitor: one a stream, all streams of a kind under one calibrated level.

A level is minus the log of a detector's own significance, so that false alarms fall off about exponentially with it.
``fit`` finds the level of each kind at which the reference, in its own order and resampled, raises no more than the
kind's share of the budget. The monitor's threshold then multiplies all levels.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np

from terracast.adapt.monitoring.detection.alarm_threshold import (
    BOOTSTRAP_BLOCKS,
    COOLDOWN_BLOCKS,
    MOST_VALUES,
    count_episodes,
)
from terracast.adapt.monitoring.detection.bank.adwin import AdwinBank
from terracast.adapt.monitoring.detection.bank.contract import DetectorBank
from terracast.adapt.monitoring.detection.bank.page_hinkley import PageHinkleyBank
from terracast.adapt.monitoring.detection.detector import Detector, ReferenceStatistics, Rehearsal
from terracast.stats.block_bootstrap import circular_block_rows
from terracast.streams.stateful import Stateful

LOWEST, HIGHEST = 0.05, 60.0  # levels
HALVINGS = 14  # of that range: to 0.004
MIN_ALARMS = 4.0  # fewer in the reference cannot be counted: the level of so many is extrapolated
MORE = 4.0  # times as many alarms: the second point of the extrapolation
COPIES = 6  # resampled blocks, in references
SHRINK = 5.0  # blocks that the typical deviation of a kind is worth beside a stream's own
MIN_DEVIATION = 1e-9


@dataclass(frozen=True)
class Levels(Stateful):
    """What a sequential detector freezes.

    Attributes
    ----------
    centre, scale : ndarray of float, shape (stream,)
        Mean and standard deviation of each stream in the reference: detectors see standardised values.
    kinds : ndarray of int, shape (stream,)
        The kind of each stream.
    levels : ndarray of float, shape (kind,)
        The level that keeps the kind's share of the budget; inf: the kind is not watched.
    blocks : int
        How many blocks the reference had.
    """

    centre: np.ndarray
    scale: np.ndarray
    kinds: np.ndarray
    levels: np.ndarray
    blocks: int

    def standardise(self, streams: np.ndarray) -> np.ndarray:
        """Values (…, stream) in deviations of the reference."""
        return np.asarray((streams - self.centre) / self.scale)

    @property
    def watched(self) -> list[tuple[int, np.ndarray]]:
        """Each kind that is watched, and the numbers of its streams."""
        kinds = np.flatnonzero(np.isfinite(self.levels)).tolist()
        return [(kind, np.flatnonzero(self.kinds == kind)) for kind in kinds]


class SequentialDetector(Detector):
    """A bank of detectors for each kind of stream; a subclass says which. As in river, one that fired starts anew.

    Parameters
    ----------
    frozen : Levels
        Units and levels, from ``fit``.
    threshold : float
        Multiplies all levels.
    """

    def __init__(self, frozen: Levels, threshold: float = 1.0) -> None:
        self.frozen, self.threshold = frozen, threshold
        self._banks = [self.bank(len(streams), threshold * frozen.levels[kind], frozen.blocks)
                       for kind, streams in frozen.watched]

    @staticmethod
    @abstractmethod
    def bank(nodes: int, level: float, blocks: int) -> DetectorBank:
        """As many detectors of standardised values as ``nodes``, at this ``level``; ``blocks`` the reference had."""

    @classmethod
    def flags(cls, values: np.ndarray, level: float, blocks: int) -> np.ndarray:
        """What a fresh bank flags in ``values`` (block, stream)."""
        return cls.bank(values.shape[1], level, blocks).update_many(values)

    @classmethod
    def fit(cls, reference: ReferenceStatistics) -> Self:
        """Units and levels from normal blocks; see ``Detector.fit``."""
        streams, rates = reference.streams, reference.kind_rates
        centre, scale = _units(streams, reference.kinds, len(rates))
        frozen = Levels(centre, scale, reference.kinds, np.full(len(rates), np.inf), len(streams))
        z, levels = frozen.standardise(streams), frozen.levels
        rows = np.arange(len(streams))
        longest = max(len(rows), MOST_VALUES // max(streams.shape[1], 1))
        drawn = circular_block_rows(len(rows), min(COPIES * len(rows), longest), min(BOOTSTRAP_BLOCKS, len(rows)),
                                    np.random.default_rng(0))
        order = np.concatenate([rows, drawn])
        for kind in np.flatnonzero(rates > 0).tolist():
            values = z[np.ix_(order, (reference.kinds == kind) & np.isfinite(streams).any(axis=0))]
            if values.shape[1]:
                flags = partial(cls.flags, values, blocks=len(rows))
                levels[kind] = _level(flags, float(rates[kind]) * values.size)
        return cls(frozen)

    def at(self, threshold: float) -> Self:
        """The same units and levels, at another threshold."""
        return type(self)(self.frozen, threshold)

    def update(self, recent: np.ndarray) -> np.ndarray:
        """Take in the last of the blocks."""
        return np.asarray(self.update_many(recent[-1:], 1)[0])

    def update_many(self, streams: np.ndarray, new: int) -> np.ndarray:
        """Take in the last ``new`` blocks."""
        z = self.frozen.standardise(streams[len(streams) - new:])
        flags = np.zeros(z.shape, bool)
        for (_, of_kind), bank in zip(self.frozen.watched, self._banks, strict=True):
            flags[:, of_kind] = bank.update_many(z[:, of_kind])
        return flags

    def rehearsal(self, reference: ReferenceStatistics) -> Rehearsal:
        """Flags of resampled reference blocks."""
        z, frozen = self.frozen.standardise(reference.streams), self.frozen

        def resampled(rows: np.ndarray) -> Callable[[float], np.ndarray]:
            def flags(threshold: float) -> np.ndarray:
                found = np.zeros((len(rows), z.shape[1]), bool)
                for kind, of_kind in frozen.watched:
                    found[:, of_kind] = self.flags(z[np.ix_(rows, of_kind)], threshold * frozen.levels[kind],
                                                   frozen.blocks)
                return found
            return flags
        return resampled

    def restart(self) -> None:
        """Forget all blocks."""
        for bank in self._banks:
            bank.reset()


class AdwinDetector(SequentialDetector):
    """ADWIN (Bifet and Gavaldà 2007) on each stream: flags equal to ``river.drift.ADWIN``, by a compiled bank.

    It looks at every block. The level is ``ln(2 ln n / delta)`` of a window of ``RECENT_BLOCKS`` blocks. ADWIN forgets
    nothing while nothing changes, so it compares the latest days with all that it has seen.
    """

    WINDOW = 70  # blocks for which a level is the exponent of the bound

    @staticmethod
    def bank(nodes: int, level: float, blocks: int) -> AdwinBank:
        """See ``SequentialDetector.bank``."""
        delta = 2.0 * math.log(AdwinDetector.WINDOW) * math.exp(-level)
        return AdwinBank(nodes, delta=delta, clock=1, min_window_length=1, grace_period=10)


class PageHinkleyDetector(SequentialDetector):
    """Page-Hinkley (Page 1954) on each stream: flags equal to ``river.drift.PageHinkley``, by a compiled bank.

    Sums of what a value is above or below the running mean, ``ALLOWANCE`` deviations forgiven at each block. The level
    is the threshold of the sums times twice the allowance, the exponent of their tail for independent normal values.
    """

    ALLOWANCE = 0.5  # deviations: half of the shift that should be found soonest
    FIRST = 10  # blocks before the first flag

    @staticmethod
    def bank(nodes: int, level: float, blocks: int) -> PageHinkleyBank:
        """See ``SequentialDetector.bank``."""
        allowance = PageHinkleyDetector.ALLOWANCE
        return PageHinkleyBank(nodes, min_instances=PageHinkleyDetector.FIRST, delta=allowance,
                               threshold=level / (2 * allowance))


def _units(streams: np.ndarray, kinds: np.ndarray, many: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each stream, the deviation drawn towards what is typical of its kind."""
    seen = np.isfinite(streams)
    count = seen.sum(axis=0)
    centre = np.where(seen, streams, 0.0).sum(axis=0) / np.maximum(count, 1)
    power = np.where(seen, streams - centre, 0.0) ** 2
    variance, typical = power.sum(axis=0) / np.maximum(count, 1), np.zeros(streams.shape[1])
    for kind in range(many):
        own = (kinds == kind) & (count > 0)
        if own.any():
            typical[own] = power[:, own].sum() / count[own].sum()
    scale = np.sqrt((count * variance + SHRINK * typical) / (count + SHRINK))
    return centre, np.maximum(scale, MIN_DEVIATION)


def _level(flags: Callable[[float], np.ndarray], allowed: float) -> float:
    """The lowest level at which at most ``allowed`` alarms are raised, those of a cooldown in one stream being one;
    of fewer than ``MIN_ALARMS`` extrapolated, for the logarithm of their number falls about evenly with the level."""
    if allowed >= MIN_ALARMS:
        return _lowest(flags, allowed)
    countable, more = _lowest(flags, MIN_ALARMS), _lowest(flags, MORE * MIN_ALARMS)
    slope = max(countable - more, 0.0) / math.log(MORE)
    return countable + slope * math.log(MIN_ALARMS / allowed)


def _lowest(flags: Callable[[float], np.ndarray], allowed: float) -> float:
    low, high = LOWEST, HIGHEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        found = flags(middle)
        alarms = sum(count_episodes(found[:, at], COOLDOWN_BLOCKS) for at in np.flatnonzero(found.any(axis=0)))
        low, high = (low, middle) if alarms <= allowed else (middle, high)
    return high
