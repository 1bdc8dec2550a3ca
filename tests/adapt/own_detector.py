"""A detector as a user would write it: a control chart on each statistic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from terracast.adapt.monitoring.detection.detector import Detector, ReferenceStatistics


class Chart(Detector):
    """Flags a stream whose last three blocks lie so many deviations from the middle of the reference (Shewhart)."""

    def __init__(self, middle: np.ndarray, limit: np.ndarray, threshold: float = 1.0) -> None:
        self.middle, self.limit, self.threshold = middle, limit, threshold

    @classmethod
    def fit(cls, reference: ReferenceStatistics) -> Chart:
        middle, deviation = np.nanmean(reference.streams, axis=0), np.nanstd(reference.streams, axis=0)
        rates = reference.kind_rates[reference.kinds]
        return cls(middle, np.where(rates > 0, 2.0 * deviation, np.inf))

    def at(self, threshold: float) -> Chart:
        return Chart(self.middle, self.limit, threshold)

    def update(self, recent: np.ndarray) -> np.ndarray:
        last = recent[-3:]
        return np.asarray((len(last) == 3) & (np.abs(last - self.middle) > self.threshold * self.limit).all(axis=0))

    def restart(self) -> None:
        """It keeps nothing."""

    def state(self) -> dict[str, object]:
        return {"middle": self.middle.copy(), "limit": self.limit.copy(), "threshold": self.threshold}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Chart:
        return cls(np.array(state["middle"]), np.array(state["limit"]), float(state["threshold"]))


class Unfinished(Detector):
    """Lacks most of the contract."""

    def restart(self) -> None:
        """It keeps nothing."""
