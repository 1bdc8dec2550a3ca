"""The level of a stream's error: of late beside its usual, from what was served and has closed."""

from __future__ import annotations

import numpy as np

from terracast.streams.stateful import Stateful

LATE = np.timedelta64(7, "D")
KEPT = np.timedelta64(84, "D")
FEWEST = 8  # forecasts that a level needs


class ErrorLevel(Stateful):
    """Mean losses of closed forecasts, kept for ``KEPT``.

    >>> level, start = ErrorLevel(), np.datetime64("2020-01-01", "ns")
    >>> for day in range(40):
    ...     level.add(start + np.timedelta64(day, "D"), 1.0 if day < 30 else 1.5)
    >>> level.ratio(start + np.timedelta64(39, "D"), since=start + np.timedelta64(30, "D"))
    1.5
    """

    def __init__(self) -> None:
        self._times, self._losses = np.zeros(0, "datetime64[ns]"), np.zeros(0)

    def add(self, issue_time: np.datetime64, loss: float) -> None:
        """A forecast has closed; a loss that is not a number is left out."""
        if np.isfinite(loss):
            kept = self._times >= issue_time - KEPT
            self._times = np.append(self._times[kept], issue_time.astype("datetime64[ns]"))
            self._losses = np.append(self._losses[kept], loss)

    def ratio(self, now: np.datetime64, since: np.datetime64) -> float:
        """Mean loss of forecasts issued in the last ``LATE`` that have closed, beside those issued before ``since``, or
        beside the older half where the change seems as old as what is kept; NaN while either is unknown."""
        times, losses = self._times, self._losses
        newest = times.max() if len(times) else now
        late, usual = losses[(times > newest - LATE) & (times >= since)], losses[times < since]
        if len(usual) < FEWEST:
            older = losses[times <= newest - LATE]
            usual = older[:max(FEWEST, len(older) // 2)]
        if len(late) < FEWEST // 2 or len(usual) < FEWEST or not np.mean(usual) > 0:
            return float("nan")
        return float(np.mean(late) / np.mean(usual))
