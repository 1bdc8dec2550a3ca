"""What the short leads of a forecast show once their labels came, fed to the monitor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import xarray as xr

from terracast.adapt.candidate import rows_at
from terracast.adapt.clock import Moment
from terracast.adapt.data_faults.data_faults import DataFaults
from terracast.adapt.evaluation.scores import pit, residual, spread_of
from terracast.adapt.learning_monitor import LearningMonitor
from terracast.adapt.monitoring.channels.covariate_shift import features
from terracast.adapt.monitoring.channels.observed_level import levels_of
from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.adapt.monitoring.diagnosis.units import DataUnits
from terracast.adapt.monitoring.monitor import Monitor
from terracast.adapt.task import ForecastTask
from terracast.streams.quality.known_flags import KnownFlags
from terracast.streams.stateful import Stateful


@dataclass(frozen=True)
class PendingEvidence(Stateful):
    """A forecast that the monitor has not seen all of, its short leads (lead, node, quantile): the model's own ``raw``
    and the ``served``; the features (feature, node) of its context (None: not watched); and how many leads were
    ``shown`` already."""

    issue_time: np.datetime64
    raw: np.ndarray
    served: np.ndarray | None
    context: np.ndarray | None
    shown: int = 0


class Observing(Protocol):
    """What observes of a loop (``adapt.loop.Loop``)."""

    watched: ForecastTask
    monitor: Monitor | LearningMonitor
    young: LearningMonitor | None
    faults: DataFaults | None
    units: DataUnits


def take_due(pending: Sequence[PendingEvidence], now: np.datetime64, labels: xr.DataArray, watched: ForecastTask
             ) -> tuple[list[tuple[PendingEvidence, int]], list[PendingEvidence]]:
    """What of the ``pending`` can be judged, each up to which lead, and what is pending from then on."""
    due: list[tuple[PendingEvidence, int]] = []
    for number, one in enumerate(pending):
        until = max(one.shown, leads_due(one, now, labels, watched))
        if until > one.shown:
            due.append((one, until))
        if until < len(one.raw):
            return due, [replace(one, shown=until), *pending[number + 1:]]
    return due, []


def leads_due(one: PendingEvidence, now: np.datetime64, labels: xr.DataArray, watched: ForecastTask) -> int:
    """Of how many short leads the labels (time, node) have all come, or are waited for no longer: a day is judged at
    the step that ends it. A node that showed nothing in all of the labels is not waited for."""
    if one.issue_time <= now - 2 * watched.cadence:
        return len(one.raw)
    times = watched.request.at(one.issue_time).valid_times[:len(one.raw)]
    known, alive = np.isfinite(rows_at(labels, times)), np.isfinite(labels.values).any(axis=0)
    came = (times <= now) & (known | (alive.any() & ~alive)).all(axis=1)
    return len(came) if came.all() else int(np.argmin(came))


def context_of(loop: Observing, panel: xr.Dataset) -> np.ndarray | None:
    """Features (feature, node) of the context ``panel`` that monitor or learner want; None where neither does."""
    variables = loop.monitor.variables or (() if loop.young is None else loop.young.variables)
    return features(loop.watched.ordinary_rows(panel), variables) if variables else None


def evidence_of(loop: Observing, due: Sequence[tuple[PendingEvidence, int]], moment: Moment, labels: xr.DataArray,
                flags: Mapping[str, KnownFlags]) -> list[Evidence]:
    """What the monitor finds in forecasts whose labels are ``due``, each up to a lead, and in the reports that did not
    come."""
    evidence: list[Evidence] = []
    watched, quantiles = loop.watched, loop.watched.request.quantiles
    since = labels["time"].values[0] if labels.sizes["time"] else moment.now
    outside, ordinary = (watched.values_outside(moment, since), watched.ordinary(labels)) if due else (None, labels)
    for one, until in due:
        leads, is_first = slice(one.shown, until), not one.shown
        times = watched.request.at(one.issue_time).valid_times[leads]
        known, context = rows_at(labels, times), one.context if is_first else None
        pits = None if one.served is None else pit(one.served[leads], known, quantiles)
        levels = levels_of(ordinary, outside, times, watched.request.step, watched.history)
        left = residual(one.raw[leads], known, quantiles)
        off = watched.is_off(times)
        left[off] = np.nan
        if pits is not None:
            pits[off] = np.nan
        found = loop.monitor.observe(times, left, pits, context, levels)
        if loop.young is not None:
            loop.young.observe(times, left, pits, context)
        if is_first:
            loop.units.learn(spread_of(one.raw, quantiles).mean(axis=0))
        evidence += [_in_units(loop, clue, moment) for clue in found]
        if loop.faults is not None:
            aside = flags[watched.domain].flagged(watched.request.target, times, watched.nodes, moment.now)
            evidence += loop.faults.reports.update(times, np.isfinite(known) | aside)
    return evidence


def _in_units(loop: Observing, clue: Evidence, moment: Moment) -> Evidence:
    if isinstance(loop.monitor, LearningMonitor):  # it finds nothing
        return clue
    scale = loop.monitor.calibration.views.reference.scale
    return loop.units.of(clue, scale, loop.watched.nodes, lambda since: loop.watched.labels(moment, since))
