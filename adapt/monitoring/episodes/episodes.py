"""Episodes: all evidence of one change of the world folds into one, from first evidence to recovery."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from terracast.adapt.monitoring.episodes.channel_evidence import COSTS, KINDS, ChannelEvidence, kind_of, together
from terracast.adapt.monitoring.episodes.compared_windows import Windows
from terracast.streams.errors import TerracastError
from terracast.streams.instant import key_text
from terracast.streams.stateful import Stateful

TIMES = ("opened", "since", "last_evidence")
STATES = ("opened", "growing", "recovering", "closed")


class EpisodeError(TerracastError):
    """An episode that is not known."""


class AlarmEvidence(Protocol):
    """What an episode reads of a piece of evidence (``adapt.monitoring.monitor.Evidence`` is one)."""

    @property
    def time(self) -> np.datetime64: ...
    @property
    def since(self) -> np.datetime64: ...
    @property
    def nodes(self) -> tuple[str, ...]: ...
    @property
    def sort(self) -> str: ...
    @property
    def strength(self) -> float: ...
    @property
    def words(self) -> str: ...
    @property
    def windows(self) -> Windows | None: ...


@dataclass(frozen=True)
class Episode(Stateful):
    """One change of the world: ``opened`` and ``last_evidence`` are when evidence came, ``since`` when the change
    seems to have begun.

    ``sort`` is one of ``Evidence``'s, such as ``level`` or ``health`` (an outage: a data ticket, never drift).
    ``weights`` holds the strongest evidence of each node; ``count`` how many pieces of evidence were folded in.
    ``said``: for each sort that evidence named, the sum of its strengths², the strongest of them and its words; the
    sort with the most is the episode's, so that one wild day does not name what weeks say otherwise, and what errors
    say names it before context and intervals do. ``heard``: what each kind of evidence said, ``watched``: the kinds
    that could have spoken; ``since`` is when what errors and intervals say began, once they spoke.
    """

    id: str
    sort: str
    phase: str
    opened: np.datetime64
    since: np.datetime64
    last_evidence: np.datetime64
    weights: Mapping[str, float]
    words: str
    strength: float
    count: int = 1
    action: str = ""
    said: Mapping[str, tuple[float, float, str]] = field(default_factory=dict)
    heard: Mapping[str, ChannelEvidence] = field(default_factory=dict)
    watched: tuple[str, ...] = ()

    @property
    def costs_since(self) -> np.datetime64 | None:
        """When labels first told of it, by errors or by intervals that do not hold; None: it has cost nothing yet (only
        the context moved, or it is a data ticket), so that there is nothing to train for."""
        if not self.heard:
            return None if self.sort == "health" else self.opened
        return min((one.first for kind, one in self.heard.items() if kind in COSTS), default=None)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Where: nodes with at least half of the strongest node's evidence; the rest is echo from neighbours."""
        strongest = max(self.weights.values(), default=0.0)
        return tuple(sorted(node for node, weight in self.weights.items() if weight >= strongest / 2))

    @property
    def sentences(self) -> tuple[str, str, str]:
        """Three sentences to a person: what changed; where and since when; what the system did or proposes."""
        places = self.nodes
        where = ", ".join(places[:5]) + (f" and {len(places) - 5} more nodes" if len(places) > 5 else "")
        own = kind_of(self.sort)
        others = [self.heard[kind].words for kind in KINDS if kind in self.heard and kind != own]
        what = "; ".join(one for one in (self.words, *others, together(self.heard.keys(), self.watched)) if one)
        return (f"{what[:1].upper()}{what[1:]}.",
                f"{f'It concerns {where}' if where else 'It has been so'} since "
                f"{np.datetime_as_string(self.since, 'h')}.",
                self.action or "Nothing has been done yet.")

    @property
    def alarm(self) -> str:
        """The three sentences as one text."""
        return " ".join(self.sentences)

    def shown(self, true: Callable[[np.datetime64], np.datetime64]) -> Episode:
        """The same in the stamps that people read (a calendar's months are no even axis); see ``Windows.shown``."""
        return replace(self, opened=true(self.opened), since=true(self.since), last_evidence=true(self.last_evidence),
                       heard={kind: one.shown(true) for kind, one in self.heard.items()})

    def with_action(self, text: str) -> Episode:
        """The same episode, with the third sentence of its alarm set."""
        return replace(self, action=text if text.endswith(".") else f"{text}.")


@dataclass
class Episodes(Stateful):
    """Folds evidence into episodes: at most one drift and one health episode are open at a time.

    An episode is ``opened`` by its first evidence and ``growing`` with every further piece; it is ``recovering``
    when ``cooldown`` has passed without evidence and ``closed`` after ``quiet_after`` (default: twice the
    cooldown). ``name`` (domain and variable) begins every id, so that ids are the same on every replay. ``watched``:
    the kinds of evidence that there could be, for what it means that one is missing.

    >>> from terracast.adapt.monitoring.monitor import Evidence
    >>> at = np.datetime64("2015-03-04T06", "ns")
    >>> clue = Evidence(at, at, ("Dongsi",), "level", "up", 2.0, "errors at Dongsi moved up by 2.0 deviations")
    >>> episodes = Episodes(np.timedelta64(3, "D"), name="air-PM25")
    >>> [one.id for one in episodes.fold(at, [clue] * 100)]
    ['air-PM25-2015-03-04T06']
    >>> print(episodes.act("air-PM25-2015-03-04T06", "A fine-tune is proposed").alarm)
    Errors at Dongsi moved up by 2.0 deviations. It concerns Dongsi since 2015-03-04T06. A fine-tune is proposed.
    """

    cooldown: np.timedelta64
    quiet_after: np.timedelta64 | None = None
    name: str = "drift"
    watched: tuple[str, ...] = ()
    _open: dict[str, Episode] = field(default_factory=dict)

    def fold(self, now: np.datetime64, evidence: Iterable[AlarmEvidence]) -> tuple[Episode, ...]:
        """Take in the evidence found at ``now``; returns the episodes that opened, changed state or grew.

        Call it at every step, evidence or not: time alone lets an episode recover and close. O(evidence × nodes).
        """
        now = now.astype("datetime64[ns]")
        before = dict(self._open)
        closed = self._age(now)
        for clue in evidence:
            family = "health" if clue.sort == "health" else "drift"
            known = self._open.get(family)
            if known is not None and known.phase == "recovering" and clue.sort not in known.said:
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

    def _opened(self, now: np.datetime64, clue: AlarmEvidence) -> Episode:
        prefix = f"{self.name}-health" if clue.sort == "health" else self.name
        return Episode(f"{prefix}-{key_text(now)}", clue.sort, "opened", now,
                       clue.since.astype("datetime64[ns]"), now, {node: abs(clue.strength) for node in clue.nodes},
                       clue.words, abs(clue.strength),
                       said={clue.sort: (clue.strength**2, abs(clue.strength), clue.words)},
                       heard={kind_of(clue.sort): _first_evidence(now, clue)},
                       watched=self.watched)


def _grown(known: Episode, now: np.datetime64, clue: AlarmEvidence) -> Episode:
    """The episode with one more piece of evidence; the sort with the most evidence gives sort and words."""
    strength = abs(clue.strength)
    weights = dict(known.weights)
    for node in clue.nodes:
        weights[node] = max(weights.get(node, 0.0), strength)
    said = dict(known.said) or {known.sort: (known.strength**2, known.strength, known.words)}
    total, best, words = said.get(clue.sort, (0.0, -1.0, ""))
    said[clue.sort] = (total + strength**2, max(best, strength), clue.words if strength > best else words)
    sort = max(said, key=lambda name: (kind_of(name) == "error", said[name][0], name == known.sort))
    # Evidence of the instant that opened it belongs to the opening: an alarm storm opens, it does not grow.
    phase = "opened" if known.phase == "opened" and now == known.opened else "growing"
    heard = _with_evidence(known, now, clue)
    # A clock that goes back must not make an episode older than its evidence.
    return replace(known, phase=phase, last_evidence=max(now, known.last_evidence), weights=weights,
                   count=known.count + 1, since=_since(heard), sort=sort, words=said[sort][2], said=said, heard=heard,
                   strength=max(strength, known.strength))


def _with_evidence(known: Episode, now: np.datetime64, clue: AlarmEvidence) -> dict[str, ChannelEvidence]:
    """What each kind has said so far, with the clue: the words of the strongest, but when it was first heard."""
    heard = dict(known.heard) or {kind_of(known.sort): ChannelEvidence(known.opened, known.since, known.strength,
                                                                       known.words)}
    new = _first_evidence(now, clue)
    before = heard.get(kind_of(clue.sort), new)
    best = new if new.strength > before.strength else before
    heard[kind_of(clue.sort)] = replace(best, first=before.first, since=min(before.since, new.since))
    return heard


def _first_evidence(now: np.datetime64, clue: AlarmEvidence) -> ChannelEvidence:
    return ChannelEvidence(now, clue.since.astype("datetime64[ns]"), abs(clue.strength), clue.words, clue.windows)


def _since(heard: Mapping[str, ChannelEvidence]) -> np.datetime64:
    """Since when it costs something, once labels have spoken: a context may have moved long before."""
    cost = [one.since for kind, one in heard.items() if kind in COSTS]
    return min(cost or [one.since for one in heard.values()])
