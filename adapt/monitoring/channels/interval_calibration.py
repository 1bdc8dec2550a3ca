"""Evidence of calibration: do labels fall into the served intervals as often as the intervals say?

Each label is placed in the forecast that was served for it (its probability integral transform, PIT). A day of them
says how far from the middle labels fall: half of the way to the edge on average where intervals are as wide as the
world is uncertain, farther where they are too narrow or miss to one side, less where they are too wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.streams.stateful import Stateful

HONEST = 0.5  # mean way from the middle, of the way to the edge, where intervals hold
LEAST = 0.05  # off from that, about four points of coverage: less is no news
LOW, HIGH = 0.1, 0.9  # the 80 % interval


@dataclass(frozen=True)
class IntervalCalibration(Stateful):
    """Reads blocks of PITs; there is nothing to be learned.

    Of a block are kept, at each node: how far from the middle labels fell, and the shares of them below and above the
    80 % interval.

    >>> draws = np.random.default_rng(0).normal(size=(2000, 2))
    >>> pits = np.stack([draws[:, 0] / 3.4, draws[:, 1] / 1.7], axis=1).clip(-1, 1) / 2 + 0.5
    >>> IntervalCalibration().distances(IntervalCalibration.rows(pits).mean(axis=0)[None]).round(1).tolist()
    [[0.2, 0.4]]
    """

    kind = "calibration"

    @staticmethod
    def rows(pits: np.ndarray) -> np.ndarray:
        """What is averaged over a block of ``pits`` (time, node): (time, statistic, node), NaN where no label came."""
        seen = np.isfinite(pits)
        parts = (np.abs(2 * pits - 1), pits < LOW, pits > HIGH)
        return np.stack([np.where(seen, one, np.nan) for one in parts], axis=1)

    def standardised(self, means: np.ndarray) -> np.ndarray:
        """What the words are made from, (block, statistic, node)."""
        return means

    def distances(self, standardised: np.ndarray) -> np.ndarray:
        """The stream of each node, (block, node)."""
        return np.asarray(standardised[:, 0])

    def enough(self, size: int) -> int:
        """How many of the ``size`` steps of a block must have been seen."""
        return -(-size // 2)

    def is_alarm(self, now: float, before: float, rank: float) -> bool:
        """Whether a move of a stream leads away from intervals that hold; back to them is no news."""
        return abs(now - HONEST) > max(abs(before - HONEST), LEAST)

    def status(self, standardised: np.ndarray, rank: float) -> str:
        """How things stand, change or not, from what is told (statistic,) of the last blocks."""
        return f"80 % intervals cover {100 * (1 - float(standardised[1] + standardised[2])):.0f} %"

    def details(self, now: np.ndarray, before: np.ndarray, usual: np.ndarray, rank: float
                ) -> tuple[dict[str, object], str]:
        """Coverage and the direction, from the statistics (statistic,) of the window, the weeks before and the
        reference."""
        covered = [round(100 * (1 - float(one[1] + one[2]))) for one in (now, before, usual)]
        return (dict(zip(("now", "before", "reference"), covered, strict=True)),
                "narrow" if now[0] > before[0] else "wide")
