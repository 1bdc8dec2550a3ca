"""Bench of drivers in simulated worlds: chosen ones beside none, all and what peers pick, by truth and by error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from terracast.benchmarks.drivers.judged import METHODS, Protocol, judge
from terracast.benchmarks.drivers.worlds import TARGET, world
from terracast.causal.graph.graph import Series


@dataclass
class DriverTally:
    """Counts over worlds of one method."""

    right: int = 0
    used: int = 0
    useful: int = 0
    ratios: list[float] = field(default_factory=list)

    def add(self, used: set[Series], useful: frozenset[Series], ratio: float) -> None:
        """One world: what was used, what should have been, the error relative to using none."""
        self.right += len(used & useful)
        self.used += len(used)
        self.useful += len(useful)
        self.ratios.append(ratio)

    def row(self, name: str) -> dict[str, Any]:
        """The method's row."""
        return {"method": name, "precision": self.right / self.used if self.used else None,
                "recall": self.right / self.useful, "used": self.used, "mae_ratio": float(np.mean(self.ratios)),
                "worst_mae_ratio": max(self.ratios)}


def bench_drivers(protocol: Protocol, worlds: int = 12, steps: int = 8760, seed: int = 0, hidden: bool = False,
                  progress: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
    """Precision and recall of used drivers over simulated worlds, and the error relative to using none.

    A series counts as rightly used when it is a true cause that is published early enough. The row ``terracast`` is
    our own choice; ``causal-only`` the same without the ablation.
    """
    tally = {name: DriverTally() for name in METHODS}
    for number in range(worlds):
        made = world(seed + number, steps, hidden)
        judged = judge(made.panels, made.published, TARGET, protocol)
        for name in METHODS:
            tally[name].add(set(judged.used[name]), made.useful, judged.ratio(name))
        progress(1)
    rows = [tally[name].row(name) for name in METHODS]
    ours = rows[-1]
    return {"bench": "drivers", "data": f"{worlds} simulated worlds of {steps} steps",
            "protocol": {"seed": seed, "hidden_cause": hidden, "max_lag": protocol.max_lag,
                         "horizon": protocol.horizon, "alpha": protocol.alpha, "model": protocol.model},
            "rows": rows,
            "summary": {"precision": ours["precision"], "recall": ours["recall"],
                        **{f"mae_ratio_to_{row['method']}": ours["mae_ratio"] / row["mae_ratio"]
                           for row in rows[:-1]}},
            "command": f"terracast bench causal --worlds {worlds}"}
