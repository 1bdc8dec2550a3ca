"""The experts that learn nothing: three rules that every season has."""

from __future__ import annotations

import numpy as np

NAIVES = ("last-value", "seasonal-naive", "profile")


def naive(name: str, scaled: np.ndarray, season: int, leads: int) -> np.ndarray:
    """The scaled points (lead, node) of one of ``NAIVES``, from the past (row, node)."""
    phases = np.arange(leads) % season
    if name == "last-value":
        return np.repeat(scaled[-1:], leads, axis=0)
    if name == "seasonal-naive":
        return np.asarray(scaled[-season:][phases])
    week = scaled[-7 * season:].reshape(7, season, -1)
    return np.asarray((week.mean(axis=0) - week.mean(axis=(0, 1)) + scaled[-season:].mean(axis=0))[phases])
