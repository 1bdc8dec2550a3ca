"""A training that waits for a person: held back as it is asked for, released or given up by the answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from terracast.adapt.promotion.policy import AdaptationRequest

if TYPE_CHECKING:
    from terracast.adapt.loop import Loop


def hold_back(loop: Loop, act: AdaptationRequest) -> None:
    """Let a person decide whether ``act`` is carried out, and say so where its episode is read."""
    loop.approvals.ask(act, loop.champion.version, act.asked)
    loop.act_on(act.episode, f"Rung {act.rung} would be tried for it; it waits for approval")


def released(loop: Loop, now: np.datetime64) -> AdaptationRequest | None:
    """The act that waited, if it may be carried out now: with what is known by now. None while it waits, and where it
    was declined or nobody answered: it is then dropped."""
    waiting = loop.approvals.waiting
    settled = None if waiting is None else loop.approvals.training(now)
    if waiting is None or settled is None:
        return None
    act = replace(waiting.act, asked=now)
    if settled.verdict == "accept":
        return replace(act, reason=settled.reason)
    loop.attempt_log.acted(act, "dropped", told=settled.reason)
    loop.act_on(act.episode, f"Rung {act.rung} was not tried for it: {settled.reason}")
    return None
