"""The latest blocks of statistics, and the open block whose rows are still coming."""

from __future__ import annotations

import numpy as np

from terracast.adapt.monitoring.statistics.node_statistics import RECENT_BLOCKS, Blocks, NodeStatistics
from terracast.adapt.monitoring.statistics.reference_period import BlockClock
from terracast.streams.stateful import Stateful


class BlockHistory(Stateful):
    """Turns rows of residuals into blocks of statistics, and keeps the last ``RECENT_BLOCKS`` of them.

    Attributes
    ----------
    streams : ndarray of float, shape (block, stream)
        What detectors compare.
    moments : ndarray of float, shape (block, 7, node)
        What tells the change type; see ``node_statistics.Blocks``.
    """

    NOT_KEPT = frozenset({"_views", "_clock"})

    def __init__(self, views: NodeStatistics, clock: BlockClock) -> None:
        self.handed(views, clock)
        nodes = len(views.weights)
        self.streams = np.zeros((0, len(views.kinds[0])))
        self.moments = np.zeros((0, 7, nodes))
        self._times, self._rows = np.zeros(0, "datetime64[ns]"), np.zeros((0, nodes))
        self._before: tuple[np.datetime64, np.ndarray] | None = None

    def handed(self, views: NodeStatistics, clock: BlockClock) -> None:
        """Take what a state does not keep, for the monitor keeps it."""
        self._views, self._clock = views, clock

    @property
    def opened(self) -> np.datetime64 | None:
        """The first instant of the open block; None: it holds no row."""
        return self._times[0] if len(self._times) else None

    def add(self, time: np.datetime64, row: np.ndarray) -> None:
        """Put the residuals ``row`` (node,) of ``time`` into the open block."""
        self._times, self._rows = np.append(self._times, time), np.concatenate([self._rows, row[None]])

    def close(self) -> tuple[np.datetime64, np.ndarray]:
        """End the open block; answers its last instant, and which nodes (node,) showed nothing in it."""
        time, rows = self._times[-1], self._rows
        made = self.blocks(self._times, rows)
        self._before, self._times, self._rows = (time, rows[-1]), self._times[:0], rows[:0]
        self.take(made)
        return time, np.asarray(~np.isfinite(rows).any(axis=0))

    def take(self, made: Blocks) -> None:
        """Append blocks that are whole."""
        self.streams = np.concatenate([self.streams, made.streams])[-RECENT_BLOCKS:]
        self.moments = np.concatenate([self.moments, made.moments])[-RECENT_BLOCKS:]

    def blocks(self, times: np.ndarray, rows: np.ndarray) -> Blocks:
        """The blocks of ``rows``, with the last row of the block before them at hand for what jumps between the two."""
        led = [] if self._before is None else [self._before]
        number, at = self._clock.places(np.array([time for time, _ in led] + list(times), "datetime64[ns]"))
        made = self._views.blocks(np.concatenate([*(row[None] for _, row in led), rows]), number, at, self._clock.block,
                                  self._clock.daily)
        return Blocks(made.numbers[len(led):], made.streams[len(led):], made.moments[len(led):])

    def restart(self) -> None:
        """Forget everything."""
        self._times, self._rows, self._before = self._times[:0], self._rows[:0], None
        self.streams, self.moments = self.streams[:0], self.moments[:0]
