"""Silence: a sensor or a network that reports nothing is a data ticket, never drift."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.streams.stateful import Stateful

LEAST_SEEN = 0.1  # of the reference: a node that reports less is not expected to
SILENT_BLOCKS = 3
USUAL = 5  # silences at least as long in the reference make one usual


@dataclass
class Silence(Stateful):
    """Counts for how many steps each node, and the network as a whole, has been silent.

    ``expected`` (node,) bool: nodes that do report in normal times; ``outage_after`` and ``silent_after`` (for all or
    for each node): steps after which a silent network (most expected nodes say nothing) and a silent node are told,
    once each time; after as many reports as for a silent node, one that is not expected is told to have appeared, once
    for all. ``Silence.fit`` learns them.

    >>> silence = Silence(np.array([True, True]), outage_after=2, silent_after=3)
    >>> [silence.update(np.array([True, node])) for node in (False, False, False)][-1][1].tolist()
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
        return cls(expected, max(outage_after, 1 + int(_typical_runs(network)[0])),
                   np.maximum(silent_after, 1 + _typical_runs(~seen)))

    @property
    def network(self) -> int:
        """For how many steps the network has been silent."""
        return self._network

    @property
    def nodes(self) -> np.ndarray:
        """For how many steps each node has been silent, (node,)."""
        return np.zeros(len(self.expected), int) if self._nodes is None else self._nodes

    def update(self, reported: np.ndarray, steps: int = 1) -> tuple[bool, np.ndarray, np.ndarray]:
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


def _typical_runs(silent: np.ndarray) -> np.ndarray:
    """The longest run of ``silent`` (time, node) bool that came ``USUAL`` times or more, (node,); 0 where none did.

    >>> _typical_runs(np.array([[True, True], [True, False]] * 6)[1:]).tolist()
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
class ReportWatch(Stateful):
    """Which ``nodes`` report, row by row: says as data tickets where ``silence`` tells of them; ``last`` row heard."""

    nodes: tuple[str, ...]
    step: np.timedelta64
    silence: Silence
    last: np.datetime64 = field(default_factory=lambda: np.datetime64("NaT", "ns"))

    @classmethod
    def fit(cls, nodes: tuple[str, ...], step: np.timedelta64, seen: np.ndarray, block: int) -> ReportWatch:
        """From a reference ``seen`` (time, node) bool, a row each ``step``, watched in blocks of so many steps."""
        return cls(nodes, step.astype("timedelta64[ns]"),
                   Silence.fit(seen, outage_after=max(2, block // 4), silent_after=SILENT_BLOCKS * block))

    def update(self, times: np.ndarray, reported: np.ndarray) -> list[Evidence]:
        """Take in rows ``reported`` (k, node) bool at rising ``times`` (k,); rows that never come are noticed at the
        next one, and rows not later than the last are left out. O(k × node)."""
        found: list[Evidence] = []
        for time, row in zip(times.astype("datetime64[ns]"), reported, strict=True):
            if time <= self.last:
                continue
            missed = 0 if np.isnat(self.last) else int((time - self.last) / self.step) - 1
            if missed > 0:
                found += self._evidence(time, time - self.step, np.zeros(len(row), bool), missed)
            found += self._evidence(time, time, row, 1)
            self.last = time
        return found

    def _evidence(self, time: np.datetime64, at: np.datetime64, reported: np.ndarray, steps: int) -> list[Evidence]:
        outage, alone, appeared = self.silence.update(reported, steps)
        found = [self._ticket(time, at - self.silence.network * self.step, self.nodes, "outage")] if outage else []
        for node in np.flatnonzero(alone):
            name, since = self.nodes[node], at - int(self.silence.nodes[node]) * self.step
            found.append(self._ticket(time, since, (name,), "silent"))
        return found + [self._ticket(time, time, (self.nodes[node],), "appeared") for node in np.flatnonzero(appeared)]

    def _ticket(self, time: np.datetime64, since: np.datetime64, nodes: tuple[str, ...], ticket: str) -> Evidence:
        return Evidence(time, since, nodes, "health", "none", 0.0, ticket)
