"""Errors in the words of the source: short, in one line, without private words; every place that makes one is read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.docs.prose import ROOT

ROOMS = ("stats", "streams", "stfm", "adapt", "causal", "drivers", "registry", "benchmarks", "flows", "terracast")
MOST = 25  # words of a whole line, a value that is filled in counting for one
PRIVATE = {"block of evidence", "witness", "tape", "shelf", "wish", "school", "told", "heard"}
LONG = {  # lines that name two ways out and an example; none may be added
    "streams/kinds/raster_file.py": 39, "streams/readers/tables.py": 38, "streams/readers/rows.py": 29,
    "streams/readers/table.py": 28, "adapt/correction/experts/experts.py": 29,
}
FILLED = "§"


class Line(NamedTuple):
    """One error: where it is made, and its parts with what is filled in as ``FILLED``."""

    path: str
    row: int
    what: str
    where: str
    expected: str
    remedy: str

    @property
    def words(self) -> int:
        """Of the line as it is printed: "what (where): expected …; remedy"."""
        return 1 + sum(len(re.findall(rf"\S*[\w{FILLED}]\S*", part)) for part in self[2:])


def _text(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else FILLED for part in node.values)
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    if isinstance(node, ast.IfExp):
        return max(_text(node.body), _text(node.orelse), key=lambda text: len(text.split()))
    return FILLED


def _lines(path: Path) -> Iterator[Line]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            given = {one.arg: one.value for one in node.keywords}
            if {"expected", "remedy"} <= given.keys():
                what = _text(node.args[0]) if node.args else _text(given.get("what"))
                yield Line(path.relative_to(ROOT).as_posix(), node.lineno, what,
                           *(_text(given.get(part)) for part in ("where", "expected", "remedy")))


@cache
def lines() -> list[Line]:
    """Of all rooms; a second."""
    return [line for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")) for line in _lines(path)]


def test_all_errors_are_found() -> None:
    """Every ``raise SomeError("…")`` of ours has the four parts, so that none is missed here."""
    rooms = {line.path.split("/")[0] for line in lines()}
    assert len(lines()) > 400 and rooms >= {"streams", "adapt", "causal", "flows"}


@pytest.mark.parametrize("room", ROOMS)
def test_errors_are_short(room: str) -> None:
    long = [(line.words, *line) for line in lines() if line.path.startswith(f"{room}/")
            and line.words > LONG.get(line.path, MOST)]
    assert not long


@pytest.mark.parametrize("room", ROOMS)
def test_errors_are_one_line_in_plain_words(room: str) -> None:
    for line in lines():
        if line.path.startswith(f"{room}/"):
            said = " ".join(line[2:]).lower()
            assert "\n" not in said and not re.search(r"\w\.$", said), line
            assert all(line[2:]), line
            assert not [word for word in PRIVATE if re.search(rf"\b{word}\b", said)], line
