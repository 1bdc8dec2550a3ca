"""Adapt: carry out the act that the loop wishes for: train, register, admit.

Idempotent by the act's key: killed after the version was registered, the next run finds it and admits it.
"""

from __future__ import annotations

from typing import Any

from prefect import flow

from adapt.clock import Moment
from adapt.guard.policy import Act
from adapt.loop import Loop
from flows.outbox import flush, post_admission
from flows.saved_loop import load_loop, save_loop
from flows.workspace import Workspace
from registry.lineage import Lineage
from streams.store import View


def carry_out_wish(workspace: Workspace) -> str | None:
    """Carry out the loop's wish, if it has one; returns the version made."""
    view = workspace.store.read()
    loop = load_loop(workspace, view)
    if loop.wish is None:
        return None
    version = workspace.registry.find(loop.wish.key) or _make(workspace, view, loop, loop.wish)
    with workspace.store.transaction(f"admit {loop.wish.key}") as step:
        current = load_loop(workspace, step)
        if current.wish != loop.wish:  # another run admitted it meanwhile
            return version
        post_admission(step, loop.wish, version, current.champion.version, gated=workspace.policy.gate is not None)
        current.admit(loop.wish, version, workspace.registry.load(version))
        save_loop(step, current)
    flush(workspace)
    return version


def _make(workspace: Workspace, view: View, loop: Loop, act: Act) -> str:
    """Train on what was known when the act was asked for, and register under its key."""
    since = act.asked - workspace.fine_tune.window - loop.reach
    moment = Moment(act.asked, view.history(since=since))
    model = workspace.fine_tune.make(loop.champion.model, loop.watched, moment, act)
    kinds = [episode.sort for episode in loop.episodes.active() if episode.id == act.episode]
    lineage = Lineage(key=act.key, snapshot=view.snapshot, parent=loop.champion.version, episode_id=act.episode,
                      alarm_kind=kinds[0] if kinds else None, policy_rung=act.rung,
                      graph_digest=graph_digest(view), config_digest=workspace.settings.digest(),
                      known_at=act.asked, seed=workspace.fine_tune.seed(act),
                      reference=(act.asked - workspace.fine_tune.window, act.asked),
                      command="terracast adapt")
    example = loop.watched.panel(moment, moment.now - loop.watched.history)
    return workspace.registry.add(model, lineage, panel=example, request=workspace.request.at(moment.now))


def graph_digest(view: View) -> str | None:
    """Digest of the causal graph in force, None before discovery."""
    state = view.state("causal")
    return None if state is None else str(state["digest"])


@flow(name="adapt")
def adapt(config: str = "terracast.toml") -> dict[str, Any]:
    """Carry out the pending act of the loop; answers the version made, or null."""
    return {"version": carry_out_wish(Workspace.open(config))}
