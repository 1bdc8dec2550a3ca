"""What experts said, in force: the settings' file, what was handed over once and is kept, and what is handed over now.

A statement that was kept never gets lost again unless an expert takes it back: the page writes such a line as
``# taken back: weather.rain never causes air.no2``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from terracast.causal.graph.graph import Series
from terracast.causal.knowledge import Knowledge, KnowledgeError, Statement

TAKEN_BACK = "taken back:"
KEPT = "knowledge kept in the store"


@dataclass(frozen=True)
class ExpertStatement:
    """Statements from one place; ``name`` is how an error calls it."""

    name: str
    knowledge: Knowledge


@dataclass(frozen=True)
class InForce:
    """All statements together, and where each of its lines came from."""

    knowledge: Knowledge
    places: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def check(self, series: Sequence[Series], max_lag: int) -> None:
        """``Knowledge.check`` with an error that names the files instead of the joined lines."""
        try:
            self.knowledge.check(series, max_lag)
            self.knowledge.link_assumptions(series, max_lag)
        except KnowledgeError as error:
            where = re.sub(r"\d+", lambda found: self.places[int(found.group()) - 1], error.where)
            where = re.sub(r"^lines? ", "", where)
            raise KnowledgeError(error.what, where=where, expected=error.expected, remedy=error.remedy) from None


def joined(told: Sequence[ExpertStatement], series: Sequence[Series] = ()) -> InForce:
    """One knowledge from several places, in order; a statement said twice stands once.

    A line ``# taken back: STATEMENT`` removes that statement from the places before it, but never from a file of the
    settings: there the contradiction is told. With ``series``, what was kept about series that are not there (a
    domain that is silent today) rests, and is noted.

    >>> kept = ExpertStatement(KEPT, Knowledge.parse("air.* never causes weather.*"))
    >>> now = ExpertStatement("new.txt", Knowledge.parse("# taken back: air.* never causes weather.*"))
    >>> joined([kept, now]).knowledge.statements
    ()
    """
    lines: list[str] = []
    places: list[str] = []
    notes: list[str] = []
    for number, one in enumerate(told):
        later = [text for other in told[number + 1:] for text in _taken_back(other.knowledge)]
        for line, text in _lines(one.knowledge):
            statement = next((each for each in one.knowledge.statements if each.line == line), None)
            if statement is not None and one.name == KEPT:
                if _text_of(statement) in later:
                    continue
                if series and not _speaks_of(statement, series):
                    notes.append(f"Kept knowledge rests, for no such series is there now: {_text_of(statement)}.")
                    continue
            if (text if statement is None else _text_of(statement)) not in [_bare(each) for each in lines]:
                lines.append(text)
                places.append(f"{one.name} line {line}")
    return InForce(Knowledge.parse("\n".join(lines)), tuple(places), tuple(notes))


def kept_knowledge(state: dict[str, object] | None) -> Knowledge:
    """What was handed over before, from the store's state ``knowledge``."""
    return Knowledge() if state is None else Knowledge.parse(str(state["text"]), where=KEPT)


def to_keep(kept: Knowledge, given: Knowledge) -> dict[str, object]:
    """The state after ``given`` was handed over: what was kept before, less what is taken back, and the new."""
    return {"text": joined([ExpertStatement(KEPT, kept), ExpertStatement("given", given)]).knowledge.text()}


def _lines(knowledge: Knowledge) -> list[tuple[int, str]]:
    said = [(one.line, str(one)) for one in knowledge.statements]
    return sorted(said + [(number, f"# {comment}") for number, comment in knowledge.comments])


def _bare(line: str) -> str:
    """A statement without its comment; a comment line as it is."""
    return line if line.startswith("#") else line.split("  #")[0]


def _text_of(statement: Statement) -> str:
    return _bare(str(statement))


def _taken_back(knowledge: Knowledge) -> list[str]:
    texts = [comment.removeprefix(TAKEN_BACK).strip() for _, comment in knowledge.comments
             if comment.startswith(TAKEN_BACK)]
    found = []
    for text in texts:
        try:
            found += [_text_of(one) for one in Knowledge.parse(text).statements]
        except KnowledgeError:
            continue  # a comment that only looks like it
    return found


def _speaks_of(statement: Statement, series: Sequence[Series]) -> bool:
    return all(any(fnmatchcase(str(one), pattern) for one in series)
               for pattern in (statement.cause, statement.effect))
