"""The level of a stream's error: of late beside its usual, from what was served and has closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from terracast.streams.instant import instant

LATE = np.timedelta64(7, "D")
KEPT = np.timedelta64(84, "D")
FEWEST = 8  # forecasts that a level needs


class ErrorLevel:
    """Mean losses of closed forecasts, kept for ``KEPT``.

    >>> level, start = ErrorLevel(), np.datetime64("2020-01-01", "ns")
    >>> for day in range(40):
    ...     level.add(start + np.timedelta64(day, "D"), 1.0 if day < 30 else 1.5)
    >>> level.ratio(start + np.timedelta64(39, "D"), since=start + np.timedelta64(30, "D"))
    1.5
    """

    def __init__(self) -> None:
        self._closed: list[tuple[np.datetime64, float]] = []

    def add(self, issue_time: np.datetime64, loss: float) -> None:
        """A forecast has closed; a loss that is not a number is left out."""
        if np.isfinite(loss):
            self._closed.append((issue_time, float(loss)))
            self._closed = [one for one in self._closed if one[0] >= issue_time - KEPT]

    def ratio(self, now: np.datetime64, since: np.datetime64) -> float:
        """Mean loss of forecasts issued in the last ``LATE`` that have closed, beside those issued before ``since``, or
        beside the older half where the change seems as old as what is kept; NaN while either is unknown."""
        newest = max((time for time, _ in self._closed), default=now)
        late = [loss for time, loss in self._closed if time > newest - LATE and time >= since]
        usual = [loss for time, loss in self._closed if time < since]
        if len(usual) < FEWEST:
            older = [loss for time, loss in self._closed if time <= newest - LATE]
            usual = older[:max(FEWEST, len(older) // 2)]
        if len(late) < FEWEST // 2 or len(usual) < FEWEST or not np.mean(usual) > 0:
            return float("nan")
        return float(np.mean(late) / np.mean(usual))

    def state(self) -> dict[str, object]:
        """Times and losses."""
        return {"times": [str(time) for time, _ in self._closed], "losses": [loss for _, loss in self._closed]}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> ErrorLevel:
        """Go on where ``state`` was taken."""
        level = cls()
        level._closed = [(instant(str(time)), float(loss))
                         for time, loss in zip(state["times"], state["losses"], strict=True)]
        return level
