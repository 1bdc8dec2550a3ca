"""What a base would have forecast in the past: a mixture that rehearses it begins with weights that were earned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.stfm.forecaster import Request

MOST_CELLS, MOST_ISSUES = 40_000, 400  # (issues × nodes, and issues) that are rehearsed: half a minute or so
EARLIEST = 0.5  # share of the past that experts have learned before the first one


@dataclass(frozen=True)
class Hindcasts:
    """Quantiles (issue, lead, node, quantile) of a base issued at rising ``times``, each from what was known then.

    >>> times = np.datetime64("2024-01-01", "ns") + np.arange(4) * np.timedelta64(1, "D")
    >>> few = Hindcasts(times, np.zeros((4, 1, 30_000, 3)))
    >>> few.since(times[0], times[3]).times.astype("datetime64[D]").tolist()
    [datetime.date(2024, 1, 3)]
    """

    times: np.ndarray
    quantiles: np.ndarray

    @classmethod
    def none(cls, request: Request, nodes: int) -> Hindcasts:
        """No forecast yet."""
        return cls(np.array([], "datetime64[ns]"), np.zeros((0, request.horizon, nodes, len(request.quantiles))))

    def __add__(self, other: Hindcasts) -> Hindcasts:
        """What followed, behind them."""
        return Hindcasts(np.append(self.times, other.times), np.concatenate([self.quantiles, other.quantiles]))

    def since(self, first: np.datetime64, now: np.datetime64) -> Hindcasts:
        """Those of the newer half of the past from ``first`` to ``now``, the newest ``most_issues`` of them."""
        earliest = first + (now - first) * EARLIEST
        there = np.flatnonzero((self.times >= earliest) & (self.times < now))
        newest = there[max(0, len(there) - most_issues(self.quantiles.shape[2])):]
        return Hindcasts(self.times[newest], self.quantiles[newest])


def most_issues(nodes: int) -> int:
    """How many are rehearsed for so many nodes.

    >>> most_issues(1), most_issues(1000)
    (400, 40)
    """
    return min(MOST_ISSUES, MOST_CELLS // max(nodes, 1))
