"""The ladder: which rung to try for an episode, and when to climb.

Cheapest first, and higher only when the rung below had its time and did not bring the error back. Every act leaves a
``Attempt``, whose gain is measured afterwards, in service.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from terracast.adapt.monitoring.episodes.episodes import Episode
from terracast.streams.errors import TerracastError
from terracast.streams.instant import key_text
from terracast.streams.stateful import Stateful

WEEK = np.timedelta64(7, "D")
MONTH = np.timedelta64(28, "D")
CALM = 1.1  # error beside its usual below which nothing needs mending


class LadderError(TerracastError):
    """A ladder that is none."""


@dataclass(frozen=True)
class LadderStep:
    """One rung as the ladder sees it: its name, the types of episode that it can mend (empty: any), the largest size in
    deviations that it is tried on, the labels it needs from after the change, and about what it costs in seconds."""

    rung: str
    seconds: float
    needs: np.timedelta64
    change_types: tuple[str, ...] = ()
    largest: float = np.inf


@dataclass(frozen=True)
class Situation:
    """What the choice hangs on: the error of late beside its usual (a ratio; NaN: not known yet), how late labels
    come, and the seconds of computing left this month."""

    error_ratio: float
    label_delay: np.timedelta64
    seconds_left: float = np.inf


FAILED = ("dropped", "rejected", "rolled back")


@dataclass(frozen=True)
class Attempt(Stateful):
    """Receipt of one act: what, why, when, its cost as the ladder reckons, the error ratio before, and after (NaN
    until it is measured).

    ``outcome``: ``trial`` until the gate has spoken; ``dropped`` (the rung made nothing worth a trial), ``rejected``,
    ``accepted`` (at ``decided_at``), ``rolled back``. ``told``: what the rung, the gate, or service said.
    """

    episode: str
    rung: str
    why: str
    acted_at: np.datetime64
    seconds: float
    before: float
    after: float = float("nan")
    outcome: str = "trial"
    decided_at: np.datetime64 | None = None
    version: str | None = None
    told: str = ""

    @property
    def serves_since(self) -> np.datetime64:
        """From when the act could show in service."""
        return self.acted_at if self.decided_at is None else self.decided_at

    @property
    def gain(self) -> float:
        """The share of the excess error that went away: 1 all of it, below 0 it grew; NaN until measured."""
        return float((self.before - self.after) / max(self.before - 1.0, 1e-9))

    @property
    def sentence(self) -> str:
        """The receipt in words."""
        came = {"trial": "it is on trial", "accepted": "it serves"}.get(self.outcome, f"it was {self.outcome}")
        later = f"; the error went from {self.before:.2f} to {self.after:.2f} of its usual" \
            if np.isfinite(self.after) else ""
        return f"{self.rung} at {key_text(self.acted_at)}: {came}" \
               f"{f' ({self.told})' if self.told else ''}{later}"


@dataclass(frozen=True)
class Choice:
    """The step to take now, or None; ``why`` in one sentence either way."""

    step: LadderStep | None
    why: str


@dataclass(frozen=True)
class Ladder:
    """Steps, cheapest first. ``recovered``: the share of the excess error that a rung must take away for the ladder to
    stay; ``settle``: how long after its labels begin to come an act is judged. What acted a ``MONTH`` ago may act
    again: an episode that goes on has more labels by then.

    >>> from terracast.adapt.monitoring.episodes.episodes import EvidenceSum
    >>> from terracast.adapt.monitoring.diagnosis.evidence import Evidence
    >>> day = np.timedelta64(1, "D")
    >>> ladder = Ladder((LadderStep("output", 1.0, 3 * day), LadderStep("fine-tune", 60.0, 14 * day)))
    >>> at = np.datetime64("2020-03-01", "ns")
    >>> found = EvidenceSum.of(at, Evidence(at, at, ("a",), "level", "up", 2.0))
    >>> episode = Episode("e", "level", "growing", at, at, at, {"a": 2.0}, {"level": found})
    >>> now = Situation(error_ratio=1.6, label_delay=day)
    >>> ladder.choose(at + 2 * day, episode, now, ()).step is None
    True
    >>> ladder.choose(at + 5 * day, episode, now, ()).step.rung
    'output'
    """

    steps: tuple[LadderStep, ...]
    recovered: float = 0.5
    settle: np.timedelta64 = WEEK

    def __post_init__(self) -> None:
        names, costs = [step.rung for step in self.steps], [step.seconds for step in self.steps]
        if not names or len(set(names)) < len(names) or costs != sorted(costs) or not 0 < self.recovered <= 1:
            raise LadderError(f"steps are {names} at {costs} seconds", where="ladder",
                              expected="different rungs, cheapest first", remedy="sort them, drop doubles")

    def choose(self, now: np.datetime64, episode: Episode, situation: Situation, attempts: Sequence[Attempt]) -> Choice:
        """The next step for an episode; ``attempts`` are all acts so far, of any episode."""
        if episode.change_type == "health":
            return Choice(None, "an outage is a data ticket: nothing to adapt")
        if episode.performance_loss_since is None:
            return Choice(None, "only the context moved and errors did not: nothing to mend")
        if not situation.error_ratio > CALM:
            return Choice(None, f"the error is {situation.error_ratio:.2f} of its usual: nothing to mend")
        mine = [climb for climb in attempts if climb.episode == episode.id and now - climb.acted_at < MONTH]
        if mine and mine[-1].outcome not in FAILED:  # what failed changed nothing, so there is nothing to wait for
            judged = mine[-1].serves_since + situation.label_delay + self.settle
            if now < judged:
                return Choice(None, f"{mine[-1].rung} acted {_days(now - mine[-1].serves_since)} ago: "
                                    "too early to judge")
            won = (mine[-1].before - situation.error_ratio) / max(mine[-1].before - 1.0, 1e-9)
            if won >= self.recovered:
                return Choice(None, f"{mine[-1].rung} took away {won:.0%} of the excess error: no higher")
        return self._above(now, episode, situation, mine)

    def _above(self, now: np.datetime64, episode: Episode, situation: Situation, mine: Sequence[Attempt]) -> Choice:
        names = [step.rung for step in self.steps]
        first = max((names.index(climb.rung) + 1 for climb in mine if climb.rung in names), default=0)
        labelled = now - episode.since - situation.label_delay
        for step in self.steps[first:]:
            if (step.change_types and episode.change_type not in step.change_types) or episode.strength > step.largest:
                continue
            if labelled < step.needs:
                return Choice(None, f"{step.rung} needs {_days(step.needs)} of labels from after the change, "
                                    f"{_days(max(labelled, 0 * step.needs))} have come")
            if step.seconds > situation.seconds_left:
                return Choice(None, f"{step.rung} costs about {step.seconds:.0f} s, "
                                    f"{situation.seconds_left:.0f} s are left")
            below = f" after {mine[-1].rung} did not bring it back" if mine else ""
            return Choice(step, f"{episode.change_type} of {episode.strength:.1f} deviations, error "
                                f"{situation.error_ratio:.2f} of its usual{below}")
        return Choice(None, "no higher rung is left for it" if mine else "no rung mends such an episode")


def seconds_left(budget: float, attempts: Sequence[Attempt], now: np.datetime64) -> float:
    """What is left of a budget of seconds for any ``MONTH``."""
    return budget - sum(climb.seconds for climb in attempts if now - climb.acted_at < MONTH)


def measured(attempts: Sequence[Attempt], episode: str, error_ratio: float, now: np.datetime64,
             wait: np.timedelta64) -> list[Attempt]:
    """The receipts, with the error ratio of now in the newest of an episode that came to serve ``wait`` ago or longer;
    what failed has no gain."""
    told = list(attempts)
    for number in range(len(told) - 1, -1, -1):
        if told[number].episode == episode and told[number].outcome not in FAILED:
            if np.isnan(told[number].after) and now - told[number].serves_since >= wait and np.isfinite(error_ratio):
                told[number] = replace(told[number], after=error_ratio)
            break
    return told


def _days(span: np.timedelta64) -> str:
    return f"{span / np.timedelta64(1, 'D'):.1f} days"
