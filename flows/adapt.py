"""Adapt: carry out the act that the loop wishes for: let its rung act, register, admit.

Idempotent by the act's key: killed after the version was registered, the next run finds it and admits it. A rung that
fails or does not help makes no version: the loop is told, and goes on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from terracast.adapt.clock import Moment
from terracast.adapt.promotion.policy import AdaptationRequest
from terracast.flows.rebuild import FILE, kept_for_rebuild
from terracast.flows.service.approvals import tell_news
from terracast.flows.service.loop_state import load_loop, loop_part, receipts, save_loop, save_part, saved_part
from terracast.flows.service.outbox import flush, post, post_admission
from terracast.flows.service.quality_control import screened
from terracast.flows.workspace import Workspace
from terracast.registry.lineage import Lineage
from terracast.streams.store import View

if TYPE_CHECKING:
    from terracast.adapt.loop import Loop
    from terracast.adapt.promotion.executor import Executor, Made
    from terracast.stfm.forecaster import Forecaster


def carry_out_request(workspace: Workspace) -> str | None:
    """Carry out the loop's wish, if it has one; returns the version made, None where the rung made none."""
    view = workspace.store.read()
    if loop_part(workspace, view, "adaptation_request") is None:  # told without the models, which take seconds to load
        return None
    from terracast.adapt.admission import examine, settle
    from terracast.adapt.promotion.version_history import VersionHistory

    loop = load_loop(workspace, view)
    assert loop.adaptation_request is not None, "the loop and its part are of one snapshot"
    act, policy = loop.adaptation_request, workspace.policy
    remembered = saved_part(view, "past")
    past = VersionHistory() if remembered is None else VersionHistory.restore(remembered)
    maker = workspace.maker(past, workspace.registry.load)
    since = act.asked - maker.reach(act, loop.watched, earlier=policy.earlier) - loop.reach
    moment = Moment(act.asked, screened(workspace, view, since=since))
    admission = examine(act, loop, moment, maker, Registered(workspace, view, loop, maker, moment, since))
    with workspace.store.transaction(f"admit {act.key}") as step:
        current = load_loop(workspace, step)
        if current.adaptation_request != act:  # another run admitted it meanwhile
            return admission.version
        champion, refused = current.champion.version, settle(admission, current)
        at = workspace.clock.shown(act.asked)
        if refused is not None:
            post(step, refused, at)
        elif admission.version is not None:
            post_admission(step, act, admission.version, champion, at, on_trial=current.challenger is not None)
        tell_news(step, workspace, current.approvals.take_news(), current.champion.version)
        if policy.ladder is not None or policy.earlier:
            save_part(step, "past", maker.past)
        save_loop(step, current)
    flush(workspace)
    return admission.version


@dataclass(frozen=True)
class Registered:
    """The registry as the place where versions are kept, each with the lineage and the receipt of what made it, and
    with what ``terracast rebuild`` makes it again from. Data were read from ``since`` on."""

    workspace: Workspace
    view: View
    loop: Loop
    maker: Executor
    moment: Moment
    since: np.datetime64

    def find(self, act: AdaptationRequest) -> str | None:
        """The version registered under the act's key."""
        return self.workspace.registry.find(act.key)

    def load(self, version: str) -> Forecaster:
        """The forecaster of a registered version."""
        return self.workspace.registry.load(version)

    def add(self, act: AdaptationRequest, forecaster: Forecaster, made: Made) -> str:
        """Register what the act made under its key."""
        workspace, loop, moment, shown = self.workspace, self.loop, self.moment, self.workspace.clock.shown
        kinds = [episode.change_type for episode in loop.episodes.active() if episode.id == act.episode]
        lineage = Lineage(key=act.key, snapshot=self.view.snapshot, parent=made.parent or loop.champion.version,
                          episode_id=act.episode, alarm_kind=kinds[0] if kinds else None, policy_rung=act.rung,
                          graph_digest=graph_digest(self.view), config_digest=workspace.settings.digest(),
                          known_at=shown(act.asked), seed=self.maker.seed(act),
                          reference=(shown(act.asked - self.maker.window(act, loop.watched)), shown(act.asked)),
                          command=f"terracast rebuild {act.key}")
        receipt = made.receipt.as_json()
        measured = {name: float(receipt[name]) for name in ("loss_before", "loss_after", "seconds")
                    if receipt[name] is not None}
        return workspace.registry.add(forecaster, lineage, metrics=measured,
                                      panel=loop.watched.panel(moment, moment.now - loop.watched.history),
                                      files={"receipt.json": json.dumps(receipt, indent=1, sort_keys=True),
                                             FILE: kept_for_rebuild(self.view, act, loop.watched,
                                                                    loop.champion.version, self.since)},
                                      request=workspace.request.at(moment.now))


def graph_digest(view: View) -> str | None:
    """Digest of the causal graph in force, None before discovery."""
    state = view.state("causal")
    return None if state is None else str(state["digest"])


def adapt(config: str = "terracast.toml") -> dict[str, Any]:
    """Carry out the pending act of the loop; answers the version made, or null, and the receipt."""
    workspace = Workspace.open(config)
    before = receipts(workspace)
    version = carry_out_request(workspace)
    return {"version": version, "receipts": [one for one in receipts(workspace) if one not in before]}
