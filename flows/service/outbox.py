"""The outbox: what a committed step still owes MLflow, and the reverse, what a person did there.

Every change of service is decided in one transaction of the store, with its entry in the history and a letter in the
outbox. Moving the alias comes after, by whoever is next, and may be repeated without harm. One process at a time
delivers. If a person moved the champion alias in MLflow itself, the loop follows, and that is an entry, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from terracast.adapt.promotion.ladder import Attempt
from terracast.adapt.promotion.policy import AdaptationRequest
from terracast.adapt.promotion.verdict import Verdict
from terracast.flows.service.serving_history import (
    ALIAS,
    LOOP,
    HistoryEntry,
    add_entry,
    entries,
    last_change,
    of_version,
)
from terracast.flows.workspace import Workspace
from terracast.registry.promotion import nominate, promote, rollback, withdraw
from terracast.registry.versions import Registry
from terracast.streams.store import ConflictError, Transaction

if TYPE_CHECKING:
    from terracast.adapt.loop import Loop

ACTIONS = {"accept": "promoted", "reject": "refused", "rollback": "rolled-back"}
PATIENCE = 120.0  # seconds that a person's act waits for a step to end
CONFLICTS = 5  # times that an act is tried again beside another writer on object storage


def post(step: Transaction, verdict: Verdict, at: np.datetime64) -> None:
    """Put a verdict that was carried out at ``at`` (a true stamp) into outbox and history of the open transaction.

    What a person declined is in the history already, and what nobody answered is news of its own.
    """
    decision, answer = verdict.decision, verdict.answer
    serves = verdict.challenger if decision.verdict == "accept" else verdict.champion
    letter: dict[str, object] = {
        "key": verdict.act.key, "version": verdict.challenger, "champion": verdict.champion, "serves": serves,
        "verdict": decision.verdict, "reason": decision.reason, "mean_gain": float(decision.mean_gain),
        "p_value": float(decision.p_value), "pairs": int(decision.n)}
    if answer is not None:
        letter |= {"answered_by": answer.by, "answered_at": f"{np.datetime_as_string(answer.at, 's')}Z",
                   "answer_note": answer.note}
    send(step, letter)
    if decision.verdict in ACTIONS:
        add_entry(step, HistoryEntry(at, ACTIONS[decision.verdict], verdict.challenger, LOOP, decision.reason, serves,
                                     verdict.act.key, decision.p_value, decision.mean_gain, decision.n))


def post_admission(step: Transaction, act: AdaptationRequest, version: str, champion: str, at: np.datetime64, *,
                   on_trial: bool) -> None:
    """Put the admission of a new version into outbox and history: a challenger, or at once the champion."""
    serves = champion if on_trial else version
    send(step, {"key": act.key, "version": version, "champion": champion, "serves": serves,
                "verdict": "challenge" if on_trial else "accept", "reason": act.reason})
    add_entry(step, HistoryEntry(at, "challenged" if on_trial else "promoted", version, LOOP, act.reason, serves,
                                 act.key))


def post_gain(step: Transaction, climb: Attempt) -> None:
    """Put what a version was worth in service, measured afterwards, into the outbox of the open transaction."""
    send(step, {"key": f"{climb.episode}-{climb.rung}", "version": str(climb.version), "verdict": "gain",
                "before": float(climb.before), "after": float(climb.after), "gain": float(climb.gain)})


def post_entry(step: Transaction, entry: HistoryEntry) -> None:
    """Add an entry that moves no alias; its version's ``history.json`` follows through the outbox."""
    add_entry(step, entry)
    if entry.version:
        send(step, {"version": entry.version, "verdict": "noted"})


def send(step: Transaction, letter: dict[str, object]) -> None:
    """Put one letter into the outbox of the open transaction."""
    step.set_state("outbox", {"letters": [*letters_of(step.state("outbox")), letter]})


def flush(workspace: Workspace) -> None:
    """Carry out what the outbox holds, in order, then empty it; safe to run again at any point."""
    if letters_of(workspace.store.read().state("outbox")):
        with _delivering(workspace):
            _deliver_all(workspace)


def by_hand(workspace: Workspace, message: str, decide: Callable[[Transaction], None]) -> None:
    """An act of a person: all that was decided before is delivered, then ``decide`` writes entry and letter, then that
    is delivered. Nobody else acts by hand meanwhile, and a step that decides first is let through first."""
    workspace.store.wait_seconds = PATIENCE
    with _delivering(workspace):
        for attempt in range(CONFLICTS):
            try:
                while not _decided(workspace, message, decide):
                    continue
                break
            except ConflictError:
                if attempt == CONFLICTS - 1:
                    raise
        _deliver_all(workspace)


def _decided(workspace: Workspace, message: str, decide: Callable[[Transaction], None]) -> bool:
    _deliver_all(workspace)
    with workspace.store.transaction(message) as step:
        if letters_of(step.state("outbox")):  # of a step that was committed just now: the aliases lag behind
            return False
        decide(step)
    return True


def _delivering(workspace: Workspace) -> AbstractContextManager[None]:
    """One process at a time: a letter delivered late would undo what was decided after it."""
    return workspace.registry.tracking.lock(f"{workspace.registry.name}.outbox")


def _deliver_all(workspace: Workspace) -> None:
    view = workspace.store.read()
    letters = letters_of(view.state("outbox"))
    if not letters:
        return
    for letter in letters:
        _deliver(workspace.registry, letter)
    held = entries(view)
    for version in sorted({str(letter[name]) for letter in letters for name in ("version", "serves")
                           if letter.get(name)}):
        told = {"history": of_version(held, version)}
        workspace.registry.log_text(version, "history.json", json.dumps(told, indent=1))
    with workspace.store.transaction("outbox carried out") as step:
        step.set_state("outbox", {"letters": letters_of(step.state("outbox"))[len(letters):]})


def _deliver(registry: Registry, letter: dict[str, object]) -> None:
    version, verdict, champion = str(letter["version"]), letter["verdict"], registry.champion()
    if verdict == "challenge":
        if champion != version:
            nominate(registry, version)
    elif verdict in ("accept", "promote"):
        if champion in (letter["champion"], version):  # else a person moved the alias since: the loop follows that
            promote(registry, version, decision=letter, expected_champion=champion,
                    despite_rollback=verdict == "promote")
            _keep_answer(registry, version, letter)
    elif verdict == "begin":
        promote(registry, version, decision=letter, despite_rollback=True)
    elif verdict == "gain":
        registry.log_text(version, "gain.json", json.dumps(letter, indent=1, sort_keys=True))
        registry.tag(version, gain_in_service=f"{letter['gain']:.0%} of the excess error went away: from "
                                              f"{letter['before']:.2f} to {letter['after']:.2f} of its usual")
    elif verdict == "rollback":
        if champion == version:  # else it was carried out before, or a person moved the alias
            rollback(registry, reason=str(letter["reason"]), expected_champion=version)
    elif verdict != "noted":
        registry.log_text(version, "decision.json", json.dumps(letter, indent=1, sort_keys=True))
        _keep_answer(registry, version, letter)
        withdraw(registry, version)


def _keep_answer(registry: Registry, version: str, letter: dict[str, object]) -> None:
    """Who agreed or declined, when and why, as tags of the version."""
    if "answered_by" in letter:
        word = "approved" if letter["verdict"] == "accept" else "declined"
        registry.tag(version, **{f"{word}_by": str(letter["answered_by"]), f"{word}_at": str(letter["answered_at"]),
                                 f"{word}_note": str(letter["answer_note"])})


def follow_alias(workspace: Workspace, step: Transaction, loop: Loop, now: np.datetime64) -> None:
    """Serve the version that the champion alias names, if a person moved it since the last step; an alias that was
    moved in MLflow itself is an entry at ``now``, the instant of this step."""
    owed = [str(letter["serves"]) for letter in letters_of(step.state("outbox")) if letter.get("serves")]
    named = owed[-1] if owed else workspace.registry.champion()
    if named is None or named == loop.champion.version:
        return
    known = last_change(step)
    if known is None or known.serves != named:
        post_entry(step, HistoryEntry(workspace.clock.shown(now), "promoted", named, ALIAS,
                                      "the alias champion was moved in MLflow", named))
    before = loop.champion.version
    answered = loop.deployment.replaced(named, workspace.registry.load(named))
    loop.approvals.withdraw(now, f"version {before}, which it was to replace, was replaced by hand")
    if answered is not None and loop.last_tick is not None:
        loop.attempt_log.decided(answered, "accepted", loop.last_tick, "it was promoted by hand")
    loop.monitor.restart()


def letters_of(state: dict[str, Any] | None) -> list[dict[str, object]]:
    """The letters of an outbox."""
    return [] if state is None else list(state["letters"])
