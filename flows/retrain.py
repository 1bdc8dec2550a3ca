"""Retrain: fit the base anew on all that is known, with drivers from discovery, and begin service with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from terracast.adapt.clock import Moment
from terracast.adapt.initialise import ServiceInit, serve
from terracast.adapt.loop import Loop
from terracast.drivers.negative_transfer import NegativeTransferMonitor
from terracast.flows.discover import current_statements, discover_now, made_by
from terracast.flows.discovery.saved_discovery import Discovery, save_discovery, saved_discovery
from terracast.flows.service.first_service import begun, note_short_past, task_at, too_early
from terracast.flows.service.loop_state import save_drivers, save_loop, save_reference
from terracast.flows.service.outbox import flush, send
from terracast.flows.service.quality_control import save_control, screened
from terracast.flows.service.serving_history import LOOP, HistoryEntry, add_entry, last_change, person
from terracast.flows.service.silence import service_tick
from terracast.flows.settings import nanoseconds
from terracast.flows.settings.clock import as_of
from terracast.flows.terminal.share_shown import Told, share_shown, silent, within
from terracast.flows.workspace import Workspace
from terracast.registry.lineage import Lineage
from terracast.streams.instant import key_text
from terracast.streams.store import Transaction, View

FRESH = np.timedelta64(1, "D")
REHEARSAL = 0.3  # share of the time behind the base in which its mixture goes through the past


def begin_service(workspace: Workspace, now: np.datetime64, by: str = LOOP,
                  at: np.datetime64 | None = None) -> str | None:
    """Begin service at the last tick before ``now`` that has values to go by; returns None, or what is waited for.

    Idempotent by its key: killed half-way, the next run finds the version and goes on. ``by`` and ``at`` (default: that
    tick) are who began it and when, for the history.
    """
    view = workspace.store.read()
    moment = Moment(service_tick(workspace, view, now), workspace.history(view))
    waiting = too_early(workspace, moment)
    if waiting is not None:
        return waiting
    note_short_past(workspace, moment)
    with share_shown("first service") as tell:
        history = screened(workspace, view, moment.now, tell=within(tell, 0.0, 0.2))
        moment = Moment(moment.now, history)
        discovery = _fresh(workspace, view, moment, within(tell, 0.2, 0.4))
        loop, beginning = fresh_loop(workspace, moment, discovery, within(tell, 0.4, 1.0))
    example = loop.watched.panel(moment, moment.now - loop.watched.history)
    version = register_base(workspace, view, moment, beginning, discovery, example)
    loop.champion.version = version
    with workspace.store.transaction(f"service begins {np.datetime_as_string(moment.now, 's')}") as step:
        save_discovery(step, discovery)
        save_drivers(step, NegativeTransferMonitor.begin(
            discovery.drivers, discovery.graph, loop, remembered=discovery.block, before=step.state("drivers")))
        save_loop(step, loop)
        save_control(step, history.control)
        save_reference(step, view.snapshot)
        _begin_entry(step, version, by, workspace.clock.shown(moment.now) if at is None else at)
    flush(workspace)
    return None


def _begin_entry(step: Transaction, version: str, by: str, at: np.datetime64) -> None:
    """History and outbox; the same beginning, repeated, is no second entry."""
    before = last_change(step)
    if before is None:
        reason = "service begins with the base"
    else:
        reason = "the base was fitted anew on all that is known"
    if before is None or (before.action, before.version) != ("began", version):
        add_entry(step, HistoryEntry(at, "began", version, by, reason, version))
    send(step, {"version": version, "serves": version, "verdict": "begin", "reason": reason, "by": by})


def _fresh(workspace: Workspace, view: View, moment: Moment, tell: Told) -> Discovery:
    """The saved discovery where it is at most ``FRESH`` old and was made with the same settings and knowledge, or a
    new one."""
    saved = saved_discovery(view.state("causal"))
    if saved is not None and moment.now - FRESH <= saved.known_at <= moment.now and saved.made_by == made_by(
            workspace, current_statements(workspace, view)):
        return saved
    return discover_now(workspace, moment, tell=tell)


def fresh_loop(workspace: Workspace, moment: Moment, discovery: Discovery,
               tell: Told = silent) -> tuple[Loop, ServiceInit]:
    """A loop that begins at ``moment`` with the policy in service, and what it was begun with."""
    settings = workspace.settings
    watched = task_at(workspace, moment, discovery, covariates=workspace.policy.mixes and settings.adapt.covariates)
    rehearsal = REHEARSAL if workspace.policy.mixes else 0.0
    beginning = begun(workspace, watched, moment, within(tell, 0.0, 1.0 - rehearsal))
    rehearse = within(tell, 1.0 - rehearsal, 1.0)
    loop = serve(watched, workspace.policy, beginning, "base", moment.now,
                 false_alarms_per_month=settings.stream.false_alarms_per_month, detector=settings.monitor.detector,
                 cooldown=nanoseconds(settings.adapt.cooldown), seed=settings.base.seed,
                 progress=lambda share: rehearse(share, "weighing the experts"))
    return loop, beginning


def register_base(workspace: Workspace, view: View, moment: Moment, beginning: ServiceInit,
                  discovery: Discovery, example: xr.Dataset) -> str:
    """Register the base under its instant's key, or find it there."""
    shown = workspace.clock.shown
    key = f"base-{key_text(shown(moment.now))}"
    lineage = Lineage(key=key, snapshot=view.snapshot, policy_rung="fit", graph_digest=discovery.digest,
                      config_digest=workspace.settings.digest(), known_at=shown(moment.now),
                      seed=workspace.settings.base.seed,
                      reference=tuple(shown(beginning.times[[0, -1]])) if len(beginning.times) else None,
                      command=f"terracast retrain --now {np.datetime_as_string(shown(moment.now), 's')}")
    return workspace.registry.add(beginning.base, lineage, files=discovery.files(),
                                  panel=example, request=workspace.request.at(moment.now))


def retrain(config: str = "terracast.toml", now: str | None = None, by: str | None = None) -> dict[str, Any]:
    """Fit the base anew as known at ``now`` and begin service with it; the former champion stays as ``previous``."""
    workspace = Workspace.open(config)
    at = as_of(now)
    waiting = begin_service(workspace, workspace.clock.even(at), person(by), at)
    return {"champion": workspace.registry.champion(), "waiting": waiting}
