"""What a person has to agree to before it happens: a promotion that the gate allows, or a training that is asked for.

A request waits in the loop's state, so that it survives a kill; the answer is handed in from outside before a step. At
most one thing waits: nothing new is asked for while a challenger is on trial or an adaptation waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from terracast.adapt.promotion.paired_gate import Decision
from terracast.adapt.promotion.policy import NOBODY, AdaptationRequest, ApprovalRule
from terracast.adapt.promotion.verdict import Answer, Verdict
from terracast.streams.stateful import Stateful

DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class ApprovalRequest(Stateful):
    """What waits for a person.

    Attributes
    ----------
    act
        What the version was made for, or is to be made for.
    champion
        The version in service as it was asked.
    asked
        The instant of the step that asked.
    version
        The version that would serve; None where a training waits, which has made none yet.
    reason, mean_gain, p_value, pairs
        What speaks for it: of a promotion the gate's words and numbers.
    """

    act: AdaptationRequest
    champion: str
    asked: np.datetime64
    version: str | None = None
    reason: str = ""
    mean_gain: float = float("nan")
    p_value: float = float("nan")
    pairs: int = 0

    @property
    def name(self) -> str:
        """What a person calls it by: the number of the version, or the key of the adaptation."""
        return self.act.key if self.version is None else self.version


@dataclass(frozen=True)
class ApprovalNews:
    """What happened to a request in a step: it was ``asked``, or it ``expired``, and why."""

    happened: str
    request: ApprovalRequest
    reason: str
    at: np.datetime64


@dataclass
class Approvals(Stateful):
    """The request that waits, if one does. ``rule`` comes from the policy, ``answer`` from a person, before a step;
    ``news`` are of the step that runs."""

    rule: ApprovalRule = NOBODY
    waiting: ApprovalRequest | None = None
    answer: Answer | None = None
    news: list[ApprovalNews] = field(default_factory=list)
    NOT_KEPT = frozenset({"rule", "answer", "news"})

    def restored(self) -> None:
        """Without rule, answer and news, until they are handed in."""
        self.rule, self.answer, self.news = NOBODY, None, []

    def ask(self, act: AdaptationRequest, champion: str, now: np.datetime64, version: str | None = None,
            decision: Decision | None = None) -> None:
        """Let the act's training wait, or with a ``version`` its promotion, for which ``decision`` speaks."""
        found = ApprovalRequest(act, champion, now, version, act.reason) if decision is None else ApprovalRequest(
            act, champion, now, version, decision.reason, decision.mean_gain, decision.p_value, decision.n)
        self.waiting = found
        self.news.append(ApprovalNews("asked", found, found.reason, now))

    def judged(self, now: np.datetime64, champion: str, gate: Callable[[str], Verdict | None]) -> Verdict | None:
        """The verdict on a challenger that is carried out now: the gate's, or a person's where one has to agree.

        What the gate accepts then waits, and the gate is asked no more; other verdicts of the gate stand.
        """
        if self.waiting is None:
            found = gate(champion)
            if found is None or found.decision.verdict != "accept" or not self.rule.of_promotions:
                return found
            self.ask(found.act, champion, now, found.challenger, found.decision)
            return None
        request = self.waiting
        settled = None if request.version is None else self._settled(now, asked_for=self.rule.of_promotions)
        if settled is None or request.version is None:
            return None
        decision, answer = settled
        return Verdict(request.act, request.champion, request.version, decision, answer)

    def training(self, now: np.datetime64) -> Decision | None:
        """What became of the training that waits: ``accept``, ``decline`` or ``expire``; None while it waits."""
        settled = self._settled(now, asked_for=self.rule.of_adaptations)
        return None if settled is None else settled[0]

    def withdraw(self, now: np.datetime64, why: str) -> None:
        """What waits does so no longer: it was compared with a champion that serves no more."""
        if self.waiting is not None:
            self.news.append(ApprovalNews("expired", self.waiting, why, now))
        self.waiting = self.answer = None

    def take_news(self) -> tuple[ApprovalNews, ...]:
        """The news since they were last taken."""
        found, self.news = tuple(self.news), []
        return found

    def _settled(self, now: np.datetime64, *, asked_for: bool) -> tuple[Decision, Answer | None] | None:
        request, answer = self.waiting, self.answer
        assert request is not None, "asked only where one waits"
        if answer is None and asked_for and now - request.asked < self.rule.timeout:
            return None
        self.waiting = self.answer = None
        if answer is not None:
            verdict, reason = "accept" if answer.approved else "decline", answer.words
            if answer.approved:
                reason = f"{reason}; {request.reason}"
        elif not asked_for:
            verdict, reason = "accept", f"approval is no longer asked for; {request.reason}"
        else:
            verdict, reason = "expire", f"nobody approved it within {self.rule.timeout / DAY:g} days"
            self.news.append(ApprovalNews("expired", request, reason, now))
        return Decision(verdict, reason, request.mean_gain, request.p_value, request.pairs), answer
