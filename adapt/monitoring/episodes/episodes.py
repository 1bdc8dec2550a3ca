"""Episodes: all evidence of one change of the world folds into one, from first evidence to recovery."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from terracast.adapt.monitoring.diagnosis.evidence import CHANNELS, COSTS, Evidence, channel_of
from terracast.adapt.monitoring.episodes.alarm_text import (
    Alarm,
    Subject,
    ending,
    finding,
    meaning,
    place_and_time,
    statistics,
)
from terracast.streams.errors import TerracastError
from terracast.streams.instant import key_text
from terracast.streams.stateful import Stateful
from terracast.streams.wording import sentence

TINY = 1e-3  # of the weeks before: less is nothing


class EpisodeError(TerracastError):
    """An episode that is not known."""


@dataclass(frozen=True)
class EvidenceSum(Stateful):
    """All evidence of one type, or of one channel: when it ``first`` came, the sum of its strengths², and the
    ``strongest`` of it. ``since`` is when the change began by the strongest: a longer window that saw less of it looks
    back farther. The faults of a data ticket are many; since the first of them."""

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
        since = min(self.since, other.since) if best.strongest.change_type == "health" else best.since
        return EvidenceSum(min(self.first, other.first), since, self.total + other.total, best.strongest)

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
    say otherwise. What errors say names it before intervals do, and both before context, which may have moved long
    before. ``since`` is of that type. ``watched``: the channels that could have spoken.
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
    closed: np.datetime64 | None = None
    older: np.datetime64 | None = None

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

    def is_before(self, clue: Evidence, apart: np.timedelta64) -> bool:
        """Whether evidence began clearly after this change: its earliest beginning lies so far behind the latest of
        this. Weaker evidence may be what this change leaves behind, as the weeks before take it in, unless it goes the
        other way and farther (a rise of 15 % leaves no fall of 40 %), or one of both is of what all nodes share and the
        other of nodes beside them."""
        own = self.by_type[self.change_type].strongest
        is_another = _is_farther_back(clue, own) or (
            clue.channel == own.channel == "error" and clue.common != own.common)
        return (clue.strength >= own.strength or is_another) and bool(
            _or(clue.earliest, self.since) > _or(own.latest, self.since) + apart)

    def is_after(self, clue: Evidence, apart: np.timedelta64) -> bool:
        """Whether evidence began clearly before this change."""
        own = self.by_type[self.change_type].strongest
        return bool(_or(clue.latest, self.since) < _or(own.earliest, self.since) - apart)

    @property
    def alarm(self) -> Alarm:
        """What it says to a person: what changed, where and since when, what it means, what was done."""
        own, subject = self.by_type[self.change_type].strongest, self.subject
        others = [one.strongest for channel, one in self.channels.items() if channel != channel_of(self.change_type)]
        return Alarm(" ".join(finding(one, subject) for one in (own, *others)),
                     place_and_time(own, self.nodes, self.since, subject, self.older),
                     meaning(self.by_type, self.watched, subject, own),
                     ending(self.action, self.closed, own),
                     tuple(line for one in (own, *others) for line in statistics(one)))

    def shown(self, true: Callable[[np.datetime64], np.datetime64]) -> Episode:
        """The same in the stamps that people read (a calendar's months are no even axis); see ``Windows.shown``."""
        return replace(self, opened=true(self.opened), since=true(self.since), last_evidence=true(self.last_evidence),
                       closed=None if self.closed is None else true(self.closed),
                       older=None if self.older is None else true(self.older),
                       by_type={change_type: one.shown(true) for change_type, one in self.by_type.items()})

    def with_action(self, text: str) -> Episode:
        """The same episode, with what was done about it."""
        return replace(self, action=sentence(text))

    def to_json(self) -> dict[str, Any]:
        """As a program reads it: instants as text, UTC; ``effect`` in ``units`` beside the weeks before, or beside the
        forecast where that is all that is known, ``effect_percent`` where values are never negative;
        ``expected_false_per_month`` is what was set for all alarms of the stream together (None for a data ticket)."""
        own = self.by_type[self.change_type].strongest
        is_fault = self.change_type == "health"
        percent = None if own.effect is None else own.effect.percent
        return {"id": self.id, "type": self.change_type, "since": _text(self.since),
                "since_low": _text(own.earliest), "since_high": _text(own.latest), "nodes": list(self.nodes),
                "effect": own.amount if own.effect is None else own.effect.amount,
                "effect_percent": None if percent is None else percent[0], "units": self.subject.units,
                "strength": float(self.strength),
                "expected_false_per_month": None if is_fault else self.subject.false_alarms_per_month,
                "opened": _text(self.opened), "closed": _text(self.closed), "text": str(self.alarm)}


@dataclass
class Episodes(Stateful):
    """Folds evidence into episodes: one change of the world is one of them, and so are all data tickets that are open.

    Evidence at least as strong, of a level farther the other way, or of nodes where the change was common (or the other
    way round), that began clearly after a change, by the intervals of both and ``apart`` (default: half of the
    cooldown), is of a second change. It opens an episode of its own beside the first. All other evidence is of the
    newest that is open, or of an older one that began as it did, rather of one that is common, or not, as it is itself.
    An episode is ``opened`` by its first evidence and ``growing`` with every further piece; it is ``recovering`` when
    ``cooldown`` has passed without evidence and ``closed`` after ``quiet_after`` (default: twice the cooldown).
    ``name`` (domain and variable) begins every id, so that ids are the same on every replay. ``watched``: the channels
    that there could be, for what it means that one is missing. ``subject``: what alarms call the target.

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
    apart: np.timedelta64 | None = None
    _open: dict[str, Episode] = field(default_factory=dict)

    def fold(self, now: np.datetime64, evidence: Iterable[Evidence]) -> tuple[Episode, ...]:
        """Take in the evidence found at ``now``; returns the episodes that opened, changed state or grew.

        Call it at every step, evidence or not: time alone lets an episode recover and close. O(evidence × nodes).
        """
        now = now.astype("datetime64[ns]")
        before = dict(self._open)
        closed = self._age(now)
        for clue in evidence:
            known = self._of(clue)
            if known is not None and known.phase == "recovering" and clue.change_type not in known.by_type:
                # quiet for a while, then something else: a second change
                closed.append(replace(self._open.pop(known.id), phase="closed", closed=now))
                known = None
            changed = self._opened(now, clue) if known is None else _grown(known, now, clue)
            self._open[changed.id] = changed
        return (*closed, *(one for name, one in self._open.items() if before.get(name) is not one))

    def _of(self, clue: Evidence) -> Episode | None:
        """The open episode that a piece of evidence is of; None: it is news."""
        is_fault = clue.change_type == "health"
        held = [one for one in self._open.values() if (one.change_type == "health") == is_fault]
        apart = self.cooldown // 2 if self.apart is None else self.apart
        possible = [one for one in reversed(held) if is_fault or not one.is_before(clue, apart)]
        near = [one for one in possible if is_fault or not one.is_after(clue, apart)]
        alike = [one for one in near if one.by_type[one.change_type].strongest.common == clue.common]
        return next(iter(alike or near or possible), None)

    def active(self) -> tuple[Episode, ...]:
        """Episodes that are not closed."""
        return tuple(self._open.values())

    def lasting(self, now: np.datetime64) -> None:
        """What the open health episode is about goes on: it neither recovers nor closes, and there is no news."""
        for name, one in self._open.items():
            if one.change_type == "health":
                self._open[name] = replace(one, last_evidence=max(now.astype("datetime64[ns]"), one.last_evidence))

    def act(self, episode_id: str, text: str) -> Episode:
        """Set what the system did or proposes for an open episode; raises ``EpisodeError`` for another id."""
        if episode_id in self._open:
            self._open[episode_id] = self._open[episode_id].with_action(text)
            return self._open[episode_id]
        raise EpisodeError(f"no open episode {episode_id!r}", where=self.name,
                           expected="one of " + (", ".join(one.id for one in self.active()) or "none"),
                           remedy="use an id from active()")

    def _age(self, now: np.datetime64) -> list[Episode]:
        quiet_after = 2 * self.cooldown if self.quiet_after is None else self.quiet_after
        closed = []
        for name, one in list(self._open.items()):
            quiet = now - one.last_evidence
            if quiet >= quiet_after:
                closed.append(replace(self._open.pop(name), phase="closed", closed=now))
            elif quiet >= self.cooldown and one.phase != "recovering":
                self._open[name] = replace(one, phase="recovering")
        return closed

    def _opened(self, now: np.datetime64, clue: Evidence) -> Episode:
        prefix = f"{self.name}-health" if clue.change_type == "health" else self.name
        since, name = clue.since.astype("datetime64[ns]"), f"{prefix}-{key_text(now)}"
        older = [one.since for one in self._open.values() if one.change_type != "health"]
        return Episode(name if name not in self._open else f"{name}-{len(self._open)}", clue.change_type, "opened", now,
                       since, now,
                       dict.fromkeys(clue.nodes, clue.strength), {clue.change_type: EvidenceSum.of(now, clue)},
                       watched=self.watched, subject=self.subject,
                       older=max(older) if older and clue.change_type != "health" else None)


def _is_farther_back(clue: Evidence, own: Evidence) -> bool:
    """Whether the level moved the other way, and farther, by what is known of both beside the weeks before: by ratios
    where values are never negative, so that places of any size can be compared."""
    if clue.effect is None or own.effect is None or not clue.change_type == own.change_type == "level":
        return False
    shares = [one.percent for one in (own.effect, clue.effect)]
    there, back = (abs(one.amount) for one in (own.effect, clue.effect))
    if shares[0] is not None and shares[1] is not None:
        there, back = (abs(math.log(max(1 + share[0] / 100, TINY))) for share in shares if share is not None)
    return {clue.direction, own.direction} == {"up", "down"} and back > there


def _text(at: np.datetime64 | None) -> str | None:
    return None if at is None or np.isnat(at) else f"{np.datetime_as_string(at, 's')}Z"


def _or(at: np.datetime64 | None, other: np.datetime64) -> np.datetime64:
    return other if at is None or np.isnat(at) else at


def _grown(known: Episode, now: np.datetime64, clue: Evidence) -> Episode:
    """The episode with one more piece of evidence; the type with the most evidence names it."""
    weights = {**known.weights, **{node: max(known.weights.get(node, 0.0), clue.strength) for node in clue.nodes}}
    new, by_type = EvidenceSum.of(now, clue), dict(known.by_type)
    by_type[clue.change_type] = by_type[clue.change_type] + new if clue.change_type in by_type else new
    change_type = max(by_type, key=lambda name: (channel_of(name) == "error", channel_of(name) in COSTS,
                                                 by_type[name].total, name == known.change_type))
    # Evidence of the instant that opened it belongs to the opening: an alarm storm opens, it does not grow.
    phase = "opened" if known.phase == "opened" and now == known.opened else "growing"
    # A clock that goes back must not make an episode older than its evidence.
    return replace(known, phase=phase, last_evidence=max(now, known.last_evidence), weights=weights,
                   count=known.count + 1, since=by_type[change_type].since, change_type=change_type, by_type=by_type)
