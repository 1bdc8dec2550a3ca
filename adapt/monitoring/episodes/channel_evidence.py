"""The kinds of evidence, what each said of an episode, and what it means that some spoke and others did not."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np

from terracast.adapt.monitoring.episodes.compared_windows import Windows
from terracast.streams.stateful import Stateful

KINDS = ("error", "input", "calibration", "health")
COSTS = ("error", "calibration")  # what labels said: only these are losses


def kind_of(sort: str) -> str:
    """The kind of evidence that names a ``sort``: all sorts that are not a kind of their own are about errors.

    >>> kind_of("level"), kind_of("input")
    ('error', 'input')
    """
    return sort if sort in KINDS else "error"


@dataclass(frozen=True)
class ChannelEvidence(Stateful):
    """What one kind said of an episode: when ``first``, since when it goes on (``since``), and the words, strength and
    windows of its strongest evidence."""

    first: np.datetime64
    since: np.datetime64
    strength: float
    words: str
    windows: Windows | None = None

    def shown(self, true: Callable[[np.datetime64], np.datetime64]) -> ChannelEvidence:
        """The same in the stamps that people read; see ``Windows.shown``."""
        return replace(self, first=true(self.first), since=true(self.since),
                       windows=None if self.windows is None else self.windows.shown(true))

    def to_json(self) -> dict[str, object]:
        """As a program reads it: instants as text."""
        return {"first": np.datetime_as_string(self.first, "s"), "since": np.datetime_as_string(self.since, "s"),
                "strength": float(self.strength), "words": self.words,
                "windows": None if self.windows is None else self.windows.to_json()}


def together(heard: Collection[str], watched: Collection[str]) -> str:
    """What it means which kinds spoke, of those that are ``watched``; nothing where the context is not watched.

    >>> together({"error"}, ("error", "input"))
    'the context shows nothing new, so what changed is how observations follow from it'
    """
    if "input" not in watched or "health" in heard:
        return ""
    if "input" not in heard:
        return ("the context shows nothing new, so what changed is how observations follow from it" if "error" in heard
                else "neither errors nor the context show anything new, only how well intervals hold does")
    if "error" in heard:
        return "the context moved too: the world went where forecasts do not cope"
    if "calibration" in heard:
        return "the context moved, and intervals do not hold there; errors show nothing new"
    return "errors show nothing new: the world went where forecasts cope, and nothing is trained for it"
