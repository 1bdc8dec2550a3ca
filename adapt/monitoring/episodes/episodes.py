"""Episodes: all evidence of one change of the world folds into one, from first evidence to recovery."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from terracast.adapt.monitoring.diagnosis.evidence import CHANNELS, COSTS, Evidence, channel_of
from terracast.adapt.monitoring.episodes.alarm_text import (
    NOT_ACTED,
    Alarm,
    Subject,
    finding,
    meaning,
    place_and_time,
    statistics,
)
from terracast.streams.errors import TerracastError
from terracast.streams.instant import key_text
from terracast.streams.stateful import Stateful
from terracast.streams.wording import sentence


class EpisodeError(TerracastError):
    """An episode that is not known."""


@dataclass(frozen=True)
class EvidenceSum(Stateful):
    """All evidence of one type, or of one channel: when it ``first`` came and since when it goes on, the sum of its
    strengths², and the ``strongest`` of it."""

    first: np.datetime64
    since: np.datetime64
    total: float
    strongest: Evidence

    @classmethod
    def of(cls, now: np.datetime64, clue: Evidence) -> EvidenceSum:
        """A first piece, which came at ``now``."""
        kept = clue.kept()
        return cls(now, kept.since, clue.strength**2, kept)

    def __add__(self, other: EvidenceSum) -> EvidenceSum:
        best = other if other.strongest.strength > self.strongest.strength else self
        return EvidenceSum(min(self.first, other.first), min(self.since, other.since), self.total + other.total,
                           best.strongest)

    def shown(self, true: Callable[[np.datetime64], np.datetime64]) -> EvidenceSum:
        """The same in the stamps that people read; see ``Windows.shown``."""
        one = self.strongest
        strongest = replace(one, time=true(one.time), since=true(one.since),
                            earliest=None if one.earliest is None else true(one.earliest),
                            latest=None if one.latest is None else true(one.latest),
                            windows=None if one.windows is None else one.windows.shown(true))
        return replace(self, first=true(self.first), since=true(self.since), strongest=strongest)

    def to_json(self, subject: Subject) -> dict[str, Any]:
        """As a program reads it: instants as text."""
        one = self.strongest
        return {"first": np.datetime_as_string(self.first, "s"), "since": np.datetime_as_string(self.since, "s"),
                "strength": float(one.strength), "words": finding(one, subject),
                "effect": None if one.effect is None else one.effect.to_json(),
                "windows": None if one.windows is None else one.windows.to_json()}


@dataclass(frozen=True)
class Episode(Stateful):
    """One change of the world: ``opened`` and ``last_evidence`` are when evidence came, ``since`` when the change
    seems to have begun.

    ``change_type`` is one of ``Evidence``'s, such as ``level`` or ``health`` (a data ticket, never drift). ``weights``
    holds the strongest evidence of each node; ``count`` how many pieces of evidence were folded in. ``by_type``: what
    was found of each type; that with the most evidence is the episode's, so that one wild day does not name what weeks
    say otherwise, and what errors say names it before context and intervals do. ``watched``: the channels that could
    have spoken; ``since`` is when what errors and intervals say began, once they spoke.
    """

    id: str
    change_type: str
    phase: str
    opened: np.datetime64
    since: np.datetime64
    last_evidence: np.datetime64
    weights: Mapping[str, float]
    by_type: Mapping[str, EvidenceSum]
    count: int = 1
    action: str = ""
    watched: tuple[str, ...] = ()
    subject: Subject = field(default_factory=Subject)

    @property
    def strength(self) -> float:
        """The largest strength of any evidence."""
        return max(one.strongest.strength for one in self.by_type.values())

    @property
    def channels(self) -> dict[str, EvidenceSum]:
        """What each channel said, in the order of ``CHANNELS``."""
        found: dict[str, EvidenceSum] = {}
        for change_type, one in self.by_type.items():
            channel = channel_of(change_type)
            found[channel] = found[channel] + one if channel in found else one
        return {channel: found[channel] for channel in CHANNELS if channel in found}

    @property
    def performance_loss_since(self) -> np.datetime64 | None:
        """When labels first told of it, by errors or by intervals that do not hold; None: it has cost nothing yet (only
        the context moved, or it is a data ticket), so that there is nothing to train for."""
        return min((one.first for channel, one in self.channels.items() if channel in COSTS), default=None)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Where: nodes with at least half of the strongest node's evidence; the rest is echo from neighbours."""
        strongest = max(self.weights.values(), default=0.0)
        return tuple(sorted(node for node, weight in self.weights.items() if weight >= strongest / 2))

    @property
    def alarm(self) -> Alarm:
        """What it says to a person: what changed, where and since when, what it means, what was done."""
        own, subject = self.by_type[self.change_type].strongest, self.subject
        others = [one.strongest for channel, one in self.channels.items() if channel != channel_of(self.change_type)]
        return Alarm(" ".join(finding(one, subject) for one in (own, *others)),
                     place_and_time(own, self.nodes, self.since, subject),
                     meaning(self.by_type, self.watched, subject, own), sentence(self.action or NOT_ACTED),
                     tuple(line for one in (own, *others) for line in statistics(one)))

    def shown(self, true: Callable[[np.datetime64], np.datetime64]) -> Episode:
        """The same in the stamps that people read (a calendar's months are no even axis); see ``Windows.shown``."""
        return replace(self, opened=true(self.opened), since=true(self.since), last_evidence=true(self.last_evidence),
                       by_type={change_type: one.shown(true) for change_type, one in self.by_type.items()})

    def with_action(self, text: str) -> Episode:
        """The same episode, with what was done about it."""
        return replace(self, action=sentence(text))


@dataclass
class Episodes(Stateful):
    """Folds evidence into episodes: at most one drift and one health episode are open at a time.

    An episode is ``opened`` by its first evidence and ``growing`` with every further piece; it is ``recovering``
    when ``cooldown`` has passed without evidence and ``closed`` after ``quiet_after`` (default: twice the
    cooldown). ``name`` (domain and variable) begins every id, so that ids are the same on every replay. ``watched``:
    the channels that there could be, for what it means that one is missing. ``subject``: what alarms call the target.

    >>> from terracast.adapt.monitoring.monitor import Evidence
    >>> at = np.datetime64("2015-03-04T06", "ns")
    >>> clue = Evidence(at, at, ("Dongsi",), "level", "up", 2.0, amount=31.0)
    >>> episodes = Episodes(np.timedelta64(3, "D"), name="air-PM25", subject=Subject("PM2.5", "ug m-3", 12))
    >>> [one.id for one in episodes.fold(at, [clue] * 100)]
    ['air-PM25-2015-03-04T06']
    >>> print(episodes.act("air-PM25-2015-03-04T06", "A fine-tune is proposed").alarm)
    PM2.5 at Dongsi reads 31 µg m⁻³ above forecast. It began at 4 Mar 2015, 06:00 UTC. A fine-tune is proposed.
    """

    cooldown: np.timedelta64
    quiet_after: np.timedelta64 | None = None
    name: str = "drift"
    watched: tuple[str, ...] = ()
    subject: Subject = field(default_factory=Subject)
    _open: dict[str, Episode] = field(default_factory=dict)

    def fold(self, now: np.datetime64, evidence: Iterable[Evidence]) -> tuple[Episode, ...]:
        """Take in the evidence found at ``now``; returns the episodes that opened, changed state or grew.

        Call it at every step, evidence or not: time alone lets an episode recover and close. O(evidence × nodes).
        """
        now = now.astype("datetime64[ns]")
        before = dict(self._open)
        closed = self._age(now)
        for clue in evidence:
            family = "health" if clue.change_type == "health" else "drift"
            known = self._open.get(family)
            if known is not None and known.phase == "recovering" and clue.change_type not in known.by_type:
                closed.append(replace(known, phase="closed"))  # quiet for a while, then something else: a second change
                known = None
            self._open[family] = self._opened(now, clue) if known is None else _grown(known, now, clue)
        changed = [one for family, one in self._open.items() if before.get(family) is not one]
        return (*closed, *changed)

    def active(self) -> tuple[Episode, ...]:
        """Episodes that are not closed."""
        return tuple(self._open.values())

    def lasting(self, now: np.datetime64) -> None:
        """What the open health episode is about goes on: it neither recovers nor closes, and there is no news."""
        known = self._open.get("health")
        if known is not None:
            self._open["health"] = replace(known, last_evidence=max(now.astype("datetime64[ns]"), known.last_evidence))

    def act(self, episode_id: str, text: str) -> Episode:
        """Set what the system did or proposes for an open episode; raises ``EpisodeError`` for another id."""
        for family, one in self._open.items():
            if one.id == episode_id:
                self._open[family] = one.with_action(text)
                return self._open[family]
        raise EpisodeError(f"no open episode {episode_id!r}", where=self.name,
                           expected="one of " + (", ".join(one.id for one in self.active()) or "none"),
                           remedy="use an id from active()")

    def _age(self, now: np.datetime64) -> list[Episode]:
        quiet_after = 2 * self.cooldown if self.quiet_after is None else self.quiet_after
        closed = []
        for family, one in list(self._open.items()):
            quiet = now - one.last_evidence
            if quiet >= quiet_after:
                closed.append(replace(self._open.pop(family), phase="closed"))
            elif quiet >= self.cooldown and one.phase != "recovering":
                self._open[family] = replace(one, phase="recovering")
        return closed

    def _opened(self, now: np.datetime64, clue: Evidence) -> Episode:
        prefix = f"{self.name}-health" if clue.change_type == "health" else self.name
        since = clue.since.astype("datetime64[ns]")
        return Episode(f"{prefix}-{key_text(now)}", clue.change_type, "opened", now, since, now,
                       dict.fromkeys(clue.nodes, clue.strength), {clue.change_type: EvidenceSum.of(now, clue)},
                       watched=self.watched, subject=self.subject)


def _grown(known: Episode, now: np.datetime64, clue: Evidence) -> Episode:
    """The episode with one more piece of evidence; the type with the most evidence names it."""
    weights = {**known.weights, **{node: max(known.weights.get(node, 0.0), clue.strength) for node in clue.nodes}}
    new, by_type = EvidenceSum.of(now, clue), dict(known.by_type)
    by_type[clue.change_type] = by_type[clue.change_type] + new if clue.change_type in by_type else new
    change_type = max(by_type, key=lambda name: (channel_of(name) == "error", by_type[name].total,
                                                 name == known.change_type))
    # Evidence of the instant that opened it belongs to the opening: an alarm storm opens, it does not grow.
    phase = "opened" if known.phase == "opened" and now == known.opened else "growing"
    # A clock that goes back must not make an episode older than its evidence.
    return replace(known, phase=phase, last_evidence=max(now, known.last_evidence), weights=weights,
                   count=known.count + 1, since=_since(by_type), change_type=change_type, by_type=by_type)


def _since(by_type: Mapping[str, EvidenceSum]) -> np.datetime64:
    """Since when it costs something, once labels have spoken: a context may have moved long before."""
    cost = [one.since for change_type, one in by_type.items() if channel_of(change_type) in COSTS]
    return min(cost or [one.since for one in by_type.values()])
