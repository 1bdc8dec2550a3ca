"""KSWIN in the monitor, by river itself."""

from __future__ import annotations

import math

import numpy as np

from terracast.adapt.monitoring.detection.bank.kswin import KswinBank, kswin_flags, p_values
from terracast.adapt.monitoring.detection.detector import DetectorError
from terracast.adapt.monitoring.detection.sequential import Levels, SequentialDetector

STAT = 14  # blocks that are the latest, and as many drawn from those before; fewer in a short reference
MIN_STAT = 5
WINDOW = 3  # times as many blocks in all: after a flag a stream is blind for so long


class KswinDetector(SequentialDetector):
    """KSWIN (Raab, Heusinger and Schleif 2020) on each stream, by ``river.drift.KSWIN``.

    The latest ``STAT`` blocks are compared with as many drawn from twice as many before them. The level is minus the
    log of the significance. After a flag a stream is blind until its window is full again.

    Raises
    ------
    DetectorError
        Where no difference, however large, could be significant at the level: too many streams for the budget, or too
        short a reference.
    """

    def __init__(self, frozen: Levels, threshold: float = 1.0) -> None:
        smallest = -math.log(float(p_values(_sizes(frozen.blocks)["stat_size"])[-1]))
        asked = threshold * float(frozen.levels.min(initial=np.inf))
        if frozen.watched and asked > smallest:
            raise DetectorError(f"KSWIN is not that strict: level {asked:.1f} of at most "
                                f"{smallest:.1f}", where="monitor.detector",
                                expected="more false alarms or fewer nodes",
                                remedy='choose another, such as "scan"')
        super().__init__(frozen, threshold)

    @staticmethod
    def bank(nodes: int, level: float, blocks: int) -> KswinBank:
        """See ``SequentialDetector.bank``."""
        return KswinBank(nodes, alpha=math.exp(-level), **_sizes(blocks))

    @classmethod
    def flags(cls, values: np.ndarray, level: float, blocks: int) -> np.ndarray:
        """What a fresh bank flags in ``values`` (block, stream), by the compiled twin of river's arithmetic."""
        return kswin_flags(values, alpha=math.exp(-level), **_sizes(blocks))


def _sizes(blocks: int) -> dict[str, int]:
    """Window and sample for a reference of so many blocks."""
    stat = max(MIN_STAT, min(STAT, blocks // 4))
    return {"window_size": min(WINDOW * stat, max(2 * stat, blocks)), "stat_size": stat}
