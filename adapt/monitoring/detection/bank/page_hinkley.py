"""PageHinkley for all nodes at once, with the flags of ``river.drift.PageHinkley``; 48 bytes a node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import njit

from terracast.adapt.monitoring.detection.bank.contract import DetectorBank, DetectorError
from terracast.adapt.monitoring.detection.bank.shapes import chosen, many_steps, one_step

# count, mean, sum of increases, sum of decreases, lowest increase, highest decrease. River starts the highest at -1
# and not at -infinity, so that the decreases are compared with -1 until they have been above it; so do we.
START = np.array([0.0, 0.0, 0.0, 0.0, np.inf, -1.0])
MODES = ("up", "down", "both")
TILE = 64  # nodes side by side; a length known at compile time lets the loop over them run in vector registers


@njit(cache=True, error_model="numpy")
def _feed(values: np.ndarray, sums: np.ndarray, flags: np.ndarray, fewest: int, delta: float, rise: float,
          fall: float, alpha: float) -> None:
    """Feed ``values`` (step, node) into ``sums`` (tile, 6, TILE); river's arithmetic, operation by operation."""
    steps, nodes = values.shape
    for tile in range(len(sums)):
        one, begin, many = sums[tile], tile * TILE, min(TILE, nodes - tile * TILE)
        row, fired = np.full(TILE, np.nan), np.zeros(TILE)
        for step in range(steps):
            for at in range(many):
                row[at] = values[step, begin + at]
            for at in range(TILE):  # without branches: what is not wanted is computed and not stored
                value = row[at]
                seen = value == value  # NaN: no evidence
                count = one[0, at] + 1.0
                mean = one[1, at] + (1.0 / count) * (value - one[1, at])
                off = value - mean
                increase = alpha * one[2, at] + off - delta
                decrease = alpha * one[3, at] + off + delta
                lowest = increase if increase < one[4, at] else one[4, at]
                highest = decrease if decrease > one[5, at] else one[5, at]
                fire = seen & (count >= fewest) & ((increase - lowest > rise) | (highest - decrease > fall))
                fired[at] = 1.0 if fire else 0.0
                one[0, at] = 0.0 if fire else (count if seen else one[0, at])
                one[1, at] = 0.0 if fire else (mean if seen else one[1, at])
                one[2, at] = 0.0 if fire else (increase if seen else one[2, at])
                one[3, at] = 0.0 if fire else (decrease if seen else one[3, at])
                one[4, at] = np.inf if fire else (lowest if seen else one[4, at])
                one[5, at] = -1.0 if fire else (highest if seen else one[5, at])
            for at in range(many):
                flags[step, begin + at] = fired[at] != 0.0


class PageHinkleyBank(DetectorBank):
    """One Page-Hinkley test a node (Page 1954); arguments and defaults are river's own.

    ``min_instances`` values before the first alarm, ``delta`` (units of the values) forgiven at each, ``threshold``
    (same units) for the sums, ``alpha`` their fading, ``mode``: ``up``, ``down`` or ``both``. Flags equal to one
    ``river.drift.PageHinkley`` (0.26) a node that sees the same values without the NaN. Some ns a node and step.

    >>> bank = PageHinkleyBank(2, threshold=20.0)
    >>> values = np.zeros((100, 2))
    >>> values[60:, 1] = 2.0  # the second node changes
    >>> [(int(step), int(node)) for step, node in np.argwhere(bank.update_many(values))]
    [(71, 1)]
    """

    def __init__(self, nodes: int, *, min_instances: int = 30, delta: float = 0.005, threshold: float = 50.0,
                 alpha: float = 1 - 0.0001, mode: str = "both") -> None:
        if mode not in MODES:
            raise DetectorError(f"no mode {mode!r}", where="page_hinkley bank", expected="one of " + ", ".join(MODES),
                                remedy="choose one of these")
        self.nodes = nodes
        self.settings: dict[str, Any] = {"min_instances": min_instances, "delta": delta, "threshold": threshold,
                                         "alpha": alpha, "mode": mode}
        rise = float(threshold) if mode != "down" else np.inf
        fall = float(threshold) if mode != "up" else np.inf
        self._limits = int(min_instances), float(delta), rise, fall, float(alpha)
        self._sums = np.repeat(np.repeat(START[None, :, None], TILE, axis=2), -(-nodes // TILE), axis=0)

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
        at = np.flatnonzero(chosen(nodes, self.nodes, "page_hinkley"))
        self._sums[at // TILE, :, at % TILE] = START

    def state(self) -> dict[str, object]:
        """Kind, settings and sums (6, node); ``restore`` goes on exactly as if never interrupted."""
        sums = np.swapaxes(self._sums, 0, 1).reshape(len(START), -1)[:, :self.nodes]
        return {"kind": "page_hinkley", "nodes": self.nodes, "settings": dict(self.settings), "sums": sums.copy()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> PageHinkleyBank:
        """A bank that goes on where ``state`` was taken."""
        bank = cls(int(state["nodes"]), **state["settings"])
        at = np.arange(bank.nodes)
        bank._sums[at // TILE, :, at % TILE] = np.array(state["sums"], float).T
        return bank
