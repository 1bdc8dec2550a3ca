"""What "weak", "clear" and "strong" evidence is worth: simulated years in which nothing changes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from terracast.adapt.monitoring.episodes.alarm_text import STRONG, WEAK
from terracast.adapt.monitoring.episodes.episodes import Episodes
from terracast.adapt.monitoring.monitor import Monitor

NODES, FITTED, SERVED = 5, 120, 365


def _strengths(seed: int) -> dict[str, float]:
    """Strength of each false episode of one year, by its id."""
    draws = np.random.default_rng(seed)
    times = np.datetime64("2020-01-01", "ns") + np.arange(24 * (FITTED + SERVED)) * np.timedelta64(1, "h")
    residuals = draws.normal(size=(len(times), NODES)) + draws.normal(size=(len(times), 1))
    for row in range(1, len(times)):
        residuals[row] += 0.5 * residuals[row - 1]
    residuals /= residuals[:24 * FITTED].std()
    known = 24 * FITTED
    monitor = Monitor.fit(residuals[:known], times[:known], seed=seed)
    episodes, found = Episodes(np.timedelta64(14, "D")), {}
    for day in range(SERVED):
        rows = slice(known + 24 * day, known + 24 * (day + 1))
        for one in episodes.fold(times[rows][-1], monitor.observe(times[rows], residuals[rows])):
            found[one.id] = one.strength
    return found


@pytest.mark.slow
def test_false_alarms_are_weak() -> None:
    every = [strength for seed in range(16) for strength in _strengths(seed).values()]
    count = Counter("weak" if one < WEAK else "clear" if one < STRONG else "strong" for one in every)
    share = {name: count[name] / len(every) for name in ("weak", "clear", "strong")}
    print(f"{len(every)} false episodes in 16 simulated years: {share}")
    assert len(every) >= 30 and share["weak"] >= 0.6 and share["strong"] <= 0.02
