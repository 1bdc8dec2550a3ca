"""What is normal, frozen: units, limits and the one threshold that keeps the stated number of false alarms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from terracast.adapt.monitoring.channels.channels import Channels, share_of
from terracast.adapt.monitoring.detection.alarm_budget import allocate
from terracast.adapt.monitoring.detection.alarm_threshold import COOLDOWN_BLOCKS, by_place, threshold
from terracast.adapt.monitoring.detection.detector import Detector, ReferenceStatistics, detector_named
from terracast.adapt.monitoring.detection.glr_scan import WindowScan
from terracast.adapt.monitoring.diagnosis.compared_windows import Span
from terracast.adapt.monitoring.diagnosis.e_value import EValues
from terracast.adapt.monitoring.statistics.node_statistics import NodeStatistics
from terracast.adapt.monitoring.statistics.reference_period import BlockClock, MonitorError, ReferencePeriod
from terracast.streams.stateful import Stateful


@dataclass(frozen=True)
class Calibration(Stateful):
    """What ``calibrate`` froze.

    Attributes
    ----------
    nodes : tuple of str
        Their names.
    clock : BlockClock
        Steps and blocks.
    false_alarms_per_month : float
        The promise, over the whole network.
    detector : str
        The name of the detector that flags the errors' streams.
    threshold : float
        How strict it is, and how far the context and the intervals may go, to keep the promise.
    views : NodeStatistics
        The statistics.
    scan : WindowScan
        Limits of windows, by which a change is sized and placed, whichever detector found it.
    sure : EValues
        Bets against normal weeks.
    reference : tuple of datetime64, optional
        From when to just before when the reference lasted; None: not known.
    """

    nodes: tuple[str, ...]
    clock: BlockClock
    false_alarms_per_month: float
    detector: str
    threshold: float
    views: NodeStatistics
    scan: WindowScan
    sure: EValues
    reference: Span | None = None

    @property
    def span(self) -> np.timedelta64:
        """How long a block is."""
        return self.clock.span

    @property
    def block(self) -> int:
        """Steps of a block."""
        return self.clock.block


def calibrate(period: ReferencePeriod, false_alarms_per_month: float, *, seed: int, by_node: bool = False,
              detector: str = "scan") -> tuple[Calibration, Detector, Channels | None]:
    """Share the budget of false alarms out, fit what spends it, and find the threshold that keeps it.

    Parameters
    ----------
    period : ReferencePeriod
        Normal blocks.
    false_alarms_per_month : float
        The promise, over the whole network and all kinds of evidence together.
    seed : int
        Of the block bootstrap.
    by_node : bool
        Whether the alarms of each node count; else all alarms within a week are one.
    detector : str
        Which detector flags the errors' streams: see ``detector_named``.

    Returns
    -------
    Calibration, Detector, Channels or None
        What is frozen; the detector, which has seen the reference; the context and the intervals, where they are
        watched.

    Raises
    ------
    MonitorError, DetectorError
        Where there is no budget, or no such detector.
    """
    if false_alarms_per_month <= 0:
        raise MonitorError(f"{false_alarms_per_month} false alarms a month", where="monitor reference",
                           expected="a positive number", remedy="state how many are bearable")
    kinds, places = period.views.kinds
    clock, streams, records = period.clock, period.blocks.streams, period.records
    promised = false_alarms_per_month / clock.per_month
    reference = ReferenceStatistics(streams, kinds, allocate(promised * (1.0 - share_of(records)), streams, kinds))
    scan, chosen = WindowScan.fit(reference), detector_named(detector)
    fitted: Detector = scan if chosen is WindowScan else chosen.fit(reference)
    rehearsal = fitted.rehearsal(reference)
    channels, beside = (None, None) if not records else Channels.fit(records, promised)

    def trial(rows: np.ndarray) -> Callable[[float], np.ndarray]:
        flags, others = rehearsal(rows), None if beside is None else by_place(
            beside.scores(rows), np.tile(np.arange(len(period.nodes) + 1), len(records)))

        def alarms(level: float) -> np.ndarray:
            own = by_place(flags(level), places)
            return own if others is None else own | (others > level)
        return alarms

    limit = threshold(trial, streams.shape, clock.per_month, false_alarms_per_month, COOLDOWN_BLOCKS, seed,
                      by_node=by_node)
    frozen = Calibration(period.nodes, clock, false_alarms_per_month, detector, limit, period.views, scan,
                         EValues.fit(streams, kinds), period.span)
    live = fitted.at(limit)
    live.update_many(streams, len(streams))
    return frozen, live, channels
