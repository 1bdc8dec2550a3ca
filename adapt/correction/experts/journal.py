"""What came since a checkpoint, so that a large state is written rarely and made again from little."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from terracast.streams.stateful import Stateful

MOST_CELLS = 100_000  # rows × nodes, from which on making them again would take longer than reading a checkpoint
LEAST_ROWS, MOST_ROWS = 48, 240  # between two checkpoints


@dataclass(frozen=True)
class Row(Stateful):
    """A row of the clock (node,), its company (variable, node) or None, and whether it was learned from."""

    values: np.ndarray
    beside: np.ndarray | None
    learn: bool


@dataclass(frozen=True)
class Late(Stateful):
    """Cells of rows that had passed: how many rows before the next one (1: the newest), node, and value of each."""

    ages: np.ndarray
    nodes: np.ndarray
    values: np.ndarray

    def rows(self, nodes: int) -> np.ndarray:
        """As the newest rows (row, node), NaN where nothing came."""
        found = np.full((int(self.ages.max()), nodes), np.nan)
        found[len(found) - self.ages, self.nodes] = self.values
        return found


@dataclass
class Journal(Stateful):
    """Rows and late cells in the order in which they were told.

    >>> journal = Journal(nodes=2)
    >>> journal.row(np.array([1.0, np.nan]), None, learn=True)
    >>> journal.late(np.array([[False, True]]), np.array([[1.0, 7.0]]))
    >>> [type(one).__name__ for one in journal], list(journal)[1].rows(2).tolist(), journal.is_full
    (['Row', 'Late'], [[nan, 7.0]], False)
    """

    nodes: int
    entries: list[Row | Late] = field(default_factory=list)
    count: int = 0

    def row(self, values: np.ndarray, beside: np.ndarray | None, *, learn: bool) -> None:
        """The next row."""
        self.entries.append(Row(values.copy(), None if beside is None else beside.copy(), learn))
        self.count += 1

    def late(self, fresh: np.ndarray, values: np.ndarray) -> None:
        """Of the newest rows (row, node): which cells came only now, and all values."""
        row, node = np.nonzero(fresh)
        self.entries.append(Late(len(fresh) - row, node, values[fresh]))

    @property
    def is_full(self) -> bool:
        """Whether a checkpoint is due."""
        return self.count >= int(np.clip(MOST_CELLS // max(self.nodes, 1), LEAST_ROWS, MOST_ROWS))

    def __iter__(self) -> Iterator[Row | Late]:
        return iter(self.entries)
