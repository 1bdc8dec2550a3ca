"""What a table as people export it is: how one is made, what is right about it, and how it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Right:
    """What a file holds: nodes, step, first and last stamp (UTC), units by variable (None: not said), values read, and
    options that must be found."""

    nodes: int
    step: str
    first: str
    last: str
    variables: tuple[str, ...]
    units: dict[str, str] = field(default_factory=dict)
    options: dict[str, object] = field(default_factory=dict)
    largest: dict[str, float] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()


Made = tuple[str, bytes, Right]
TABLES: dict[str, Callable[[], Made]] = {}


def table(make: Callable[[], Made]) -> Callable[[], Made]:
    TABLES[make.__name__] = make
    return make


def wave(count: int, place: int = 0, level: float = 20.0) -> np.ndarray:
    """A daily wave with fixed noise, one decimal."""
    noise = np.random.default_rng(place).normal(0, 2, count)
    return np.round(np.maximum(level + 6 * np.sin(np.arange(count) * 2 * np.pi / 24) + noise + place, 0.5), 1)


def comma(value: float) -> str:
    return f"{value:.1f}".replace(".", ",")


def lines(rows: Iterator[str] | list[str], encoding: str = "utf-8", end: str = "\n") -> bytes:
    return (end.join(rows) + end).encode(encoding)


def write(made: Made, folder: Path) -> Path:
    name, content, _ = made
    (folder / name).write_bytes(content)
    return folder / name
