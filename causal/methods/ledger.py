"""Answers of costly tests kept in a file, so that a run that was cut off goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path


class Ledger:
    """One line per answered test in ``path``; a line torn by a kill is left out when read again.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "tests.jsonl"
    >>> Ledger(path).add([1, 2], 0.25, 0.01)
    >>> Ledger(path).get([1, 2])
    (0.25, 0.01)
    """

    def __init__(self, path: Path) -> None:
        self._answers: dict[tuple[int, ...], tuple[float, float]] = {}
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for line in text.splitlines(keepends=True):
            if line.endswith("\n"):
                key, value, p_value = json.loads(line)
                self._answers[tuple(key)] = (value, p_value)
        whole = text[:text.rfind("\n") + 1]
        if whole != text:
            path.write_text(whole, encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")

    def __deepcopy__(self, memo: object) -> Ledger:
        return self  # tigramite copies the test it is given; the file stays one

    def get(self, key: Sequence[int]) -> tuple[float, float] | None:
        """The kept answer (value, p-value), or None."""
        return self._answers.get(tuple(key))

    def add(self, key: Sequence[int], value: float, p_value: float) -> None:
        """Keep an answer; it is on its way to the disk when this returns."""
        self._answers[tuple(key)] = (value, p_value)
        self._file.write(json.dumps([list(key), value, p_value]) + "\n")
        self._file.flush()
