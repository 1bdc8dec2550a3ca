"""The latest blocks of statistics, and the open block whose rows are still coming."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from terracast.adapt.monitoring.detection.detector import RECENT_BLOCKS
from terracast.adapt.monitoring.statistics.node_statistics import Blocks, NodeStatistics
from terracast.adapt.monitoring.statistics.reference_period import BlockClock


class BlockHistory:
    """Turns rows of residuals into blocks of statistics, and keeps the last ``RECENT_BLOCKS`` of them.

    Attributes
    ----------
    streams : ndarray of float, shape (block, stream)
        What detectors compare.
    moments : ndarray of float, shape (block, 7, node)
        What tells the change type; see ``node_statistics.Blocks``.
    """

    def __init__(self, views: NodeStatistics, clock: BlockClock) -> None:
        self._views, self._clock = views, clock
        nodes = len(views.weights)
        self.streams = np.zeros((0, len(views.kinds[0])))
        self.moments = np.zeros((0, 7, nodes))
        self._times: list[np.datetime64] = []
        self._rows: list[np.ndarray] = []
        self._before: tuple[np.datetime64, np.ndarray] | None = None

    @property
    def opened(self) -> np.datetime64 | None:
        """The first instant of the open block; None: it holds no row."""
        return self._times[0] if self._times else None

    def add(self, time: np.datetime64, row: np.ndarray) -> None:
        """Put the residuals ``row`` (node,) of ``time`` into the open block."""
        self._times.append(time)
        self._rows.append(row)

    def close(self) -> tuple[np.datetime64, np.ndarray]:
        """End the open block; answers its last instant, and which nodes (node,) showed nothing in it."""
        time, rows = self._times[-1], np.stack(self._rows)
        made = self.blocks(np.array(self._times), rows)
        self._before, self._times, self._rows = (time, rows[-1]), [], []
        self.take(made)
        return time, ~np.isfinite(rows).any(axis=0)

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
        self._times, self._rows, self._before = [], [], None
        self.streams, self.moments = self.streams[:0], self.moments[:0]

    def state(self) -> dict[str, object]:
        """VersionHistory blocks, the open one, and the row before it."""
        return {"past": self.streams.copy(), "moments": self.moments.copy(),
                "times": np.array(self._times, "datetime64[ns]").astype(np.int64),
                "rows": np.array(self._rows, float).reshape(-1, self.moments.shape[2]),
                "before": None if self._before is None else
                {"time": int(self._before[0].astype(np.int64)), "row": self._before[1].copy()}}

    @classmethod
    def restore(cls, state: Mapping[str, Any], views: NodeStatistics, clock: BlockClock) -> BlockHistory:
        """What ``state`` described, for these views and this clock."""
        made = cls(views, clock)
        made.streams, made.moments = np.array(state["past"], float), np.array(state["moments"], float)
        made._times = [np.datetime64(int(time), "ns") for time in state["times"]]
        made._rows = [np.array(row, float) for row in state["rows"]]
        if state["before"] is not None:
            made._before = (np.datetime64(int(state["before"]["time"]), "ns"),
                            np.array(state["before"]["row"], float))
        return made
