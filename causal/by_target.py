"""PCMCI's phases done target by target: here, on processes, on a cluster, or read back from an earlier run.

The conditions of a series (PC1) and the tests of links into it (MCI) need no other series' results, only the
data: each is a part that can be done anywhere, kept, and put together to the graph that one process finds.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from causal.kept import Kept
from causal.knowledge import LinkAssumptions
from causal.methods.explorer import explorer, quiet
from causal.search import Progress, Redraw, Search
from causal.workers import Here, Workers

Part = dict[str, np.ndarray]
Given = dict[int, list[tuple[int, int]]]


@dataclass(eq=False)
class TargetWork:
    """What a worker needs: ``values`` (time, series), ``marks`` and ``search``; it makes its engine once.

    >>> work = TargetWork(np.random.default_rng(0).normal(size=(300, 2)),
    ...                   {0: {(0, -1): "-?>"}, 1: {(0, -1): "-?>"}}, Search(1, method="PCMCI"))
    >>> work.done("parents", [1], {})[1]["asked"].tolist()
    [[0, -1]]
    """

    values: np.ndarray
    marks: LinkAssumptions
    search: Search
    redraw: Redraw | None = None
    _engine: Any = field(default=None, repr=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {"values": self.values, "marks": self.marks, "search": self.search, "redraw": self.redraw}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def done(self, phase: str, targets: Sequence[int], given: Given) -> dict[int, Part]:
        """The parts "parents" or "links" of ``targets``; links need all series' parents, in ``given``."""
        with self._lock, quiet(), threadpool_limits(1):  # an engine does one thing at a time
            if self._engine is None:
                self._engine = explorer(self.values, self.search, None, self.redraw)
            self._engine.only = frozenset(targets)
            return self._parents(targets) if phase == "parents" else self._links(targets, given)

    def _parents(self, targets: Sequence[int]) -> dict[int, Part]:
        engine, search = self._engine, self.search
        level = search.alpha if search.method == "PCMCI+" else search.condition_alpha
        engine.run_pc_stable(link_assumptions=self.marks, tau_min=0, tau_max=search.max_lag, pc_alpha=level)
        return {one: {"parents": _table(engine.all_parents[one]),
                      "weakest": np.array([engine.val_min[one][node] for node in engine.all_parents[one]]),
                      "asked": _table(list(engine.pval_max[one])),
                      "largest": np.array(list(engine.pval_max[one].values())),
                      "value": engine.val_matrix[:, one].copy(), "p_value": engine.p_matrix[:, one].copy()}
                for one in targets}

    def _links(self, targets: Sequence[int], given: Given) -> dict[int, Part]:
        search = self.search
        found = self._engine._run_mci_or_variants(
            link_assumptions=self.marks, tau_min=0, tau_max=search.max_lag, parents=given,
            max_conds_py=search.lagged_conditions, max_conds_px=search.lagged_conditions, val_only=False,
            alpha_level=search.alpha, fdr_method="none")
        return {one: {"value": found["val_matrix"][:, one].copy(), "p_value": found["p_matrix"][:, one].copy()}
                for one in targets}


def _table(nodes: Sequence[tuple[int, int]]) -> np.ndarray:
    return np.array(nodes, dtype=np.int64).reshape(-1, 2)


Solve = Callable[[str, list[list[int]], Given], Iterator[dict[int, Part]]]


class ByTarget:
    """Both phases put together from parts; what ``kept`` holds is not done again."""

    def __init__(self, work: TargetWork, solve: Solve, batches: int, kept: Kept | None,
                 progress: Progress | None) -> None:
        self.work, self.solve, self.batches, self.kept = work, solve, batches, kept
        self.progress = progress or (lambda share, words: None)

    @classmethod
    @contextlib.contextmanager
    def opened(cls, work: TargetWork, workers: Workers | None, kept: Kept | None,
               progress: Progress | None) -> Iterator[ByTarget]:
        """With workers at hand; they are let go at the end."""
        workers = workers or Here()
        batches = 4 * workers.count if work.search.compiled else work.values.shape[1]
        with workers.at(work) as solve:
            yield cls(work, solve, max(8, batches), kept, progress)

    def parents(self) -> dict[int, Part]:
        """See ``causal.methods.explorer.Parts``."""
        return self._phase("parents", {}, "lagged conditions", 0.0, 0.4)

    def links(self, parents: Given) -> dict[int, Part]:
        """See ``causal.methods.explorer.Parts``."""
        return self._phase("links", {int(one): list(nodes) for one, nodes in parents.items()},
                           "testing links", 0.4, 1.0)

    def _phase(self, phase: str, given: Given, words: str, start: float, end: float) -> dict[int, Part]:
        number = self.work.values.shape[1]
        found: dict[int, Part] = {}
        for target in range(number):
            part = None if self.kept is None else self.kept.part(phase, target)
            if part is not None:
                found[target] = part
        missing = [target for target in range(number) if target not in found]
        batches = [batch.tolist() for batch in np.array_split(missing, self.batches) if len(batch)]
        self.progress(start + (end - start) * len(found) / number, words)
        for parts in self.solve(phase, batches, given):
            for target, part in parts.items():
                found[target] = part
                if self.kept is not None:
                    self.kept.keep(phase, target, part)
            self.progress(start + (end - start) * len(found) / number, words)
        return {target: found[target] for target in range(number)}
