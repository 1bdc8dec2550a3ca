"""Where a stream stands on its ladder: the level of its error, the acts so far, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from terracast.adapt.candidate import Score
from terracast.adapt.monitoring.episodes.episodes import Episode
from terracast.adapt.promotion.error_level import ErrorLevel
from terracast.adapt.promotion.ladder import Attempt, Situation, measured, seconds_left
from terracast.adapt.promotion.policy import AdaptationRequest, Policy
from terracast.streams.stateful import Stateful


@dataclass
class AttemptLog(Stateful):
    """``attempts``: receipts of all acts, oldest first; ``errors``: of what was served."""

    policy: Policy
    attempts: list[Attempt] = field(default_factory=list)
    errors: ErrorLevel = field(default_factory=ErrorLevel)
    NOT_KEPT = frozenset({"policy"})

    def due(self, now: np.datetime64, episodes: Sequence[Episode], delay: np.timedelta64) -> AdaptationRequest | None:
        """What the ladder wants done for the episodes there are, if the policy has one; ``delay``: how late labels
        come. Measures on the way what earlier acts were worth."""
        ladder = self.policy.ladder
        if ladder is None:
            return None
        for episode in episodes:
            ratio = self.errors.ratio(now, episode.since)
            self.attempts = measured(self.attempts, episode.id, ratio, now, delay + ladder.settle)
            left = seconds_left(self.policy.budget, self.attempts, now)
            choice = ladder.choose(now, episode, Situation(ratio, delay, left), self.attempts)
            if choice.step is not None:
                rung = choice.step.rung
                earlier = sum(climb.episode == episode.id and climb.rung == rung for climb in self.attempts)
                key = f"{episode.id}-{rung}" + (f"-{earlier + 1}" if earlier else "")
                return AdaptationRequest(key, now, choice.why, episode.id, rung, episode.since)
        return None

    def closed(self, scores: Sequence[Score]) -> None:
        """Forecasts that were served have closed."""
        for score in scores:
            self.errors.add(score.issue_time, float(np.nanmean(score.crps)) if score.labels.any() else np.nan)

    def acted(self, act: AdaptationRequest, outcome: str, version: str | None = None, told: str = "") -> None:
        """Write down an act that was carried out: of a ladder's all, of another policy's those that were dropped."""
        steps = () if self.policy.ladder is None else self.policy.ladder.steps
        if outcome != "dropped" and (not steps or act.episode is None):
            return
        costs = {step.rung: step.seconds for step in steps}
        ratio = self.errors.ratio(act.asked, act.asked if act.since is None else act.since)
        self.attempts.append(Attempt(act.episode or "schedule", act.rung, act.reason, act.asked,
                                     costs.get(act.rung, 0.0), ratio, outcome=outcome, version=version, told=told))

    def decided(self, act: AdaptationRequest, outcome: str, now: np.datetime64, told: str) -> None:
        """What became of the newest act of this rung for this episode."""
        for number in range(len(self.attempts) - 1, -1, -1):
            one = self.attempts[number]
            if (one.episode, one.rung, one.acted_at) == (act.episode, act.rung, act.asked):
                self.attempts[number] = replace(one, outcome=outcome, decided_at=now, told=told)
                return


def measured_since(before: Sequence[Attempt], now: Sequence[Attempt]) -> list[Attempt]:
    """Receipts of versions whose gain in service has been measured since ``before``; acts are only ever added."""
    known = [np.isfinite(climb.after) for climb in before] + [False] * (len(now) - len(before))
    return [climb for told, climb in zip(known, now, strict=True)
            if climb.version is not None and np.isfinite(climb.after) and not told]
