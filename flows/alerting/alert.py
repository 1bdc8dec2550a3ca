"""One alert: what a person reads, made from an episode, a failed run or any other news."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from terracast.adapt.monitoring.episodes.episodes import Episode
from terracast.streams.printable import printable

TITLE = 120  # signs of a title, at most: a mail's subject, a line on a telephone
MUCH = 2.0  # by so much an episode must have grown, in strength or in nodes, to be told again


@dataclass(frozen=True)
class Alert:
    """What is told once to each address of its ``kind``.

    ``id`` names what it tells, for ever; ``level`` is Apprise's: info, success, warning or failure. ``episode``,
    ``node`` and ``since`` (ISO, UTC): what a picture can be drawn of, if anything.
    """

    id: str
    kind: str
    title: str
    text: str
    level: str = "warning"
    episode: str = ""
    node: str = ""
    since: str = ""

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return asdict(self)


def of_episode(episode: Episode, news: str, stream: str) -> Alert:
    """An episode that ``opened``, ``grew`` or ``closed``."""
    alarm, is_fault = episode.alarm, episode.change_type == "health"
    first = alarm.what.partition(". ")[0].rstrip(".")
    before = {"opened": "", "grew": "more: ", "closed": "closed: "}[news]
    return Alert(f"{episode.id}:{news}:{len(episode.nodes)}:{episode.strength:.3g}", "data" if is_fault else "drift",
                 one_line(f"{stream}: {before}{first}"),
                 f"{printable(str(alarm))}\nEpisode {episode.id}.", "success" if news == "closed" else "warning",
                 episode.id, next(iter(episode.nodes), ""), str(np.datetime_as_string(episode.since, "s")))


def of_graph(sentences: Sequence[str], stream: str, key: str) -> Alert:
    """A link of the causal graph that came, went or turned; ``key`` names the change for ever."""
    return Alert(f"graph:{key}", "graph", one_line(f"{stream}: {sentences[0].rstrip('.')}"),
                 printable(" ".join(sentences)))


def of_approval(name: str, what: str, stream: str, key: str) -> Alert:
    """A version, or an adaptation, that waits for a person; ``what`` would happen and why."""
    return Alert(f"approval:{key}", "system", one_line(f"{stream}: {name} waits for approval"),
                 f"{printable(what)} Type `terracast approve {name}` or `terracast decline {name}`.")


def of_refusal(words: str, stream: str, at: str) -> Alert:
    """A part of the data that was not taken at ``at``."""
    return Alert(f"refused:{at}", "data", one_line(f"{stream}: data were refused"),
                 f"A part of the data was not taken at {at}: {printable(words)}")


def of_failure(verb: str, words: str, stream: str, at: str) -> Alert:
    """A run that failed at ``at``, for the first time after one that did not."""
    return Alert(f"failed:{verb}:{at}", "system", one_line(f"{stream}: `{verb}` failed"),
                 f"The run of `{verb}` at {at} failed: {printable(words)}\nIt is tried again at its next time.",
                 "failure")


def of_missed_step(stream: str, due: str, words: Sequence[str]) -> Alert:
    """A step that was due and did not come."""
    return Alert(f"missed:{due}", "system", one_line(f"{stream}: the step of {due} has not run"),
                 printable(" ".join(words)), "failure")


def of_recovery(verb: str, stream: str, at: str) -> Alert:
    """The first run that went well after one that failed."""
    return Alert(f"recovered:{verb}:{at}", "system", one_line(f"{stream}: `{verb}` works again"),
                 f"The run of `{verb}` at {at} went well.", "success")


def has_grown(episode: Episode, told: dict[str, Any]) -> bool:
    """Whether an episode grew much since it was ``told``."""
    return bool(episode.strength >= MUCH * told["strength"] or len(episode.nodes) >= MUCH * max(told["nodes"], 1))


def one_line(text: str) -> str:
    """As a title: names from data may hold whatever signs, and a subject of mail is one line.

    >>> one_line("air: NO2 at A\\nBcc: x reads 3 above forecast")
    'air: NO2 at A Bcc: x reads 3 above forecast'
    """
    plain = printable(re.sub(r"[\x00-\x1f\x7f\u2028\u2029]+", " ", text).strip())
    return plain if len(plain) <= TITLE else plain[:TITLE - 1].rstrip() + "…"
