"""A young stream grows up: what began with a short past begins anew when more of it is known."""

from __future__ import annotations

from typing import Protocol

from terracast.adapt.candidate import rows_at
from terracast.adapt.clock import Moment
from terracast.adapt.data_faults.data_faults import DataFaults
from terracast.adapt.deployment import Deployment
from terracast.adapt.learning_monitor import LearningMonitor, steps_of_block
from terracast.adapt.monitoring.channels.observed_level import levels_of
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
    experts anew at each doubling of the past. Both end when more would tell nothing new. After each change of clocks
    look again whether the target follows them. Most steps do nothing."""
    learning = loop.monitor if isinstance(loop.monitor, LearningMonitor) else loop.young
    changing = any(one.change_type != "health" for one in loop.episodes.active())
    if learning is not None and learning.is_ready and not changing:
        loop.watched = loop.watched.with_outside(moment).with_days_off(moment)  # more may be known of them by now
        _calibrate(loop, learning, moment)
    follows = loop.watched.clock_zone
    if loop.watched.has_seen_change(moment.now):
        loop.watched = loop.watched.with_clocks(moment, loop.watched.clocks)
    stream, is_other = loop.deployment.stream, loop.watched.clock_zone != follows
    if is_other:
        loop.deployment.ask(loop.watched.request)
    if stream is not None and (is_other or stream.has_outgrown):
        _regrow(loop, moment)


def _calibrate(loop: Growing, young: LearningMonitor, moment: Moment) -> None:
    watched, since, is_first = loop.watched, young.since - loop.watched.history, loop.monitor is young
    panel = watched.panel(moment, since)
    target = panel[watched.request.target]
    levels = levels_of(watched.ordinary(target), watched.values_outside(moment, since), young.times,
                       watched.request.step, watched.history)
    loop.monitor = young.calibrated(rows_at(target, young.times), levels, watched.is_off(young.times))
    loop.young = None if young.is_done else young
    loop.episodes.watched, loop.still_learning = loop.monitor.kinds, None
    if loop.faults is not None and is_first:  # later on they know what they have told
        loop.faults = loop.faults.relearnt(panel, loop.watched.request.step, steps_of_block(loop.monitor))


def _regrow(loop: Growing, moment: Moment) -> None:
    """What moves beside the target may be known only now, so covariates are chosen again."""
    if loop.watched.covariates_wanted:
        loop.watched = loop.watched.with_covariates(moment)
    known, beside = loop.watched.labels(moment, ALWAYS), loop.watched.covariates(moment, ALWAYS)
    loop.deployment.grow(known, moment.now, beside)
