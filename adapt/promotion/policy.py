"""Policies: when the loop adapts, whether it calibrates, and what a new version must show before it serves.

Frozen, weekly and drift-only are the plain baselines that every replay prints beside the loop.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from terracast.adapt.monitoring.episodes.episodes import Episode
from terracast.adapt.promotion.e_process_gate import EProcessGate
from terracast.adapt.promotion.ladder import Ladder, LadderStep
from terracast.adapt.promotion.paired_gate import PairedGate
from terracast.streams.instant import key_text
from terracast.streams.stateful import Stateful


@dataclass(frozen=True)
class AdaptationRequest(Stateful):
    """A wish to adapt: ``key`` is its idempotency key everywhere (episode or schedule, then rung). ``since``: when what
    it answers seems to have begun."""

    key: str
    asked: np.datetime64
    reason: str
    episode: str | None = None
    rung: str = "fine-tune"
    since: np.datetime64 | None = None

    @property
    def seed(self) -> int:
        """The seed that it is carried out with: the same wherever an act of this key is.

        >>> AdaptationRequest("air-2015-03-04T06-fine-tune", np.datetime64("2015-03-04T06"), "an episode").seed
        741578536
        """
        return zlib.crc32(self.key.encode())


class Trigger(Protocol):
    """Decides at each tick whether to adapt."""

    def due(self, now: np.datetime64, last: np.datetime64, episodes: Sequence[Episode]) -> AdaptationRequest | None:
        """An act, or None. ``last``: when an act was last asked for (the start of service if never)."""
        ...


@dataclass(frozen=True)
class Never:
    """Leaves the model as it is."""

    def due(self, now: np.datetime64, last: np.datetime64, episodes: Sequence[Episode]) -> AdaptationRequest | None:
        return None


@dataclass(frozen=True)
class Every:
    """Adapts on a schedule, drift or not.

    >>> act = Every(np.timedelta64(7, "D")).due(np.datetime64("2020-01-08"), np.datetime64("2020-01-01"), ())
    >>> act.key
    'schedule-2020-01-08T00-fine-tune'
    """

    period: np.timedelta64

    def due(self, now: np.datetime64, last: np.datetime64, episodes: Sequence[Episode]) -> AdaptationRequest | None:
        if now - last < self.period:
            return None
        return AdaptationRequest(f"schedule-{key_text(now)}-fine-tune", now, "the schedule asks for it")


DEFAULT = "mixture"
WEEK = np.timedelta64(7, "D")
AT_ONCE = np.timedelta64(0, "h")


@dataclass(frozen=True)
class OnEpisode:
    """Adapts once per episode, ``settle`` after labels first told of it so that there is something new to learn from.

    A context that moved while errors and intervals are as before costs nothing, and is no reason to train.
    """

    settle: np.timedelta64 = AT_ONCE

    def due(self, now: np.datetime64, last: np.datetime64, episodes: Sequence[Episode]) -> AdaptationRequest | None:
        for episode in episodes:
            since = episode.performance_loss_since
            if since is not None and since > last - self.settle and now - since >= self.settle:
                return AdaptationRequest(f"{episode.id}-fine-tune", now, f"episode {episode.id}", episode.id)
        return None


@dataclass(frozen=True)
class Either:
    """Adapts when any of several triggers asks for it; the first in order gives the reason."""

    triggers: tuple[Trigger, ...]

    def due(self, now: np.datetime64, last: np.datetime64, episodes: Sequence[Episode]) -> AdaptationRequest | None:
        acts = (trigger.due(now, last, episodes) for trigger in self.triggers)
        return next((act for act in acts if act is not None), None)


@dataclass(frozen=True)
class ApprovalRule:
    """What waits for a person: ``none``, each ``promotion``, or ``everything``: trainings, too. ``timeout``: how long;
    then it is off.

    >>> ApprovalRule("promotion").of_promotions, ApprovalRule("promotion").of_adaptations
    (True, False)
    """

    mode: str = "none"
    timeout: np.timedelta64 = WEEK

    @property
    def of_promotions(self) -> bool:
        """Whether no version serves without a person."""
        return self.mode != "none"

    @property
    def of_adaptations(self) -> bool:
        """Whether nothing is trained without a person."""
        return self.mode == "everything"


NOBODY = ApprovalRule()  # has to agree


@dataclass(frozen=True)
class Policy:
    """A way to run the loop. ``gate`` None lets every new version serve at once; ``mixes``: what is served is the
    mixture of base and closed-form experts; ``ladder``: chooses a rung for each episode, beside the trigger, within a
    ``budget`` of seconds for any four weeks; ``earlier``: a newcomer must not be worse on earlier regimes either;
    ``approval``: what a person has to agree to."""

    name: str
    trigger: Trigger
    calibrates: bool
    gate: PairedGate | EProcessGate | None
    mixes: bool = False
    ladder: Ladder | None = None
    budget: float = math.inf
    earlier: bool = False
    approval: ApprovalRule = NOBODY


def policies(cadence: np.timedelta64, horizon: np.timedelta64) -> tuple[Policy, ...]:
    """Frozen, weekly, drift-only, loop and mixture for forecasts issued every ``cadence`` up to ``horizon`` ahead.

    The loop's gate looks after two weeks (or as many issues as its test needs) and after twice that. Under loop and
    mixture no version gets so far that forgot earlier regimes.
    """
    week = WEEK
    overlap = max(1, math.ceil(horizon / cadence))
    first = max(math.ceil(2 * week / cadence), 2 * overlap + 2)
    trigger = Either((OnEpisode(np.timedelta64(3, "D")), Every(4 * week)))
    gate = PairedGate(horizon_steps=overlap, looks=(first, 2 * first))
    return (
        Policy("frozen", Never(), calibrates=False, gate=None),
        Policy("weekly", Every(week), calibrates=False, gate=None),
        Policy("drift-only", OnEpisode(), calibrates=False, gate=None),
        Policy("loop", trigger, calibrates=True, gate=gate, earlier=True),
        Policy("mixture", trigger, calibrates=True, gate=EProcessGate(overlap), mixes=True, earlier=True),
    )


def ladder_policy(cadence: np.timedelta64, horizon: np.timedelta64, steps: tuple[LadderStep, ...],
                  budget: float = math.inf) -> Policy:
    """The ladder alone decides what to do about an episode; its newcomers pass earlier regimes and the betting gate."""
    return Policy("ladder", Never(), calibrates=True, gate=EProcessGate(max(1, math.ceil(horizon / cadence))),
                  ladder=Ladder(steps), budget=budget, earlier=True)


def always(period: np.timedelta64) -> Policy:
    """Adapts every ``period``, whatever happens, without a gate: the costly baseline."""
    return Policy("always", Every(period), calibrates=False, gate=None)
