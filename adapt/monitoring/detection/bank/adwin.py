"""ADWIN for all nodes at once, with the flags of ``river.drift.ADWIN``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import njit

from terracast.adapt.monitoring.detection.bank.adwin_window import ROWS, cut_found, insert, log_term, rows_for
from terracast.adapt.monitoring.detection.bank.contract import DetectorBank, DetectorError
from terracast.adapt.monitoring.detection.bank.shapes import chosen, many_steps, one_step


@njit(cache=True, error_model="numpy")
def _feed(values: np.ndarray, counts: np.ndarray, sums: np.ndarray, buckets: np.ndarray, flags: np.ndarray,
          delta: float, clock: int, most: int, least: float, grace: float) -> int:
    """Feed ``values`` (step, node) into the windows; returns the most values that a window now holds."""
    steps, nodes = values.shape
    inserted = np.empty(ROWS, np.int64)
    longest, checked, log = 0, 0, 0.0
    for node in range(nodes):
        count, total, variance = counts[node], sums[node, 0], sums[node, 1]
        for step in range(steps):
            value = values[step, node]
            if value != value:  # NaN: no evidence
                continue
            insert(buckets, node, most, count, value)
            count += 1
            if count > 1:
                width = float(count)
                off = value - total / (width - 1.0)
                variance += (width - 1.0) * off * off / width
            total += value
            if count % clock == 0 and float(count) > grace:
                if count != checked:  # nodes are mostly in step: one logarithm serves them all
                    checked, log = count, log_term(count, delta)
                if cut_found(buckets, node, most, count, total, variance, log, least, inserted):
                    flags[step, node] = True
                    count, total, variance = 0, 0.0, 0.0
        counts[node], sums[node, 0], sums[node, 1] = count, total, variance
        longest = max(longest, count)
    return longest


class AdwinBank(DetectorBank):
    """One ADWIN a node (Bifet and Gavaldà 2007); arguments and defaults are river's own.

    ``delta``: significance; ``clock``: values between two checks; ``max_buckets`` of each size; ``min_window_length``
    of either side of a cut; ``grace_period``: values before the first check. Flags equal to one ``river.drift.ADWIN``
    (0.26) a node that sees the same values without the NaN; so, as there, a node that has fired forgets everything,
    and the bound has a term in the raw units of the values, which should be standardised.

    Memory: 24 bytes a node and 64 for each doubling of the longest window beyond five values (with the default
    ``max_buckets``): 664 at 4,000 values, 1.2 kB at a million. Time: tens of ns a node and step.

    >>> bank = AdwinBank(2)
    >>> noise = np.random.default_rng(0).normal(size=(400, 2))
    >>> noise[200:, 1] += 3  # the second node changes
    >>> bank.update_many(noise).sum(axis=0).tolist()
    [0, 1]
    """

    def __init__(self, nodes: int, *, delta: float = 0.002, clock: int = 32, max_buckets: int = 5,
                 min_window_length: int = 5, grace_period: int = 10) -> None:
        if clock < 1 or max_buckets < 1:
            raise DetectorError(f"clock {clock}, max_buckets {max_buckets}", where="adwin bank",
                                expected="both at least 1", remedy="use river's defaults, 32 and 5")
        self.nodes = nodes
        self.settings: dict[str, Any] = {"delta": delta, "clock": clock, "max_buckets": max_buckets,
                                         "min_window_length": min_window_length, "grace_period": grace_period}
        self._limits = float(delta), int(clock), int(max_buckets), float(min_window_length), float(grace_period)
        self._counts = np.zeros(nodes, np.int64)
        self._sums = np.zeros((nodes, 2))  # total, and sum of squares about the mean
        self._longest = 0
        self._buckets = np.zeros((0, nodes, 1 << max_buckets.bit_length()))
        self._grow(rows_for(0, max_buckets))

    @property
    def bytes_per_node(self) -> float:
        """Memory of the detectors, bytes a node, as the longest window so far needs it."""
        return (self._counts.nbytes + self._sums.nbytes + self._buckets.nbytes) / max(self.nodes, 1)

    def update(self, values: np.ndarray) -> np.ndarray:
        """Feed one value a node, shape (node,); NaN is skipped. Returns the flags of this step, bool (node,)."""
        return self._fed(one_step(values, self.nodes, "adwin"))[0]

    def update_many(self, values: np.ndarray) -> np.ndarray:
        """Feed a block (step, node) as so many updates; returns the flags, bool (step, node)."""
        return self._fed(many_steps(values, self.nodes, "adwin"))

    def _fed(self, block: np.ndarray) -> np.ndarray:
        flags = np.zeros(block.shape, bool)
        self._grow(rows_for(self._longest + len(block), int(self.settings["max_buckets"])))
        self._longest = _feed(block, self._counts, self._sums, self._buckets, flags, *self._limits)
        return flags

    def _grow(self, rows: int) -> None:
        """Room for ``rows`` rows of buckets. Rows are outermost: the lowest, which all steps touch, lie together."""
        missing = rows - len(self._buckets)
        if missing > 0:
            more = np.zeros((missing, *self._buckets.shape[1:]))
            self._buckets = np.concatenate([self._buckets, more])

    def reset(self, nodes: np.ndarray | None = None) -> None:
        """Start anew at the nodes of this mask, bool (node,); at all nodes without one."""
        mask = chosen(nodes, self.nodes, "adwin")
        self._counts[mask], self._sums[mask] = 0, 0.0
        self._longest = int(self._counts.max(initial=0))

    def state(self) -> dict[str, object]:
        """Kind, settings, counts (node,), sums (node, 2), buckets (row, node, slot); ``restore`` goes on exactly.

        What was forgotten is written as 0: the state depends on the values alone, not on how they were cut in blocks.
        """
        most = int(self.settings["max_buckets"])
        buckets = self._buckets[:rows_for(self._longest, most)].copy()
        slots, inserted = np.arange(buckets.shape[2]), self._counts
        for row in buckets:
            left = 2 * np.where(inserted > most, (inserted - most + 1) >> 1, 0)
            row[(slots - left[:, None]) % len(slots) >= (inserted - left)[:, None]] = 0.0
            inserted = left // 2
        return {"kind": "adwin", "nodes": self.nodes, "settings": dict(self.settings), "counts": self._counts.copy(),
                "sums": self._sums.copy(), "buckets": buckets}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> AdwinBank:
        """A bank that goes on where ``state`` was taken."""
        bank = cls(int(state["nodes"]), **state["settings"])
        bank._counts = np.array(state["counts"], np.int64)
        bank._sums = np.array(state["sums"], float).reshape(bank.nodes, 2)
        bank._buckets = np.array(state["buckets"], float)
        bank._longest = int(bank._counts.max(initial=0))
        return bank
