"""What is found of a file: options with a reason each, doubts with the option that decides, and what is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LOOKED_FOR = frozenset({"unit_column"})  # what may be given and is no option of reading


@dataclass(frozen=True)
class Doubt:
    """Something that the file does not say for certain; ``option`` as it is typed. ``decide``: nothing is read before
    it is decided."""

    what: str
    option: str
    decide: bool = False


@dataclass(frozen=True)
class LeftOut:
    """A column that is not read, and why."""

    column: str
    why: str


@dataclass
class Findings:
    """Options of ``streams.readers.read`` as they are found, each with its reason; what was given is kept."""

    given: Mapping[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    doubts: list[Doubt] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    proposed: dict[str, tuple[Any, str]] = field(default_factory=dict)  # options that may be wanted, and why

    def __post_init__(self) -> None:
        self.options |= {name: value for name, value in self.given.items() if name not in LOOKED_FOR}
        self.why |= dict.fromkeys(self.options, "as given")

    def find(self, name: str, value: Any, why: str) -> None:
        """Keep an option, unless it was given."""
        if name not in self.options:
            self.options[name], self.why[name] = value, why

    def doubt(self, what: str, option: str, decide: bool = False) -> None:
        """Keep a doubt, unless its option was given."""
        name = option.removeprefix("--").partition(" ")[0].replace("-", "_")
        if name not in self.given or name in ("missing", "domain", "leave_out"):
            self.doubts.append(Doubt(what, option, decide))

    def take(self, other: Findings) -> None:
        """Keep what was found aside."""
        for name, value in other.options.items():
            self.find(name, value, other.why[name])
        self.doubts += other.doubts

    def leave(self, column: str, why: str) -> None:
        """Leave a column out."""
        if all(one.column != column for one in self.left_out):
            self.left_out.append(LeftOut(column, why))
