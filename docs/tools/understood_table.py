"""What is understood of other people's tables, made from the tests: ``python docs/tools/understood_table.py``."""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

from terracast.streams.schema.layout import encoding_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/tutorials/your-own-data.md"
BEGIN, END = "<!-- understood: made by `make docs-tables` -->", "<!-- end of understood -->"
LONGEST = 58  # signs of a line that are shown


def tables() -> dict[str, Any]:
    """The made-up exports, by name."""
    sys.path.insert(0, str(ROOT))
    module = importlib.import_module("tests.streams.tables_of_others")
    return dict(module.TABLES)


def rows() -> str:
    """A row per export: what it is, how it begins, and what is found."""
    lines = ["| export | its first lines | found |", "|---|---|---|"]
    for name, make in tables().items():
        file, content, right = make()
        text = content.decode(_encoding(file, content))
        shown = [line for line in text.splitlines() if line.strip()]
        first = "<br>".join(f"`{_cut(line)}`" for line in (shown[:2] if shown[0] != shown[-1] else shown[:1]))
        options = "; ".join(f"{option} {value}" for option, value in right.options.items())
        units = ", ".join(f"{variable} in {unit}" for variable, unit in right.units.items()) or ", ".join(
            right.variables)
        found = f"{right.nodes} × {right.step}, from {right.first}: {units}" + (f"; {options}" if options else "")
        lines.append(f"| {name.replace('_', ' ')} | {first} | {found.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def _encoding(name: str, content: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return encoding_of(path, content)[0]


def _cut(line: str) -> str:
    line = line.replace("|", "¦").replace("`", "'").replace("\t", " → ")
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def filled(text: str) -> str:
    """The page with the table between its marks."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{rows()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
