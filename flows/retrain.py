"""Retrain: fit the base anew on all that is known, with drivers from discovery, and begin service with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from prefect import flow

from adapt.clock import Moment
from adapt.loop import Loop
from adapt.service import Beginning, begin, serve
from flows.as_of import as_of
from flows.discover import discovery_or_none, made_by, shown, told_now
from flows.discovery.driver_service import DriverService
from flows.discovery.saved_discovery import Discovery, save_discovery, saved_discovery
from flows.output import progress
from flows.saved_loop import save_drivers, save_loop, save_reference
from flows.settings import nanoseconds
from flows.silence import service_tick
from flows.workspace import Workspace
from registry.lineage import Lineage
from registry.promotion import promote
from streams.store import View

FRESH = np.timedelta64(1, "D")


def begin_service(workspace: Workspace, now: np.datetime64) -> str | None:
    """Begin service at the last tick before ``now`` that has values to go by; returns None, or what is waited for.

    Idempotent by its key: killed half-way, the next run finds the version and goes on.
    """
    view = workspace.store.read()
    moment = Moment(service_tick(workspace, view, now), view.history())
    waiting = too_early(workspace, moment)
    if waiting is not None:
        return waiting
    discovery = _fresh(workspace, view, moment)
    loop, beginning = fresh_loop(workspace, moment, discovery)
    example = loop.watched.panel(moment, moment.now - loop.watched.history)
    version = register_base(workspace, view, moment, beginning, discovery, example)
    promote(workspace.registry, version, decision={"reason": "base: service begins, or was begun anew, by command"})
    loop.champion.version = version
    with workspace.store.transaction(f"service begins {np.datetime_as_string(moment.now, 's')}") as step:
        save_discovery(step, discovery)
        save_drivers(step, DriverService.begin(discovery, loop, step.state("drivers")))
        save_loop(step, loop)
        save_reference(step, view.snapshot)
    return None


def _fresh(workspace: Workspace, view: View, moment: Moment) -> Discovery:
    """The saved discovery where it is at most ``FRESH`` old and was made with the same settings and knowledge, or a
    new one."""
    saved = saved_discovery(view.state("causal"))
    if saved is not None and moment.now - FRESH <= saved.known_at <= moment.now and saved.made_by == made_by(
            workspace, told_now(workspace, view)):
        return saved
    with progress("discovering causes", 1000) as advance:
        return discovery_or_none(workspace, moment, tell=shown(advance))


def too_early(workspace: Workspace, moment: Moment) -> str | None:
    """Why service cannot begin yet, in words, or None."""
    domain, needed = workspace.settings.stream.domain, workspace.settings.base.first_fit
    if domain not in moment.domains:
        return f"nothing of domain {domain} is in the store; put files where [[sources]] looks"
    time = moment.known(domain)["time"].values
    have = pd.Timedelta(time[-1] - time[0]) if len(time) else pd.Timedelta(0)
    if have + workspace.settings.stream.cadence < needed:
        return f"{have / pd.Timedelta('1D'):.0f} of {needed / pd.Timedelta('1D'):.0f} days of {domain} are known"
    return None


def fresh_loop(workspace: Workspace, moment: Moment, discovery: Discovery) -> tuple[Loop, Beginning]:
    """A loop that begins at ``moment`` with the policy in service, and what it was begun with."""
    settings = workspace.settings
    nodes = tuple(str(node) for node in moment.known(settings.stream.domain)["node"].values)
    watched = workspace.watched(nodes, discovery.inputs())
    if workspace.policy.mixes and settings.adapt.company:
        watched = watched.in_company(moment)
    beginning = begin(watched, moment, workspace.fit, seed=settings.base.seed)
    loop = serve(watched, workspace.policy, beginning, "base", moment.now,
                 false_alarms_per_month=settings.stream.false_alarms_per_month,
                 cooldown=nanoseconds(settings.adapt.cooldown), seed=settings.base.seed)
    return loop, beginning


def register_base(workspace: Workspace, view: View, moment: Moment, beginning: Beginning,
                  discovery: Discovery, example: xr.Dataset) -> str:
    """Register the base under its instant's key, or find it there."""
    key = f"base-{np.datetime_as_string(moment.now, 'h')}"
    lineage = Lineage(key=key, snapshot=view.snapshot, policy_rung="fit", graph_digest=discovery.digest,
                      config_digest=workspace.settings.digest(), known_at=moment.now,
                      seed=workspace.settings.base.seed,
                      reference=(beginning.times[0], beginning.times[-1]),
                      command=f"terracast retrain --now {np.datetime_as_string(moment.now, 's')}")
    return workspace.registry.add(beginning.base, lineage, files=discovery.files(),
                                  panel=example, request=workspace.request.at(moment.now))


@flow(name="retrain")
def retrain(config: str = "terracast.toml", now: str | None = None) -> dict[str, Any]:
    """Fit the base anew as known at ``now`` and begin service with it; the former champion stays as ``previous``."""
    workspace = Workspace.open(config)
    waiting = begin_service(workspace, as_of(now))
    return {"champion": workspace.registry.champion(), "waiting": waiting}
