"""Data health: a sensor or a network that says nothing is a data ticket, never drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Silence:
    """Counts for how many steps each node, and the network as a whole, has been silent.

    ``expected`` (node,) bool: nodes that do report in normal times; ``outage_after`` and ``silent_after``: steps
    after which a silent network (most expected nodes say nothing) and a silent node are told, once each time.

    >>> silence = Silence(np.array([True, True]), outage_after=2, silent_after=3)
    >>> [silence.hear(np.array([True, node])) for node in (False, False, False)][-1][1].tolist()
    [False, True]
    """

    expected: np.ndarray
    outage_after: int
    silent_after: int
    _network: int = 0
    _nodes: np.ndarray | None = None

    def hear(self, reported: np.ndarray, steps: int = 1) -> tuple[bool, np.ndarray]:
        """``reported`` (node,) bool for the next ``steps`` steps; returns whether an outage is told now, and which
        nodes are told silent now. Nodes are not told one by one while the whole network is silent."""
        before = np.zeros(len(self.expected), int) if self._nodes is None else self._nodes
        self._nodes = np.where(reported | ~self.expected, 0, before + steps)
        silent = bool(self.expected.any() and 2 * reported[self.expected].sum() < self.expected.sum())
        network, self._network = self._network, self._network + steps if silent else 0
        outage = network < self.outage_after <= self._network
        alone = (before < self.silent_after) & (self._nodes >= self.silent_after) & (not silent)
        return outage, alone

    def state(self) -> dict[str, object]:
        """Settings and counts."""
        return {"expected": self.expected.copy(), "outage_after": self.outage_after,
                "silent_after": self.silent_after, "network": self._network,
                "nodes": np.zeros(len(self.expected), int) if self._nodes is None else self._nodes.copy()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Silence:
        """What ``state`` described."""
        return cls(np.array(state["expected"], bool), int(state["outage_after"]), int(state["silent_after"]),
                   int(state["network"]), np.array(state["nodes"], int))
