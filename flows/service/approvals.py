"""Approvals: what waits for a person, what a person answered, and what is said of it to the outside.

The request lies in the saved loop; the answer lies in a state of its own, written by ``terracast approve`` or
``decline``. The next step hands it to the loop and carries it out, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from terracast.adapt.promotion.approval import ApprovalNews, ApprovalRequest
from terracast.adapt.promotion.verdict import Answer
from terracast.flows.alerting.alert import of_approval
from terracast.flows.alerting.outbox import post_alert
from terracast.flows.running.prefect_api import APPROVAL
from terracast.flows.service.events import post as post_event
from terracast.flows.service.loop_state import loop_part
from terracast.flows.service.outbox import by_hand, post_entry
from terracast.flows.service.serving_history import LOOP, HistoryEntry, last_change
from terracast.flows.settings import nanoseconds
from terracast.flows.workspace import Workspace
from terracast.streams.errors import TerracastError
from terracast.streams.store import Transaction, View

if TYPE_CHECKING:
    from terracast.adapt.loop import Loop

STATE = "approval"


class ApprovalError(TerracastError):
    """An answer to what does not wait."""


def waiting(workspace: Workspace, held: View) -> list[dict[str, Any]]:
    """What waits for a person, as plain data under true stamps; empty where nothing does."""
    request = _request(workspace, held)
    if request is None:
        return []
    shown, timeout = workspace.clock.shown, nanoseconds(workspace.settings.adapt.approval_timeout)
    answer = _answer(held, request)
    until = f"{np.datetime_as_string(shown(request.asked + timeout), 's')}Z"
    what_next = f"type `terracast approve {request.name}` or `terracast decline {request.name}` before {until}"
    if answer is not None:
        what_next = f"{answer.words}; the next step carries it out"
    return [{"name": request.name, "version": request.version, "key": request.act.key, "champion": request.champion,
             "asks": "promotion" if request.version else "adaptation", "reason": request.reason,
             "since": f"{np.datetime_as_string(shown(request.asked), 's')}Z", "until": until,
             "answer": None if answer is None else answer.words,
             "words": f"{_what(request)}: {request.reason}. It waits for approval: {what_next}."}]


def answer_request(workspace: Workspace, name: str, answer: Answer) -> dict[str, Any]:
    """Write a person's answer into store and history; the next step carries it out.

    Raises ``ApprovalError`` where what is named does not wait, or was answered so before. The last answer counts.
    """
    found: dict[str, Any] = {}

    def decide(step: Transaction) -> None:
        request = _request(workspace, step)
        number = workspace.registry.aliases().get(name, name)
        if request is None or number not in (request.name, request.act.key):
            raise ApprovalError(f"{name!r} does not wait for approval", where=workspace.settings.stream.name,
                                expected="nothing: nothing waits" if request is None else request.name,
                                remedy="see `terracast status`")
        before = _answer(step, request)
        if before is not None and before.approved == answer.approved:
            raise ApprovalError(f"{name!r} was {before.words} already", where=workspace.settings.stream.name,
                                expected="an answer that is new", remedy="wait for the next step")
        step.set_state(STATE, {"answer": {
            "name": request.name, "asked": str(request.asked), "approved": answer.approved, "by": answer.by,
            "at": str(answer.at), "note": answer.note}})
        served = last_change(step)
        post_entry(step, HistoryEntry(answer.at, "approved" if answer.approved else "declined", request.version or "",
                                      answer.by, answer.note or "no note was given",
                                      "" if served is None else served.serves, request.act.key, request.p_value,
                                      request.mean_gain, request.pairs))
        found.update(version=request.version, key=request.act.key,
                     answer="approved" if answer.approved else "declined", by=answer.by, note=answer.note)

    by_hand(workspace, f"{name} {answer.words}"[:200], decide)
    return found


def hand_in(step: View, loop: Loop) -> None:
    """Give the loop the answer to what waits, if there is one."""
    request = loop.approvals.waiting
    loop.approvals.answer = None if request is None else _answer(step, request)


def used_up(step: Transaction) -> None:
    """The loop has ticked and taken the answer, or what it answered waits no longer; in the open transaction."""
    state = step.state(STATE)
    if state is not None and state["answer"] is not None:
        step.set_state(STATE, {"answer": None})


def tell_news(step: Transaction, workspace: Workspace, news: Iterable[ApprovalNews], serves: str) -> None:
    """Say to the outside what was asked, and write down what expired; in the open transaction. ``serves``: the version
    in service."""
    shown, stream = workspace.clock.shown, workspace.settings.stream.name
    for one in news:
        request, at = one.request, shown(one.at)
        if one.happened == "asked":
            told = {"name": request.name, "version": request.version, "adaptation": request.act.key,
                    "champion": request.champion, "reason": one.reason, "approve": f"terracast approve {request.name}",
                    "decline": f"terracast decline {request.name}"}
            key = f"{request.name}:{request.asked}"
            post_event(step, APPROVAL, stream, key, at, told)
            post_alert(step, workspace.settings.alerts,
                       of_approval(request.name, f"{_what(request)}: {one.reason}.", stream, key))
        else:
            post_entry(step, HistoryEntry(at, "expired", request.version or "", LOOP, one.reason, serves,
                                          request.act.key, request.p_value, request.mean_gain, request.pairs))


def _what(request: ApprovalRequest) -> str:
    """What would happen if a person said yes."""
    if request.version:
        return f"Version {request.version} would replace version {request.champion}"
    return f"The adaptation {request.act.key} would be carried out"


def _request(workspace: Workspace, held: View) -> ApprovalRequest | None:
    found = loop_part(workspace, held, "approvals")
    request: ApprovalRequest | None = None if found is None else found.waiting
    return request


def _answer(held: View, request: ApprovalRequest) -> Answer | None:
    """The answer that was written to this very request."""
    state = held.state(STATE)
    said: Mapping[str, Any] | None = None if state is None else state["answer"]
    if said is None or (said["name"], said["asked"]) != (request.name, str(request.asked)):
        return None
    return Answer(said["approved"], said["by"], np.datetime64(said["at"]), said["note"])
