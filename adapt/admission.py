"""Admission: how what an act made comes to a trial, is refused, or was nothing, the same live and in replay.

``examine`` may take minutes and changes nothing but what is remembered; ``settle`` tells the loop, in no time. A live
service does the first outside a transaction and the second within.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from terracast.adapt.clock import Moment
from terracast.adapt.loop import Loop
from terracast.adapt.promotion.executor import Executor, Made
from terracast.adapt.promotion.paired_gate import Decision
from terracast.adapt.promotion.policy import AdaptationRequest
from terracast.adapt.promotion.verdict import Verdict
from terracast.adapt.trial import Trial
from terracast.stfm.forecaster import Forecaster


class Versions(Protocol):
    """Where versions are kept: a registry in service, memory in a replay."""

    def find(self, act: AdaptationRequest) -> str | None:
        """The version that this act has made before, as where a run was killed; None if it has made none."""
        ...

    def add(self, act: AdaptationRequest, forecaster: Forecaster, made: Made) -> str:
        """Keep what the act made, and give it the name of a version."""
        ...

    def load(self, version: str) -> Forecaster:
        """The forecaster of a version."""
        ...


@dataclass(frozen=True)
class InMemory:
    """Versions of a replay, by the keys of the acts that made them."""

    held: dict[str, Forecaster] = field(default_factory=dict)

    def find(self, act: AdaptationRequest) -> str | None:
        """Its key, if the act has made something."""
        return act.key if act.key in self.held else None

    def add(self, act: AdaptationRequest, forecaster: Forecaster, made: Made) -> str:
        """Its key."""
        self.held[act.key] = forecaster
        return act.key

    def load(self, version: str) -> Forecaster:
        """What was added under this name."""
        return self.held[version]


@dataclass(frozen=True)
class Admission:
    """What an act came to.

    Attributes
    ----------
    version, newcomer
        What it made; None where the rung made nothing worth a trial.
    why
        Why it made nothing.
    refusal
        Why the newcomer may not even be tried; None where nothing speaks against it.
    """

    act: AdaptationRequest
    version: str | None
    newcomer: Forecaster | None
    why: str = ""
    refusal: Decision | None = None

    @property
    def admitted(self) -> bool:
        """Whether there is a version that may be tried, or serve where there is no gate."""
        return self.newcomer is not None and self.refusal is None


def examine(act: AdaptationRequest, loop: Loop, moment: Moment, maker: Executor, versions: Versions) -> Admission:
    """Make what the act asks for, from what is known at ``moment``, and test whether it forgot earlier regimes."""
    champion, watched, policy = loop.champion, loop.watched, loop.policy
    version = versions.find(act)
    if version is None:
        made = maker.make(champion.model, watched, moment, act, champion.version)
        if made.forecaster is None:
            return Admission(act, None, None, made.receipt.why.removeprefix("dropped: "))
        version = versions.add(act, made.forecaster, made)
    if policy.ladder is not None:
        maker.remember(act, version, watched, moment, champion.version)
    newcomer, refusal = versions.load(version), None
    if policy.earlier:
        refusal = maker.refusal(champion.model, newcomer, watched, moment, loop.episodes_by_id.values())
    return Admission(act, version, newcomer, refusal=refusal)


def settle(admission: Admission, loop: Loop) -> Verdict | None:
    """Tell the loop what its wish came to; the verdict of a refusal.

    An admitted version goes on trial, or serves at once where the policy has no gate and nobody must agree. It
    inherits the champion's
    corrections as they stand and learns its own from then on.
    """
    act, version, newcomer, refusal = admission.act, admission.version, admission.newcomer, admission.refusal
    champion = loop.champion
    loop.adaptation_request = None
    if version is None or newcomer is None:
        loop.attempt_log.acted(act, "dropped", told=admission.why)
        loop.act_on(act.episode, f"Rung {act.rung} was tried for it and dropped: {admission.why}")
        return None
    if refusal is not None:
        loop.attempt_log.acted(act, "rejected", version, refusal.reason)
        loop.act_on(act.episode, f"Version {version}, trained for it, did not replace version {champion.version}: "
                    f"{refusal.reason}")
        return Verdict(act, champion.version, version, refusal)
    if loop.policy.gate is None and not loop.approvals.rule.of_promotions:
        loop.attempt_log.acted(act, "accepted", version)
        loop.act_on(act.episode, f"Version {version}, trained for it, serves instead of {champion.version}")
        champion.version, champion.model = version, newcomer
        loop.monitor.restart()
        return None
    loop.attempt_log.acted(act, "trial", version)
    until = "the gate decides"
    if loop.policy.gate is None:
        until = "a person approves or declines it"
        loop.approvals.ask(act, champion.version, act.asked, version)
    loop.act_on(act.episode, f"Version {version} was trained for it and forecasts beside the champion until {until}")
    loop.deployment.trial = Trial(champion.successor(version, newcomer), act, loop.policy.gate)
    return None
