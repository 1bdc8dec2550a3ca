"""A folder that keeps what a search has done, so that a run that was cut off goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from causal.graph import Series
from causal.knowledge import LinkAssumptions
from causal.methods.ledger import Ledger
from causal.search import DiscoverError, Search


class Kept:
    """Parts as ``phase-target.npz`` and answers of costly tests as ``tests.jsonl``, under one search's digest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def opened(cls, folder: Path, values: np.ndarray, series: Sequence[Series], marks: LinkAssumptions,
               search: Search) -> Kept:
        """The folder of this very search; raises ``DiscoverError`` if it holds another's.

        >>> import tempfile
        >>> place, table = Path(tempfile.mkdtemp()), np.zeros((3, 1))
        >>> Kept.opened(place, table, [Series("a", "x")], {}, Search(1)).keep("links", 0, {"value": table})
        >>> Kept.opened(place, table, [Series("a", "x")], {}, Search(1)).part("links", 0)["value"].shape
        (3, 1)
        """
        told = {"digest": _digest(values, series, marks, search), "search": asdict(search),
                "series": [str(one) for one in series]}
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / "search.json"
        if place.exists():
            found = json.loads(place.read_text(encoding="utf-8"))
            if found.get("digest") != told["digest"]:
                raise DiscoverError("the folder keeps another search", where=str(folder),
                                  expected="the same data, knowledge and settings, or an empty folder",
                                  remedy="name another folder or delete this one")
        else:
            _written(place, json.dumps(told, indent=1).encode())
        return cls(folder)

    def part(self, phase: str, target: int) -> dict[str, np.ndarray] | None:
        """A part that was kept, or None."""
        place = self._place(phase, target)
        if not place.exists():
            return None
        with np.load(place, allow_pickle=False) as held:
            return {name: held[name] for name in held.files}

    def keep(self, phase: str, target: int, part: dict[str, np.ndarray]) -> None:
        """Keep a part, whole or not at all."""
        place = self._place(phase, target)
        unfinished = place.with_suffix(".tmp")
        with unfinished.open("wb") as file:
            np.savez(file, **part)  # type: ignore[arg-type]
        os.replace(unfinished, place)

    def ledger(self) -> Ledger:
        """The answers of costly tests."""
        return Ledger(self.folder / "tests.jsonl")

    def _place(self, phase: str, target: int) -> Path:
        return self.folder / f"{phase}-{target:05d}.npz"


def _written(place: Path, content: bytes) -> None:
    unfinished = place.with_suffix(".tmp")
    unfinished.write_bytes(content)
    os.replace(unfinished, place)


def _digest(values: np.ndarray, series: Sequence[Series], marks: LinkAssumptions, search: Search) -> str:
    found = hashlib.sha256(np.ascontiguousarray(values, dtype=np.float64).tobytes())
    known = [[effect, sorted([*node, mark] for node, mark in causes.items())]
             for effect, causes in sorted(marks.items())]
    words = json.dumps([values.shape, [str(one) for one in series], known, asdict(search)])
    found.update(words.encode())
    return found.hexdigest()
