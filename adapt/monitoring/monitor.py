"""The monitor: forecast residuals in, evidence of change out, at a stated number of false alarms a month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from terracast.adapt.monitoring.calibration import Calibration, calibrate
from terracast.adapt.monitoring.channels.channels import Channels
from terracast.adapt.monitoring.channels.covariate_shift import Contexts
from terracast.adapt.monitoring.detection.detector import Detector, detector_named
from terracast.adapt.monitoring.diagnosis.diagnosis import Diagnosis
from terracast.adapt.monitoring.diagnosis.evidence import Evidence, of_nodes_that_vary
from terracast.adapt.monitoring.statistics.block_history import BlockHistory
from terracast.adapt.monitoring.statistics.reference_period import DAY, FEWEST_BLOCKS, MonitorError, ReferencePeriod
from terracast.streams.stateful import Stateful

__all__ = ["DAY", "FEWEST_BLOCKS", "Calibration", "Evidence", "Monitor", "MonitorError"]


class Monitor(Stateful):
    """Watches standardised forecast residuals of one variable; made by ``Monitor.fit``.

    Hourly residuals are too dependent for a detector, so it sees a few statistics a day: level and scale of each node
    by itself, given its neighbours, and of the whole network, how far a node swings with its neighbours, and its
    daily cycle (``node_statistics``). A detector flags those that changed (``detector``): by default each statistic
    is compared, over one to fourteen days, with the weeks before (``glr_scan``). One threshold on all of them keeps
    the promise (``alarm_threshold``). What is flagged is put down to the few nodes that explain it and given a change
    type (``diagnosis``). Where it was fitted with them, it watches the context of the forecasts and their intervals
    beside the errors (``channels``), within the same promise.

    Parameters
    ----------
    calibration : Calibration
        What is normal, frozen.
    detector : Detector
        At the calibrated threshold, with the reference seen.
    channels : Channels, optional
        Context and intervals; None: not watched.

    Examples
    --------
    >>> draws = np.random.default_rng(0)
    >>> times = np.datetime64("2020-01-01", "ns") + np.arange(24 * 110) * np.timedelta64(1, "h")
    >>> residuals = draws.normal(size=(len(times), 3))
    >>> residuals[24 * 95:, 1] += 2
    >>> monitor = Monitor.fit(residuals[:24 * 80], times[:24 * 80], nodes=("a", "b", "c"), seed=1)
    >>> found = monitor.observe(times[24 * 80:], residuals[24 * 80:])
    >>> strongest = max(found, key=lambda one: one.strength)
    >>> strongest.nodes, strongest.change_type, strongest.direction
    (('b',), 'level', 'up')
    """

    NOT_KEPT = frozenset({"news"})

    def __init__(self, calibration: Calibration, detector: Detector, channels: Channels | None = None) -> None:
        self.calibration, self.detector = calibration, detector
        self.history = BlockHistory(calibration.views, calibration.clock)
        self._channels = channels
        self._last: np.datetime64 | None = None
        self.restored()

    @classmethod
    def fit(cls, residuals: np.ndarray, times: np.ndarray, false_alarms_per_month: float = 1.0, *, seed: int,
            nodes: Sequence[str] | None = None, block: np.timedelta64 | None = None,
            values: np.ndarray | None = None, by_node: bool = False, inputs: Contexts | None = None,
            pits: np.ndarray | None = None, detector: str = "scan") -> Monitor:
        """Freeze what is normal and set the one threshold, from a reference period in which nothing changed.

        Parameters
        ----------
        residuals : ndarray of float, shape (time, node)
            (label - median) / spread of short leads. They must be out of sample (cross-fitted), else every threshold
            is too tight: that is the caller's job.
        times : ndarray of datetime64, shape (time,)
            Rising; gaps are allowed.
        false_alarms_per_month : float
            The promise, over the whole network. More finds smaller changes.
        seed : int
            Of the bootstrap that calibrates the threshold.
        nodes : sequence of str, optional
            Their names; default: their numbers.
        block : timedelta64, optional
            How long a block of statistics is; default: a day, or the longest part of one that gives 14 blocks.
        values : ndarray of float, shape (time, node), optional
            The observations themselves, by which nodes that never vary are known.
        by_node : bool
            Whether the promise counts the alarms of each node; else all alarms within a week are one.
        inputs : Contexts, optional
            The contexts of those forecasts; without them the context is not watched.
        pits : ndarray of float, shape (time, node), optional
            Where in those forecasts the labels fell (``adapt.evaluation.scores.pit``); without them intervals
            are not watched.
        detector : str
            What flags changed statistics: ``scan``, ``adwin``, ``page-hinkley``, ``kswin``, or one of your own
            (``detector_named``).

        Raises
        ------
        MonitorError
            Where the period is short, or shapes do not fit.
        DetectorError
            Where there is no such detector.
        """
        residuals, times = np.asarray(residuals, float), np.asarray(times, "datetime64[ns]")
        period = ReferencePeriod.read(residuals, times, nodes=nodes, block=block, values=values, inputs=inputs,
                                      pits=pits)
        return cls.on(period, false_alarms_per_month, seed=seed, by_node=by_node, detector=detector)

    @classmethod
    def on(cls, period: ReferencePeriod, false_alarms_per_month: float, *, seed: int, by_node: bool = False,
           detector: str = "scan") -> Monitor:
        """The part of ``fit`` that the promise decides, on a reference that was read already."""
        frozen, live, channels = calibrate(period, false_alarms_per_month, seed=seed, by_node=by_node,
                                            detector=detector)
        monitor = cls(frozen, live, channels)
        monitor.history.take(period.blocks)
        return monitor

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
                context: np.ndarray | None = None) -> tuple[Evidence, ...]:
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
        for time, row, fell in zip(times, residuals, placed, strict=True):
            if self._last is not None and time <= self._last:
                continue
            found += self._row(time, row, fell, context)
            context = None  # the rows of an issue share it
        return tuple(found)

    def _row(self, time: np.datetime64, row: np.ndarray, pit: np.ndarray | None,
             context: np.ndarray | None) -> list[Evidence]:
        """Take in one row, and close the block before it or the one that it ends."""
        clock = self.calibration.clock
        stale = self.history.opened is not None and clock.number(time) != clock.number(self.history.opened)
        found = self._close() if stale else []
        self.history.add(time, row)
        self._last = time
        if self._channels is not None:
            self._channels.update(pit, context)
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
