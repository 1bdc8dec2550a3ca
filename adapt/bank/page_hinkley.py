"""PageHinkley for all nodes at once, with the flags of ``river.drift.PageHinkley``; 48 bytes a node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import njit

from adapt.bank.shapes import chosen, many_steps, one_step
from adapt.detectors import DetectorError

# count, mean, sum of increases, sum of decreases, lowest increase, highest decrease. River starts the highest at -1
# and not at -infinity, so that the decreases are compared with -1 until they have been above it; so do we.
START = np.array([0.0, 0.0, 0.0, 0.0, np.inf, -1.0])
MODES = ("up", "down", "both")
TILE = 512  # nodes fed together: their sums stay in the processor's nearest memory during a block of steps


@njit(cache=True, error_model="numpy")  # type: ignore[misc]
def _feed(values: np.ndarray, sums: np.ndarray, flags: np.ndarray, fewest: int, delta: float, threshold: float,
          alpha: float, upward: bool, downward: bool) -> None:
    """Feed ``values`` (step, node) into ``sums`` (6, node); river's arithmetic, operation by operation."""
    steps, nodes = values.shape
    for begin in range(0, nodes, TILE):
        for step in range(steps):
            for node in range(begin, min(begin + TILE, nodes)):
                value = values[step, node]
                if value != value:  # NaN: no evidence
                    continue
                count = sums[0, node] + 1.0
                mean = sums[1, node] + (1.0 / count) * (value - sums[1, node])
                off = value - mean
                increase = alpha * sums[2, node] + off - delta
                decrease = alpha * sums[3, node] + off + delta
                lowest, highest = sums[4, node], sums[5, node]
                lowest = increase if increase < lowest else lowest
                highest = decrease if decrease > highest else highest
                fired = count >= fewest and ((upward and increase - lowest > threshold)
                                             or (downward and highest - decrease > threshold))
                flags[step, node] = fired
                sums[0, node] = 0.0 if fired else count
                sums[1, node] = 0.0 if fired else mean
                sums[2, node] = 0.0 if fired else increase
                sums[3, node] = 0.0 if fired else decrease
                sums[4, node] = np.inf if fired else lowest
                sums[5, node] = -1.0 if fired else highest


class PageHinkleyBank:
    """One Page-Hinkley test a node (Page 1954); arguments and defaults are river's own.

    ``min_instances`` values before the first alarm, ``delta`` (units of the values) forgiven at each, ``threshold``
    (same units) for the sums, ``alpha`` their fading, ``mode``: ``up``, ``down`` or ``both``. Flags equal to one
    ``river.drift.PageHinkley`` (0.26) a node that sees the same values without the NaN. Some ns a node and step.

    >>> bank = PageHinkleyBank(2, threshold=20.0)
    >>> values = np.zeros((100, 2))
    >>> values[60:, 1] = 2.0  # the second node changes
    >>> [(int(step), int(node)) for step, node in np.argwhere(bank.update_many(values))]
    [(73, 1)]
    """

    def __init__(self, nodes: int, *, min_instances: int = 30, delta: float = 0.005, threshold: float = 50.0,
                 alpha: float = 1 - 0.0001, mode: str = "both") -> None:
        if mode not in MODES:
            raise DetectorError(f"no mode {mode!r}", where="page_hinkley bank", expected="one of " + ", ".join(MODES),
                                remedy="choose one of these")
        self.nodes = nodes
        self.settings: dict[str, Any] = {"min_instances": min_instances, "delta": delta, "threshold": threshold,
                                         "alpha": alpha, "mode": mode}
        self._limits = (int(min_instances), float(delta), float(threshold), float(alpha), mode != "down", mode != "up")
        self._sums = np.repeat(START[:, None], nodes, axis=1)

    @property
    def bytes_per_node(self) -> float:
        """Memory of the detectors, bytes a node."""
        return self._sums.nbytes / max(self.nodes, 1)

    def update(self, values: np.ndarray) -> np.ndarray:
        """Feed one value a node, shape (node,); NaN is skipped. Returns the flags of this step, bool (node,)."""
        return self._fed(one_step(values, self.nodes, "page_hinkley"))[0]

    def update_many(self, values: np.ndarray) -> np.ndarray:
        """Feed a block (step, node) as so many updates; returns the flags, bool (step, node)."""
        return self._fed(many_steps(values, self.nodes, "page_hinkley"))

    def _fed(self, block: np.ndarray) -> np.ndarray:
        flags = np.zeros(block.shape, bool)
        _feed(block, self._sums, flags, *self._limits)
        return flags

    def reset(self, nodes: np.ndarray | None = None) -> None:
        """Start anew at the nodes of this mask, bool (node,); at all nodes without one."""
        self._sums[:, chosen(nodes, self.nodes, "page_hinkley")] = START[:, None]

    def state(self) -> dict[str, object]:
        """Kind, settings and sums (6, node); ``restore`` goes on exactly as if never interrupted."""
        return {"kind": "page_hinkley", "nodes": self.nodes, "settings": dict(self.settings),
                "sums": self._sums.copy()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> PageHinkleyBank:
        """A bank that goes on where ``state`` was taken."""
        bank = cls(int(state["nodes"]), **state["settings"])
        bank._sums = np.array(state["sums"], float).reshape(len(START), bank.nodes)
        return bank
