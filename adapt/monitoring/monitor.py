"""The monitor: forecast residuals in, evidence of change out, at a stated number of false alarms a month."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from terracast.adapt.monitoring.calibration import Calibration, calibrate
from terracast.adapt.monitoring.channels.covariate_shift import Contexts
from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.adapt.monitoring.online_monitor import OnlineMonitor
from terracast.adapt.monitoring.statistics.reference_period import DAY, FEWEST_BLOCKS, MonitorError, ReferencePeriod

__all__ = ["DAY", "FEWEST_BLOCKS", "Calibration", "Evidence", "Monitor", "MonitorError"]


class Monitor(OnlineMonitor):
    """Watches standardised forecast residuals of one variable; made by ``Monitor.fit``, fed by ``observe``.

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

    @classmethod
    def fit(cls, residuals: np.ndarray, times: np.ndarray, false_alarms_per_month: float = 1.0, *, seed: int,
            nodes: Sequence[str] | None = None, block: np.timedelta64 | None = None,
            values: np.ndarray | None = None, by_node: bool = False, inputs: Contexts | None = None,
            pits: np.ndarray | None = None, levels: np.ndarray | None = None, detector: str = "scan") -> Monitor:
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
        levels : ndarray of float, shape (time, 2, node), optional
            What was observed, and what the weeks before had (``channels.observed_level``); without them the level
            itself is not watched.
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
                                      pits=pits, levels=levels)
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
