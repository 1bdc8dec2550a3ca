"""A young stream grows up: what began with a short past begins anew when more of it is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import xarray as xr

from terracast.adapt.candidate import Candidate, rows_at
from terracast.adapt.clock import Moment
from terracast.adapt.data_faults.data_faults import DataFaults
from terracast.adapt.deployment import Deployment
from terracast.adapt.learning_monitor import LearningMonitor, steps_of_block
from terracast.adapt.monitoring.channels.observed_level import against_weeks_before
from terracast.adapt.monitoring.episodes.episodes import Episodes
from terracast.adapt.monitoring.monitor import Monitor
from terracast.adapt.task import ALWAYS, ForecastTask


class Growing(Protocol):
    """What grows of a loop (``adapt.loop.Loop``)."""

    watched: ForecastTask
    monitor: Monitor | LearningMonitor
    young: LearningMonitor | None
    episodes: Episodes
    faults: DataFaults | None
    deployment: Deployment
    still_learning: str | None


def grow(loop: Growing, moment: Moment) -> None:
    """Calibrate the monitor once it has learnt enough, and again at each doubling while no change is open; begin the
    experts anew at each doubling of the past. Both end when more would tell nothing new. Most steps do nothing."""
    learning = loop.monitor if isinstance(loop.monitor, LearningMonitor) else loop.young
    changing = any(one.change_type != "health" for one in loop.episodes.active())
    if learning is not None and learning.is_ready and not changing:
        _calibrate(loop, learning, loop.watched.panel(moment, learning.since - loop.watched.history))
    young = [one for one in (loop.deployment.champion, *loop.deployment.shadows)
             if one.mixture is not None and one.mixture.has_outgrown]
    if young:
        _regrow(loop, young, moment)


def _calibrate(loop: Growing, young: LearningMonitor, panel: xr.Dataset) -> None:
    target, watched = panel[loop.watched.request.target], loop.watched
    loop.monitor = young.calibrated(rows_at(target, young.times), against_weeks_before(
        target, young.times, watched.request.step, watched.history))
    loop.young = None if young.is_done else young
    loop.episodes.watched, loop.still_learning = loop.monitor.kinds, None
    if loop.faults is not None:
        loop.faults = loop.faults.relearnt(panel, loop.watched.request.step, steps_of_block(loop.monitor))


def _regrow(loop: Growing, young: Sequence[Candidate], moment: Moment) -> None:
    """What moves beside the target may be known only now, so covariates are chosen again."""
    if loop.watched.covariates_wanted:
        loop.watched = loop.watched.with_covariates(moment)
    known, beside = loop.watched.labels(moment, ALWAYS), loop.watched.covariates(moment, ALWAYS)
    for one in young:
        one.grow(known, moment.now, beside)
