"""How the command answers: tables and one-line errors for people, one JSON object for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from terracast.streams.printable import printable

CALM, ERROR, DRIFT = 0, 1, 3
WIDTH = 80  # of a table, on a terminal or not

_notes = Console(stderr=True)
_out = Console()


def print_json(answer: Mapping[str, Any]) -> None:
    """One JSON object on standard output and nothing else there."""
    sys.stdout.write(json_text(answer, indent=1) + "\n")


def json_text(answer: Mapping[str, Any], indent: int | None = None) -> str:
    """An answer as JSON: the same for whoever types a verb and for whoever asks over HTTP."""
    return json.dumps(answer, default=_plain, allow_nan=False, indent=indent)


def say(text: str) -> None:
    """A line to a person, on standard output; what names hold cannot steer the terminal or begin a further line."""
    _out.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """A line beside the answer, on standard error."""
    _notes.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def print_rows(title: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """A table: ``columns`` maps a row's key to its heading; numbers are rounded to be read."""
    table = Table(title=Text(printable(title)), title_justify="left")
    for heading in columns.values():
        table.add_column(heading, justify="right" if heading != next(iter(columns.values())) else "left")
    for row in rows:
        table.add_row(*(Text(printable(_cell(row.get(key)))) for key in columns))
    _out.print(table)


def table_lines(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1, width: int = WIDTH) -> list[str]:
    """A table as plain lines of at most ``width`` signs, the same on a terminal and in a file.

    The first ``left`` columns stand to the left, the others to the right; a heading may have several lines. The first
    column loses its middle where the lines would be too long.

    >>> rows = [("Dongsi", "34.2"), ("a rather long name", "8.1")]
    >>> print(*table_lines(("node", "NO2\\nµg m⁻³"), rows, width=20), sep="\\n")
                     NO2
    node          µg m⁻³
    Dongsi          34.2
    a rathe…name     8.1
    """
    tall = max(heading.count("\n") for heading in headings) + 1
    heads = [[""] * (tall - len(split)) + split for split in (heading.split("\n") for heading in headings)]
    lines = [[head[at] for head in heads] for at in range(tall)] + [list(map(printable, row)) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    widths[0] = max(4, min(widths[0], width - sum(widths[1:]) - 2 * (len(widths) - 1)))
    for line in lines:
        line[0] = _cut(line[0], widths[0])
    placed = [[text.ljust(size) if column < left else text.rjust(size)
               for column, (text, size) in enumerate(zip(line, widths, strict=True))] for line in lines]
    return ["  ".join(line).rstrip() for line in placed]


def tell(answer: Mapping[str, Any], json: bool, columns: Mapping[str, str] | None = None) -> None:
    """Print a bench's answer: JSON, or rows, summary, what was left out or published, and the command to repeat it.

    ``columns``: what to show where the rows have most of it; else everything is shown.
    """
    if json:
        print_json(answer)
        return
    rows, protocol = answer["rows"], answer.get("protocol", {})
    known = {name for row in rows for name in row}
    wanted = {name: heading for name, heading in (columns or {}).items() if name in known}
    shown = wanted if 2 * len(wanted) > len(columns or {}) else {name: name for row in rows for name in row}
    print_rows(f"{answer['bench']}: {answer['data'][:80]}", rows, shown)
    for name, value in answer["summary"].items():
        say(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")
    for name, why in protocol.get("left_out", {}).items():
        note(f"left out: {name}: {why}")
    for line in protocol.get("published", ()):
        note(line)
    say(f"repeat: {answer['command']}")


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)


def _cut(text: str, width: int) -> str:
    """The text without its middle where it is too long: names differ at their ends."""
    if len(text) <= width:
        return text
    tail = (width - 1) * 2 // 5
    return f"{text[:width - 1 - tail]}…{text[len(text) - tail:]}"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)
