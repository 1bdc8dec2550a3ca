"""Adapt: carry out the act that the loop wishes for: let its rung act, register, admit.

Idempotent by the act's key: killed after the version was registered, the next run finds it and admits it. A rung that
fails or does not help makes no version: the loop is told, and goes on.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from adapt.clock import Moment
from adapt.guard.policy import Act
from flows.outbox import flush, post, post_admission
from flows.quality_control import screened
from flows.saved_loop import load_loop, loop_part, receipts, save_loop
from flows.workspace import Workspace
from registry.lineage import Lineage
from streams.store import View

if TYPE_CHECKING:
    from adapt.guard.rung_maker import RungMaker
    from adapt.loop import Loop


def carry_out_wish(workspace: Workspace) -> str | None:
    """Carry out the loop's wish, if it has one; returns the version made, None where the rung made none."""
    view = workspace.store.read()
    if loop_part(workspace, view, "wish") is None:  # told without the models, which take seconds to load
        return None
    from adapt.guard.past import Past

    loop = load_loop(workspace, view)
    assert loop.wish is not None, "the loop and its part are of one snapshot"
    act, earlier = loop.wish, workspace.policy.earlier
    maker = workspace.maker(Past.restore(view.state("past")), workspace.registry.load)
    since = act.asked - maker.reach(act, loop.watched, earlier=earlier) - loop.reach
    moment = Moment(act.asked, screened(workspace, view, since=since))
    version, why, decision = workspace.registry.find(act.key), "", None
    if version is None:
        version, why = _made(workspace, view, loop, act, maker, moment)
    if version is not None and earlier:
        decision = maker.refusal(loop.champion.model, workspace.registry.load(version), loop.watched, moment,
                                 loop.told.values())
    with workspace.store.transaction(f"admit {act.key}") as step:
        current = load_loop(workspace, step)
        if current.wish != act:  # another run admitted it meanwhile
            return version
        if version is not None and workspace.policy.ladder is not None:
            maker.remember(act, version, loop.watched, moment, loop.champion.version)
        if version is None:
            current.decline(act, why)
        elif decision is not None:
            post(step, current.refuse(act, version, decision))
        else:
            post_admission(step, act, version, current.champion.version, gated=workspace.policy.gate is not None)
            current.admit(act, version, workspace.registry.load(version))
        if workspace.policy.ladder is not None:
            step.set_state("past", maker.past.state())
        save_loop(step, current)
    flush(workspace)
    return version


def _made(workspace: Workspace, view: View, loop: Loop, act: Act, maker: RungMaker,
          moment: Moment) -> tuple[str | None, str]:
    """Let the rung act on what was known when the act was asked for, and register what it made under the act's key with
    its receipt; None and why where it made nothing."""
    made = maker.make(loop.champion.model, loop.watched, moment, act, loop.champion.version)
    if made.forecaster is None:
        return None, made.receipt.why.removeprefix("dropped: ")
    shown = workspace.clock.shown
    kinds = [episode.sort for episode in loop.episodes.active() if episode.id == act.episode]
    lineage = Lineage(key=act.key, snapshot=view.snapshot, parent=made.parent or loop.champion.version,
                      episode_id=act.episode, alarm_kind=kinds[0] if kinds else None, policy_rung=act.rung,
                      graph_digest=graph_digest(view), config_digest=workspace.settings.digest(),
                      known_at=shown(act.asked), seed=maker.seed(act),
                      reference=(shown(act.asked - maker.window(act, loop.watched)), shown(act.asked)),
                      command="terracast adapt")
    receipt = made.receipt.as_json()
    measured = {name: float(receipt[name]) for name in ("loss_before", "loss_after", "seconds")  # type: ignore[arg-type]
                if receipt[name] is not None}
    example = loop.watched.panel(moment, moment.now - loop.watched.history)
    version = workspace.registry.add(made.forecaster, lineage, metrics=measured, panel=example,
                                     files={"receipt.json": json.dumps(receipt, indent=1, sort_keys=True)},
                                     request=workspace.request.at(moment.now))
    return version, ""


def graph_digest(view: View) -> str | None:
    """Digest of the causal graph in force, None before discovery."""
    state = view.state("causal")
    return None if state is None else str(state["digest"])


def adapt(config: str = "terracast.toml") -> dict[str, Any]:
    """Carry out the pending act of the loop; answers the version made, or null, and the receipt."""
    workspace = Workspace.open(config)
    before = receipts(workspace)
    version = carry_out_wish(workspace)
    return {"version": version, "receipts": [one for one in receipts(workspace) if one not in before]}
