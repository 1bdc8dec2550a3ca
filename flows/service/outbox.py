"""The outbox: what a committed step still owes MLflow, and the reverse, what a person did there.

A decision is committed to the store together with its consequences for the loop; moving the alias comes after and
may be repeated without harm. If a person moved the champion alias by hand, the loop follows.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from terracast.adapt.promotion.ladder import Attempt
from terracast.adapt.promotion.policy import AdaptationRequest
from terracast.adapt.promotion.verdict import Verdict
from terracast.flows.workspace import Workspace
from terracast.registry.promotion import nominate, promote, rollback, withdraw
from terracast.registry.versions import Registry
from terracast.streams.store import Transaction

if TYPE_CHECKING:
    from terracast.adapt.loop import Loop


def post(step: Transaction, verdict: Verdict) -> None:
    """Put a gate's verdict into the outbox of the open transaction."""
    decision = verdict.decision
    _add(step, {"key": verdict.act.key, "version": verdict.challenger, "champion": verdict.champion,
                "verdict": decision.verdict, "reason": decision.reason, "mean_gain": float(decision.mean_gain),
                "p_value": float(decision.p_value), "pairs": int(decision.n)})


def post_admission(step: Transaction, act: AdaptationRequest, version: str, champion: str, *, gated: bool) -> None:
    """Put the admission of a new version into the outbox: a challenger, or at once the champion."""
    verdict = "challenge" if gated else "accept"
    _add(step, {"key": act.key, "version": version, "champion": champion, "verdict": verdict, "reason": act.reason})


def post_gain(step: Transaction, climb: Attempt) -> None:
    """Put what a version was worth in service, measured afterwards, into the outbox of the open transaction."""
    _add(step, {"key": f"{climb.episode}-{climb.rung}", "version": str(climb.version), "verdict": "gain",
                "before": float(climb.before), "after": float(climb.after), "gain": float(climb.gain)})


def flush(workspace: Workspace) -> None:
    """Carry out what the outbox holds, in order, then empty it; safe to run again at any point."""
    letters = _letters(workspace.store.read().state("outbox"))
    if not letters:
        return
    for letter in letters:
        _deliver(workspace.registry, letter)
    with workspace.store.transaction("outbox carried out") as step:
        step.set_state("outbox", {"letters": _letters(step.state("outbox"))[len(letters):]})


def _deliver(registry: Registry, letter: dict[str, object]) -> None:
    version, champion = str(letter["version"]), registry.champion()
    if letter["verdict"] == "challenge":
        if champion != version:
            nominate(registry, version)
    elif letter["verdict"] == "accept":
        if champion in (letter["champion"], version):  # else a person moved the alias since: the loop follows that
            promote(registry, version, decision=letter, expected_champion=str(letter["champion"]))
    elif letter["verdict"] == "gain":
        registry.log_text(version, "gain.json", json.dumps(letter, indent=1, sort_keys=True))
        registry.tag(version, gain_in_service=f"{letter['gain']:.0%} of the excess error went away: from "
                                              f"{letter['before']:.2f} to {letter['after']:.2f} of its usual")
    elif letter["verdict"] == "rollback":
        if champion == version:  # else it was carried out before, or a person moved the alias
            rollback(registry, reason=str(letter["reason"]), expected_champion=version)
    else:
        registry.log_text(version, "decision.json", json.dumps(letter, indent=1, sort_keys=True))
        withdraw(registry, version)


def _add(step: Transaction, letter: dict[str, object]) -> None:
    step.set_state("outbox", {"letters": [*_letters(step.state("outbox")), letter]})


def follow_alias(workspace: Workspace, loop: Loop) -> None:
    """Serve the version that the champion alias names, if a person moved it by hand since the last step."""
    named = workspace.registry.champion()
    if named is not None and named != loop.champion.version:
        loop.champion.version, loop.champion.model = named, workspace.registry.load(named)
        loop.monitor.restart()


def _letters(state: dict[str, Any] | None) -> list[dict[str, object]]:
    return [] if state is None else list(state["letters"])
