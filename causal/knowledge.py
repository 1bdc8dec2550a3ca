"""What experts know, as one text file: which links cannot be, which are certain, which are suspected.

One statement a line, ``#`` starts a comment, ``*`` stands for any text, lags count in steps::

    air.* never causes weather.*
    weather.rain causes air.pm25 at lag 2
    weather.wind may cause air.*   at lag 1..3

*never*: the link is left out of the search (all lags, or those named). *causes* with a lag: the link is
put in and only measured. *causes* without a lag: the direction is fixed, the data choose the lag. *may
cause* (also *maybe causes*): told apart in the result when it is found or not; the search is not changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from terracast.causal.graph.graph import CausalGraph, Series
from terracast.streams.errors import TerracastError

_VERBS = {"never causes": "never", "causes": "certain", "may cause": "maybe", "maybe causes": "maybe"}
_WORDS = {"never": "never causes", "certain": "causes", "maybe": "may cause"}
_LINE = re.compile(r"^(\S+)\s+(never\s+causes|maybe\s+causes|may\s+cause|causes)\s+(\S+)"
                   r"(?:\s+at\s+lag\s+(\d+)(?:\s*\.\.\s*(\d+))?)?$")

LinkAssumptions = dict[int, dict[tuple[int, int], str]]


class KnowledgeError(TerracastError):
    """A knowledge file that cannot be read, contradicts itself, or names what is not there."""


@dataclass(frozen=True)
class Statement:
    """One line: ``cause`` and ``effect`` are patterns of series, ``verdict`` is never, certain or maybe.

    ``lags`` is (first, last) in steps, None for every lag.
    """

    line: int
    cause: str
    effect: str
    verdict: str
    lags: tuple[int, int] | None = None
    comment: str = ""

    def __str__(self) -> str:
        text = f"{self.cause} {_WORDS[self.verdict]} {self.effect}"
        if self.lags is not None:
            first, last = self.lags
            text += f" at lag {first}" if first == last else f" at lag {first}..{last}"
        return text + (f"  # {self.comment}" if self.comment else "")

    def covers(self, cause: Series, effect: Series, lag: int) -> bool:
        """Whether the statement speaks of this link."""
        within = self.lags is None or self.lags[0] <= lag <= self.lags[1]
        return within and fnmatchcase(str(cause), self.cause) and fnmatchcase(str(effect), self.effect)


@dataclass(frozen=True)
class Knowledge:
    """All statements of a file, with line numbers; comment lines are kept so that ``text`` gives it back.

    Attributes
    ----------
    statements : tuple of Statement
        Which links are known, or known not to be.
    comments : tuple of (int, str)
        Line numbers and texts of the comment lines.

    Examples
    --------
    >>> known = Knowledge.parse("air.* never causes weather.*  # too small a city")
    >>> known.allows(Series("air", "o3"), Series("weather", "rain"), 1)
    False
    >>> Knowledge.parse(known.text()) == known
    True
    """

    statements: tuple[Statement, ...] = ()
    comments: tuple[tuple[int, str], ...] = ()

    @classmethod
    def read(cls, path: str | Path) -> Knowledge:
        """Read a file; raises ``KnowledgeError`` naming file and line."""
        place = Path(path)
        try:
            text = place.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise KnowledgeError("knowledge file cannot be read", where=str(place),
                                 expected="a UTF-8 text file", remedy="check the path") from error
        return cls.parse(text, where=str(place))

    @classmethod
    def parse(cls, text: str, where: str = "knowledge") -> Knowledge:
        """Read statements from text; raises ``KnowledgeError`` naming the line."""
        statements, comments = [], []
        for number, line in enumerate(text.splitlines(), start=1):
            body, _, comment = (part.strip() for part in line.partition("#"))
            if body:
                statements.append(_statement(number, body, comment, where))
            elif comment:
                comments.append((number, comment))
        return cls(tuple(statements), tuple(comments))

    def text(self) -> str:
        """The file again, every statement on its line."""
        lines = {one.line: str(one) for one in self.statements}
        lines |= {number: f"# {comment}" for number, comment in self.comments}
        return "".join(lines.get(number, "") + "\n" for number in range(1, max(lines, default=0) + 1))

    def allows(self, cause: Series, effect: Series, lag: int) -> bool:
        """Whether no statement forbids the link."""
        return not any(one.verdict == "never" and one.covers(cause, effect, lag) for one in self.statements)

    def certain(self, cause: Series, effect: Series, lag: int) -> bool:
        """Whether a statement with a lag puts the link in."""
        return cause != effect and any(
            one.verdict == "certain" and one.lags is not None and one.covers(cause, effect, lag)
            for one in self.statements)

    def check(self, series: Sequence[Series], max_lag: int) -> None:
        """Raise ``KnowledgeError`` where a statement names no known series, or two contradict each other."""
        names = [str(one) for one in series]
        for one in self.statements:
            for pattern in (one.cause, one.effect):
                if not any(fnmatchcase(name, pattern) for name in names):
                    raise KnowledgeError(f"no series {pattern!r}", where=f"line {one.line}",
                                         expected="one of " + ", ".join(names),
                                         remedy="correct the name or take the line out")
            if one.verdict == "certain" and one.lags is not None and one.lags[1] > max_lag:
                raise KnowledgeError(f"certain at lag {one.lags[1]}", where=f"line {one.line}",
                                     expected=f"a lag up to the largest searched, {max_lag}",
                                     remedy="raise max_lag or change the line")
        self._check_contradictions(series, max_lag)

    def _check_contradictions(self, series: Sequence[Series], max_lag: int) -> None:
        never = [one for one in self.statements if one.verdict == "never"]
        for one in self.statements:
            if one.verdict == "never":
                continue
            for other in never:
                clash = _both_cover(one, other, series, max_lag)
                if clash:
                    claimed = "suspected" if one.verdict == "maybe" else "certain"
                    raise KnowledgeError(
                        f"{clash} is both forbidden and {claimed}",
                        where=f"lines {min(one.line, other.line)} and {max(one.line, other.line)}",
                        expected="one verdict for one link", remedy="narrow or remove one of the two lines")

    def link_assumptions(self, series: Sequence[Series], max_lag: int) -> LinkAssumptions:
        """tigramite's dictionary {effect: {(cause, -lag): mark}}; a forbidden link is left out.

        Marks: ``o?o`` same-time, direction open; ``-?>`` may be; ``-->`` is; ``<?-``, ``<--`` the same
        seen from the cause. Raises ``KnowledgeError`` where same-time directions run in a circle.

        >>> rain, flow = Series("weather", "rain"), Series("traffic", "flow")
        >>> Knowledge.parse("traffic.* never causes weather.*").link_assumptions((rain, flow), 1)[1]
        {(0, 0): '-?>', (0, -1): '-?>', (1, -1): '-?>'}
        """
        found: LinkAssumptions = {effect: {} for effect in range(len(series))}
        for effect, target in enumerate(series):
            for cause, source in enumerate(series):
                for lag in range(max_lag + 1):
                    mark = self._mark(source, target, lag)
                    if mark and (cause != effect or lag > 0):
                        found[effect][(cause, -lag)] = mark
        self._check_circle(found, series)
        return found

    def _mark(self, cause: Series, effect: Series, lag: int) -> str:
        if lag > 0:
            if self.certain(cause, effect, lag):
                return "-->"
            return "-?>" if self.allows(cause, effect, lag) else ""
        if self.certain(cause, effect, 0):
            return "-->"
        if self.certain(effect, cause, 0):
            return "<--"
        there, back = self._directed(cause, effect), self._directed(effect, cause)
        forward = self.allows(cause, effect, 0) and (there or not back)
        backward = self.allows(effect, cause, 0) and (back or not there)
        return {(True, True): "o?o", (True, False): "-?>", (False, True): "<?-"}.get((forward, backward), "")

    def _directed(self, cause: Series, effect: Series) -> bool:
        """Whether a certain statement without a lag fixes the direction."""
        return any(one.verdict == "certain" and one.lags is None and one.covers(cause, effect, 0)
                   for one in self.statements)

    def _check_circle(self, marks: LinkAssumptions, series: Sequence[Series]) -> None:
        waiting = {effect: {cause for (cause, lag), mark in links.items()
                            if lag == 0 and mark in ("-->", "-?>")}
                   for effect, links in marks.items()}
        while free := {one for one, causes in waiting.items() if not causes & waiting.keys()}:
            waiting = {one: causes for one, causes in waiting.items() if one not in free}
        if waiting:
            circle = [series[one] for one in waiting]
            lines = sorted({one.line for one in self.statements for cause in circle for effect in circle
                            if one.covers(cause, effect, 0) and cause != effect})
            raise KnowledgeError("same-time directions run in a circle",
                                 where="lines " + ", ".join(map(str, lines)),
                                 expected="an order among " + ", ".join(map(str, circle)),
                                 remedy="give one a lag, or forbid it at lag 0")

    def sentences(self, graph: CausalGraph) -> tuple[str, ...]:
        """One sentence per statement on what became of it in ``graph``."""
        return tuple(f"Knowledge line {one.line} ({_WORDS[one.verdict]}: {one.cause}, {one.effect}) "
                     + _became(one, graph) for one in self.statements)


def _statement(number: int, body: str, comment: str, where: str) -> Statement:
    match = _LINE.match(body)
    if match is None:
        raise KnowledgeError(f"cannot read {body!r}", where=f"{where} line {number}",
                             expected="'domain.variable [never causes | causes | may cause] domain.variable "
                                      "[at lag N or N..M]'",
                             remedy="rewrite it, or begin it with #")
    cause, verb, effect, first, last = match.groups()
    lags = None if first is None else (int(first), int(last if last is not None else first))
    if lags is not None and lags[0] > lags[1]:
        raise KnowledgeError(f"lags {lags[0]}..{lags[1]} run backwards", where=f"{where} line {number}",
                             expected="the smaller lag first", remedy="swap them")
    return Statement(number, cause, effect, _VERBS[" ".join(verb.split())], lags, comment)


def _both_cover(one: Statement, never: Statement, series: Sequence[Series], max_lag: int) -> str:
    """The first link that both statements speak of; a statement without a lag clashes only at all lags."""
    for cause in series:
        for effect in series:
            if cause == effect:
                continue
            lags = [lag for lag in range(max_lag + 1) if one.covers(cause, effect, lag)]
            barred = [lag for lag in lags if never.covers(cause, effect, lag)]
            if barred and (one.lags is not None or barred == lags):
                return f"{cause} -> {effect}" + (f" at lag {barred[0]}" if one.lags is not None else "")
    return ""


def _became(one: Statement, graph: CausalGraph) -> str:
    if one.verdict == "never":
        return "was honoured: such links were not searched for."
    found = [link for link in graph.links if one.covers(link.cause, link.effect, link.lag)
             and link.cause != link.effect]
    if one.verdict == "certain" and one.lags is not None:
        if not found:
            return "names a series that was left out."
        return f"was honoured: {len(found)} link(s) put in and measured."
    lags = sorted({link.lag for link in found})
    if not lags:
        return "was not confirmed by these data."
    return "was confirmed at lag " + ", ".join(map(str, lags)) + "."
