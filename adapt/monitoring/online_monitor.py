"""The monitor at work: rows of residuals in, evidence of change out, by what was frozen before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from terracast.adapt.monitoring.calibration import Calibration
from terracast.adapt.monitoring.channels.channels import Channels
from terracast.adapt.monitoring.detection.detector import Detector, detector_named
from terracast.adapt.monitoring.diagnosis.diagnosis import Diagnosis
from terracast.adapt.monitoring.diagnosis.evidence import Evidence, of_nodes_that_vary
from terracast.adapt.monitoring.statistics.block_history import BlockHistory
from terracast.streams.stateful import Stateful


class OnlineMonitor(Stateful):
    """Gathers rows into blocks, shows each whole block to the detector, and puts what it flags into words.

    Parameters
    ----------
    calibration : Calibration
        What is normal, frozen.
    detector : Detector
        At the calibrated threshold, with the reference seen.
    channels : Channels, optional
        Context and intervals; None: not watched.
    """

    NOT_KEPT = frozenset({"news"})

    def __init__(self, calibration: Calibration, detector: Detector, channels: Channels | None = None) -> None:
        self.calibration, self.detector = calibration, detector
        self.history = BlockHistory(calibration.views, calibration.clock)
        self._channels = channels
        self._last: np.datetime64 | None = None
        self.restored()

    def restored(self) -> None:
        """What reads the calibration beside the monitor."""
        self.news = Diagnosis(self.calibration)
        self.history.handed(self.calibration.views, self.calibration.clock)

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Self:
        """See ``Stateful.restore``. The detector's name finds its class, which may be one of another package;
        ``DetectorError`` where that is not installed any more."""
        detector_named(str(state["calibration"]["detector"]))
        return super().restore(state)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which kinds of evidence are watched, data tickets aside."""
        return ("error", *(() if self._channels is None else self._channels.kinds))

    @property
    def status(self) -> dict[str, str]:
        """A sentence for each kind that is watched beside errors: how it stands, change or not."""
        return {} if self._channels is None else self._channels.status()

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables by whose features the context is known (``covariate_shift.features``); none: not watched."""
        return () if self._channels is None else self._channels.variables

    def observe(self, times: np.ndarray, residuals: np.ndarray, pits: np.ndarray | None = None,
                context: np.ndarray | None = None, levels: np.ndarray | None = None) -> tuple[Evidence, ...]:
        """Take in newly matured rows; O(rows × nodes).

        Rows not later than the last one seen are ignored (each time counts once).

        Parameters
        ----------
        times : ndarray of datetime64, shape (row,)
            Rising. Where the times of one call fall, a ticket says so.
        residuals : ndarray of float, shape (row, node)
            NaN: the label did not come, or was set aside.
        pits : ndarray of float, shape (row, node), optional
            Where the labels fell in the forecast that the rows are of.
        context : ndarray of float, shape (feature, node), optional
            Of the issue that the rows are of.
        levels : ndarray of float, shape (row, 2, node), optional
            What was observed, and what the weeks before had.

        Returns
        -------
        tuple of Evidence
            What is new, oldest first.
        """
        found: list[Evidence] = []
        residuals = np.asarray(residuals, float)
        placed = [None] * len(residuals) if pits is None else list(np.asarray(pits, float))
        times = np.asarray(times, "datetime64[ns]")
        if (back := np.flatnonzero(np.diff(times.astype(np.int64)) < 0)).size:
            now = np.max(times) if self._last is None else max(np.max(times), self._last)
            found.append(Evidence(now, times[back[0] + 1], self.calibration.nodes, "health", "none", 0.0, "clock"))
        beside = [None] * len(residuals) if levels is None else list(np.asarray(levels, float))
        for time, row, fell, level in zip(times, residuals, placed, beside, strict=True):
            if self._last is not None and time <= self._last:
                continue
            found += self._row(time, row, fell, context, level)
            context = None  # the rows of an issue share it
        return tuple(found)

    def _row(self, time: np.datetime64, row: np.ndarray, pit: np.ndarray | None,
             context: np.ndarray | None, level: np.ndarray | None) -> list[Evidence]:
        """Take in one row, and close the block before it or the one that it ends."""
        clock = self.calibration.clock
        stale = self.history.opened is not None and clock.number(time) != clock.number(self.history.opened)
        found = self._close() if stale else []
        self.history.add(time, row)
        self._last = time
        if self._channels is not None:
            self._channels.update(pit, context, level)
        return found + (self._close() if clock.number(time + clock.step) != clock.number(time) else [])

    def _close(self) -> list[Evidence]:
        """End the block: let the detector see it, and put what it flags into words."""
        frozen = self.calibration
        time, unseen = self.history.close()
        flags = self.detector.update(self.history.streams)
        found = self.news.of(time, flags, self.history.streams, self.history.moments, unseen)
        if self._channels is not None:
            found += self._channels.close(time, time + frozen.clock.step, frozen, unseen)
        return of_nodes_that_vary(found, frozen.nodes, self.history.streams[:, :len(frozen.nodes)])

    def restart(self) -> None:
        """Forget what was seen, keep what is normal and the threshold: for a new champion."""
        self.history.restart()
        self.detector.restart()
        if self._channels is not None:
            self._channels.reset()
