"""Data health: a sensor or a network that says nothing is a data ticket, never drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

LEAST_SEEN = 0.1  # of the reference: a node that reports less is not expected to
USUAL = 5  # silences at least as long in the reference make one usual


@dataclass
class Silence:
    """Counts for how many steps each node, and the network as a whole, has been silent.

    ``expected`` (node,) bool: nodes that do report in normal times; ``outage_after`` and ``silent_after`` (for all or
    for each node): steps after which a silent network (most expected nodes say nothing) and a silent node are told,
    once each time; after as many reports as for a silent node, one that is not expected is told to have appeared, once
    for all. ``Silence.fit`` learns them.

    >>> silence = Silence(np.array([True, True]), outage_after=2, silent_after=3)
    >>> [silence.hear(np.array([True, node])) for node in (False, False, False)][-1][1].tolist()
    [False, True]
    """

    expected: np.ndarray
    outage_after: int
    silent_after: int | np.ndarray
    _network: int = 0
    _nodes: np.ndarray | None = None
    _reports: np.ndarray | None = None

    @classmethod
    def fit(cls, seen: np.ndarray, outage_after: int, silent_after: int) -> Silence:
        """Longer than what is usual in the reference ``seen`` (time, node) bool, at least so many steps: a stream of
        working days is silent at every weekend, one of opening hours at every night.

        >>> weekdays = (np.arange(70) % 7 < 5)[:, None]
        >>> Silence.fit(weekdays, 2, 3).outage_after
        3
        """
        expected = seen.mean(axis=0) >= LEAST_SEEN
        network = 2 * seen[:, expected].sum(axis=1, keepdims=True) < max(1, expected.sum())
        return cls(expected, max(outage_after, 1 + int(_usual_runs(network)[0])),
                   np.maximum(silent_after, 1 + _usual_runs(~seen)))

    @property
    def network(self) -> int:
        """For how many steps the network has been silent."""
        return self._network

    @property
    def nodes(self) -> np.ndarray:
        """For how many steps each node has been silent, (node,)."""
        return np.zeros(len(self.expected), int) if self._nodes is None else self._nodes

    def hear(self, reported: np.ndarray, steps: int = 1) -> tuple[bool, np.ndarray, np.ndarray]:
        """``reported`` (node,) bool for the next ``steps`` steps; returns whether an outage is told now, and which
        nodes are told silent now and which to have appeared. Nodes are not told silent one by one while the whole
        network is."""
        before = self.nodes
        self._nodes = np.where(reported | ~self.expected, 0, before + steps)
        silent = bool(self.expected.any() and 2 * reported[self.expected].sum() < self.expected.sum())
        network, self._network = self._network, self._network + steps if silent else 0
        outage = network < self.outage_after <= self._network
        alone = (before < self.silent_after) & (self._nodes >= self.silent_after) & (not silent)
        known = np.zeros(len(self.expected), int) if self._reports is None else self._reports
        self._reports = known + steps * (reported & ~self.expected)
        return outage, alone, (known < self.silent_after) & (self._reports >= self.silent_after)

    def state(self) -> dict[str, object]:
        """Settings and counts."""
        return {"expected": self.expected.copy(), "outage_after": self.outage_after,
                "silent_after": np.array(self.silent_after), "network": self._network,
                "nodes": self.nodes.copy(),
                "reports": np.zeros(len(self.expected), int) if self._reports is None else self._reports.copy()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Silence:
        """What ``state`` described."""
        return cls(np.array(state["expected"], bool), int(state["outage_after"]), np.array(state["silent_after"], int),
                   int(state["network"]), np.array(state["nodes"], int), np.array(state["reports"], int))


def _usual_runs(silent: np.ndarray) -> np.ndarray:
    """The longest run of ``silent`` (time, node) bool that came ``USUAL`` times or more, (node,); 0 where none did.

    >>> _usual_runs(np.array([[True, True], [True, False]] * 6)[1:]).tolist()
    [0, 1]
    """
    edges = np.diff(np.pad(silent.astype(np.int8), ((1, 1), (0, 0))), axis=0)
    node, at = np.nonzero(edges.T)  # a run begins and ends, one after the other, node by node
    node, length = node[::2], at[1::2] - at[::2]
    order = np.lexsort((-length, node))
    node, length = node[order], length[order]
    usual = np.arange(len(node)) - np.searchsorted(node, node) == USUAL - 1
    found = np.zeros(silent.shape[1], int)
    found[node[usual]] = length[usual]
    return found


@dataclass
class Stuck:
    """Counts how long each node has repeated its last value; a stuck sensor is a data ticket, never drift.

    ``after`` (node,): steps of the same value after which it is told, once each time; ``Stuck.fit`` learns it.

    >>> stuck = Stuck(np.array([3, 3]))
    >>> [stuck.hear(np.array([1.0, value])).tolist() for value in (1.0, 2.0, 3.0, 4.0)]
    [[False, False], [False, False], [True, False], [False, False]]
    """

    after: np.ndarray
    _last: np.ndarray | None = None
    _runs: np.ndarray | None = None

    @classmethod
    def fit(cls, values: np.ndarray, fewest: int = 6) -> Stuck:
        """Twice the longest run of one value in the reference ``values`` (time, node), at least ``fewest`` steps."""
        counter, longest = cls(np.full(values.shape[1], np.iinfo(np.int64).max)), np.zeros(values.shape[1], int)
        for row in np.asarray(values, float):
            counter.hear(row)
            longest = np.maximum(longest, counter.runs)
        return cls(np.maximum(2 * longest + 1, fewest))

    @property
    def runs(self) -> np.ndarray:
        """How many steps each node has shown its last value, (node,)."""
        return np.zeros(len(self.after), int) if self._runs is None else self._runs

    @property
    def stuck(self) -> np.ndarray:
        """Which nodes are stuck now, bool (node,)."""
        return self.runs >= self.after

    def hear(self, values: np.ndarray) -> np.ndarray:
        """``values`` (node,), NaN where none came (then nothing is counted); which nodes are told stuck now."""
        last = np.full(len(self.after), np.nan) if self._last is None else self._last
        seen, before = np.isfinite(values), self.runs
        self._runs = np.where(seen, np.where(values == last, before + 1, 1), before)
        self._last = np.where(seen, values, last)
        return (before < self.after) & (self._runs >= self.after)

    def state(self) -> dict[str, object]:
        """Limits and counts."""
        last = np.full(len(self.after), np.nan) if self._last is None else self._last
        return {"after": self.after.copy(), "last": last.copy(), "runs": self.runs.copy()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Stuck:
        """What ``state`` described."""
        return cls(np.array(state["after"], int), np.array(state["last"], float), np.array(state["runs"], int))
