"""Small files that once failed: where they lie, and shorter ones, as quick as what is asked of them allows."""

from __future__ import annotations

from pathlib import Path

CASES = Path(__file__).parents[1] / "cases"


def case_since(name: str, since: str, folder: Path) -> Path:
    """A case's rows from a date on, as a file in a folder of its own there; the stamp is its first column."""
    header, *rows = (CASES / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    short = folder / "case" / f"{name}.csv"
    short.parent.mkdir()
    short.write_text("\n".join([header, *(row for row in rows if row >= since)]) + "\n", encoding="utf-8")
    return short
