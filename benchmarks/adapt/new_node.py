"""New nodes with a week of history: how many steps of learning the meta-learned start saves.

Each case is one node of one file by itself, known for seven short seasons (a week of hours) before ``now``. The frozen
base is fine-tuned on the pairs matured by then: plainly (Adam on its heads from where they are, at two rates); as a
context along the directions that were meta-learned on simulated worlds; and from a start that is meta-learned, at that
time, on the stream's other nodes, half of the nodes for the other half (no node is new where there are no others).
After each of ``MARKS`` steps the loss is taken on issue times of the four weeks that follow, which learning never sees.
"""

from __future__ import annotations

import time as stopwatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from terracast.adapt.rungs.adapter import Adapter
from terracast.adapt.rungs.adapter_training import AdapterEffort, TrainingBatch, order, train_adapter
from terracast.adapt.rungs.cavia import ContextBatch, Directions, learned
from terracast.adapt.rungs.meta_init import load_start
from terracast.adapt.rungs.meta_nodes import node_tasks, start_of_nodes
from terracast.adapt.rungs.pairs import spread
from terracast.adapt.rungs.tasks import training_window_at
from terracast.adapt.rungs.training_windows import training_windows
from terracast.benchmarks.base.data import Case, cases_of
from terracast.stats.calendar import seasons
from terracast.stfm.base.model import Base
from terracast.stfm.base.panel_tensors import panel_tensors
from terracast.stfm.base.window import PATCH
from terracast.streams.errors import TerracastError

MARKS = (0, 1, 2, 3, 4, 5, 7, 10, 14, 20, 30, 40, 50)
SEASONS, AFTER = 7, 28  # short seasons of history, and of issue times asked afterwards
ASKED, NOWS = 16, 2  # issue times asked of a case, and cases of a node
RATES = (3e-4, 1e-3)
RATE = 3e-4  # of the course from a start
BEFORE = 26  # histories (weeks of hours) before now from which a start is learned
FILLED = 0.9  # share of the history that must be known

Progress = Callable[[int], None]


class NewNodeError(TerracastError):
    """Data without a node that the bench can be run on."""


@dataclass(frozen=True)
class NewNode:
    """One node by itself: ``panel`` from the first row of its history on, ``now`` the last row of it."""

    data: str
    variable: str
    node: str
    panel: xr.Dataset
    now: int
    case: Case

    @property
    def later(self) -> np.ndarray:
        """Issue rows asked: after now, with labels."""
        season = self.now // SEASONS
        last = min(self.now + AFTER * season, self.panel.sizes["time"] - self.case.horizon - 1)
        return spread(np.arange(self.now + 1, last + 1), ASKED)


def new_nodes(case: Case, nows: int = NOWS, nodes: int = 12) -> list[NewNode]:
    """Cases of the nodes that are known well enough, at ``nows`` times spread over the newest third of the rows."""
    season = seasons(case.step)[0] or 24
    rows, length = SEASONS * season, len(case.values)
    places = np.linspace(2 / 3, 1, nows + 1)[:-1] * length
    found = []
    for node in range(min(nodes, case.values.shape[1])):
        for place in places.astype(int):
            past = case.values[place - rows:place, node]
            coming = case.values[place:place + AFTER * season, node]
            if len(past) < rows or np.isfinite(past).mean() < FILLED \
                    or np.isfinite(coming).sum() < 0.5 * AFTER * season or np.ptp(past[np.isfinite(past)]) == 0:
                continue
            panel = case.panel[[case.variable]].isel(time=slice(place - rows, place + AFTER * season + case.horizon),
                                                     node=[node])
            name = str(case.panel["node"].values[node])
            found.append(NewNode(case.data, case.variable, name, panel, rows - 1, case))
    return found


@dataclass(frozen=True)
class Lessons:
    """What is learned from (until now) and what is asked (later), as the base reads it."""

    learned: TrainingBatch
    asked: TrainingBatch

    @classmethod
    def of(cls, base: Base, one: NewNode, seed: int = 0) -> Lessons:
        """States are computed here, once for all ways to learn."""
        request = one.case.request().at(one.panel["time"].values[one.now])
        taught = training_windows(one.panel, request, seed=seed, everything=True, masked=False)
        scene = panel_tensors(one.panel, one.variable, one.case.step, until=one.panel["time"].values[-1], ahead=0)
        asked = training_window_at(scene, one.later, -(-request.horizon // PATCH), horizon=request.horizon)
        zero = Adapter.zero(base.network)
        return cls(TrainingBatch(base.network, taught.labelled, zero, True),
                   TrainingBatch(base.network, [asked], zero, True))


def plain_curve(base: Base, lessons: Lessons, rate: float) -> np.ndarray:
    """Loss on the later issue times after each of ``MARKS`` steps of Adam on the heads, over the frozen base's."""
    zero = Adapter.zero(base.network)
    found = [lessons.asked.mean(zero.values)]
    places = order(len(lessons.learned), MARKS[-1], np.random.default_rng(0))
    for number, adapter in enumerate(train_adapter(lessons.learned, zero, AdapterEffort(rate), places), 1):
        if number in MARKS:
            found.append(lessons.asked.mean(adapter.values))
    return np.array(found) / max(found[0], 1e-6)


def start_curve(lessons: Lessons, start: Adapter) -> np.ndarray:
    """The same for Adam on the heads from a start of the stream's other nodes."""
    found = [lessons.asked.mean(start.values)]
    bare = lessons.asked.mean({name: torch.zeros_like(value) for name, value in start.values.items()})
    places = order(len(lessons.learned), MARKS[-1], np.random.default_rng(0))
    for number, adapter in enumerate(train_adapter(lessons.learned, start, AdapterEffort(RATE), places), 1):
        if number in MARKS:
            found.append(lessons.asked.mean(adapter.values))
    return np.array(found) / max(bare, 1e-6)


@dataclass(frozen=True)
class Starts:
    """Starts of one case of many nodes, for each time and half of them, from the other half's history until then."""

    base: Base
    case: Case
    made: dict[tuple[int, np.datetime64], Adapter | None]

    def of(self, one: NewNode) -> Adapter | None:
        """The start for a new node; None where the other half holds nothing to learn from."""
        names = list(map(str, self.case.panel["node"].values))
        half, now = names.index(one.node) % 2, one.panel["time"].values[one.now]
        if (half, now) not in self.made:
            others = np.flatnonzero(np.arange(len(names)) % 2 != half)
            row = int(np.searchsorted(self.case.panel["time"].values, now, side="right"))
            rows = one.now + 1
            known = self.case.panel[[one.variable]].isel(time=slice(max(0, row - BEFORE * rows), row), node=others)
            tasks = node_tasks(self.base, known, self.case.request().at(now), rows)
            self.made[half, now] = start_of_nodes(self.base, tasks) if tasks else None
        return self.made[half, now]


def context_curve(base: Base, lessons: Lessons, directions: Directions) -> np.ndarray:
    """The same for a context learned along the directions."""
    support, query = ContextBatch(base.network, lessons.learned.lessons), ContextBatch(base.network,
                                                                                       lessons.asked.lessons)
    contexts = learned(support, directions, MARKS[-1])
    with torch.no_grad():
        found = [float(query.loss(directions.values, contexts[mark])) for mark in MARKS]
    return np.array(found) / max(found[0], 1e-6)


def bench_new_node(paths: Sequence[Path], command: str, *, start: Path | None = None, nodes: int = 12,
                   variables: int = 1, progress: Progress = lambda done: None) -> dict[str, Any]:
    """A row for each file and each way to learn: the loss over that of the frozen base after so many steps.

    Summary: the best mean ratio that plain fine-tuning reaches, at its best rate, and after how many steps; and after
    how many steps the meta-learned start is there. Raises ``NewNodeError`` where no node qualifies.
    """
    base = Base.shipped()
    directions = Directions(load_start(base) if start is None else load_start(base, start))
    rows: list[dict[str, Any]] = []
    ratios: dict[str, list[np.ndarray]] = {}
    for path in paths:
        cases = [one for case in cases_of(path, variables=variables)[0] for one in new_nodes(case, nodes=nodes)]
        starts: dict[int, Starts] = {}
        here: dict[str, list[np.ndarray]] = {}
        spent: dict[str, float] = {}
        for one in cases:
            lessons = Lessons.of(base, one)
            clock = stopwatch.process_time()
            start_here = starts.setdefault(id(one.case), Starts(base, one.case, {})).of(one)
            spent["terracast"] = spent.get("terracast", 0.0) + stopwatch.process_time() - clock
            for name in (*(f"plain {rate:g}" for rate in RATES), "simulated", "terracast"):
                clock = stopwatch.process_time()
                if name == "terracast" and start_here is not None:
                    told = start_curve(lessons, start_here)
                elif name in ("simulated", "terracast"):
                    told = context_curve(base, lessons, directions)
                else:
                    told = plain_curve(base, lessons, float(name.split()[1]))
                here.setdefault(name, []).append(told)
                spent[name] = spent.get(name, 0.0) + stopwatch.process_time() - clock
            progress(1)
        for name, curves in here.items():
            ratios.setdefault(name, []).extend(curves)
            rows.append({"data": path.stem, "variable": cases[0].variable, "method": name, "cases": len(cases),
                         "cpu_seconds": spent[name], **best_of_curve(np.array(curves))})
    if not rows:
        raise NewNodeError("no node is known for a week and asked for four", where=", ".join(map(str, paths)),
                           expected="seven short seasons with values, and 28 after them", remedy="give another file")
    rows += [{"data": "all", "variable": "", "method": name, "cases": len(told), **best_of_curve(np.array(told))}
             for name, told in ratios.items()]
    return {"bench": "rungs", "data": ", ".join(path.stem for path in paths), "rows": rows, "command": command,
            "protocol": {"name": "new-node", "history": "seven short seasons", "marks": MARKS,
                         "asked": f"{ASKED} issue times of the {AFTER} seasons after",
                         "ratio": "geometric mean over nodes and times of the loss over the frozen base's"},
            "summary": summary(ratios)}


def best_of_curve(ratios: np.ndarray) -> dict[str, float]:
    """Geometric means at some marks, the best of all and where it is."""
    means = np.exp(np.log(ratios).mean(0))
    best = int(np.argmin(means))
    return {f"after_{MARKS[place]}": float(means[place]) for place in (0, 1, 5, 7, 9, 10, 12)} | {
        "best": float(means[best]), "best_after": float(MARKS[best])}


def summary(ratios: dict[str, list[np.ndarray]]) -> dict[str, Any]:
    """Steps to the best that plain fine-tuning reaches, from zeros and from the meta-learned start."""
    means = {name: np.exp(np.log(np.array(told)).mean(0)) for name, told in ratios.items()}
    plain = min((name for name in means if name.startswith("plain")), key=lambda name: float(means[name].min()))
    best = float(means[plain].min())
    ours = np.flatnonzero(means["terracast"] <= best)
    wins = [told[5] < other.min() for told, other in zip(ratios["terracast"], ratios[plain], strict=True)]
    return {"plain": plain, "plain_best": best, "plain_steps": MARKS[int(np.argmin(means[plain]))],
            "meta_steps": MARKS[ours[0]] if len(ours) else None, "meta_best": float(means["terracast"].min()),
            "share_of_cases_won_after_5": float(np.mean(wins))}
