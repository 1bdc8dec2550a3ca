"""A start for a new node, meta-learned from the other nodes of its stream: known history, and nothing else.

A task is another node as if it were new: a short history to adapt to, and what came after it, all before now. ANIL
(Raghu et al. 2020) on the heads: a few steps on the history, the gradient of the loss on what came after taken there,
and the start moved against its mean over tasks. The base's states are computed once for each task, so an outer step
costs a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from terracast.adapt.rungs.adapter import HEADS, Adapter, Values
from terracast.adapt.rungs.adapter_training import AdapterEffort, TrainingBatch, gradient, order, train_adapter
from terracast.adapt.rungs.pairs import spread
from terracast.adapt.rungs.tasks import training_window_at
from terracast.adapt.rungs.training_windows import training_windows
from terracast.stfm.base.model import Base
from terracast.stfm.base.panel_tensors import panel_tensors
from terracast.stfm.base.window import PATCH
from terracast.stfm.forecaster import Request

ASKED = 12  # issue times asked of a task
FILLED = 0.8  # share of a node's history that must be known
LOOK = 4  # outer steps between two looks at what is held back
PATIENCE = 12  # outer steps without a better look, after which no more follow
STEPS = 6  # inner steps, drawn from none to so many, so that the start is good before any


@dataclass(frozen=True)
class NodeTask:
    """Another node as if new: what was known of it (support), what came after (query), the base's loss on that, and
    the row at which it began to be known wholly."""

    support: TrainingBatch
    query: TrainingBatch
    bare: float
    place: int


def node_tasks(base: Base, known: xr.Dataset, request: Request, rows: int, *, nodes: int = 6, times: int = 6,
               seed: int = 0) -> list[NodeTask]:
    """Tasks from the nodes of ``known``, which holds no row after ``request.issue_time`` and not the new node.

    ``rows``: of history that a task begins with; as many and a horizon follow it. Up to ``nodes`` nodes at ``times``
    times spread over all that is known, newest last. Empty where nothing is long enough. About 0.3 s a task.
    """
    values = known[request.target].transpose("time", "node").values
    length, chance = len(values), np.random.default_rng([seed, 6])
    after = rows + request.horizon
    if length < rows + after:
        return []
    places = np.unique(np.linspace(rows, length - after, times).astype(int))
    chosen = np.sort(chance.permutation(values.shape[1])[:nodes])
    found = []
    for place in places:
        for node in chosen:
            past, coming = values[place - rows:place, node], values[place:place + after, node]
            if np.isfinite(past).mean() < FILLED or np.isfinite(coming).mean() < FILLED \
                    or np.nanmax(past) <= np.nanmin(past):
                continue
            part = known[[request.target]].isel(time=slice(place - rows, place + after), node=[node])
            found.append(_task(base, part, request.at(part["time"].values[rows - 1]), rows, int(place)))
    return [one for one in found if len(one.support)]


def _task(base: Base, part: xr.Dataset, request: Request, rows: int, place: int) -> NodeTask:
    taught = training_windows(part.isel(time=slice(rows)), request, everything=True, masked=False)
    scene = panel_tensors(part, request.target, request.step.astype("timedelta64[ns]"), until=part["time"].values[-1],
                          ahead=0)
    later = spread(np.arange(rows, part.sizes["time"] - request.horizon), ASKED)
    asked = training_window_at(scene, later, -(-request.horizon // PATCH), horizon=request.horizon)
    zero = Adapter.zero(base.network, parts=tuple(HEADS))
    query = TrainingBatch(base.network, [asked], zero, True)
    return NodeTask(TrainingBatch(base.network, taught.labelled, zero, True), query,
                    max(query.mean(zero.values), 1e-6), place)


def start_of_nodes(base: Base, tasks: Sequence[NodeTask], *, rounds: int = 40, together: int = 6,
                   inner: float = 1e-3, outer: float = 1e-3, seed: int = 0) -> Adapter:
    """The start that up to ``rounds`` outer steps of ``together`` tasks lead to; zero, the base itself, without tasks.

    The newest third of the times is held back (nodes of one time share their weather, so the last nodes would not
    do), and the start that does best on the worst of these, before any step, is kept: the base itself where none is
    better at all of them.
    ``inner`` and ``outer`` are rates of Adam. Each task counts by its loss over that of the bare base. Deterministic
    on one number of threads. At most ``rounds`` × ``together`` × 20 ms.
    """
    start = Adapter.zero(base.network, parts=tuple(HEADS), seed=seed)
    times = sorted({one.place for one in tasks})
    newest = times[len(times) - len(times) // 3:]
    held, taught = [[one for one in tasks if (one.place in newest) is whether] for whether in (True, False)]
    if not held:
        return start
    chance = np.random.default_rng([seed, 7])
    moved = {name: value.clone() for name, value in start.values.items()}
    mean, best, least, since = start.detached(), start, _worth(held, start), 0
    optimiser = torch.optim.Adam(list(moved.values()), lr=outer, betas=(0.9, 0.99))
    for turn in range(rounds):
        now, total = Adapter(moved).detached(), {name: torch.zeros_like(value) for name, value in moved.items()}
        chosen = [taught[place] for place in chance.permutation(len(taught))[:together]]
        for one in chosen:
            for name, value in _outer(one, now, inner, chance).items():
                total[name] += value / (one.bare * len(chosen))
        for name, value in moved.items():
            value.grad = total[name]
        torch.nn.utils.clip_grad_norm_(list(moved.values()), 1.0)
        optimiser.step()
        for name, value in mean.values.items():
            value.lerp_(moved[name], 1 - min(0.8, turn / (turn + 5)))
        if turn % LOOK == LOOK - 1 and (found := _worth(held, mean)) < least:
            best, least, since = mean.detached(), found, turn
        if turn - since >= PATIENCE:
            break
    return best


def _worth(tasks: Sequence[NodeTask], start: Adapter) -> float:
    """Mean over nodes of the log of the query's loss over the bare base's, before any step, at the worst time."""
    told: dict[int, list[float]] = {}
    for one in tasks:
        told.setdefault(one.place, []).append(float(np.log(max(one.query.mean(start.values), 1e-6) / one.bare)))
    return max(float(np.mean(logs)) for logs in told.values())


def _outer(one: NodeTask, start: Adapter, rate: float, chance: np.random.Generator) -> Values:
    """The gradient of the query's loss after a few steps on the support, as if it were one at the start."""
    steps = int(chance.integers(0, STEPS + 1))
    places = order(len(one.support), steps, chance)
    adapted = [start, *train_adapter(one.support, start, AdapterEffort(rate, pull=0.0), places)][-1]
    return gradient(one.query, adapted, list(start.values))[0]
