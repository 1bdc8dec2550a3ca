"""Learning to adapt: a start for adapters from which few steps on little data go far.

Many simulated worlds, each with a short history; in each an inner course of a few steps on what has matured, and then
either the gradient of the loss on what came after, taken at the adapted point (first-order MAML: Finn et al. 2017;
ANIL, where the inner course changes the heads alone: Raghu et al. 2020), or simply the way the inner course went
(Reptile: Nichol et al. 2018). An outer Adam follows; its start is averaged over the last part of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import torch

from terracast.adapt.rungs.adapter import Adapter, AdapterError, Values
from terracast.adapt.rungs.adapter_training import AdapterEffort, TrainingBatch, gradient, learned_names, train_adapter
from terracast.adapt.rungs.tasks import Task, task
from terracast.stfm.base.network import BaseNetwork

Method = Literal["anil", "fomaml", "reptile"]


@dataclass(frozen=True)
class MetaPlan:
    """What is learned and how: ``tasks`` worlds, ``together`` of them in an outer step; up to ``steps`` inner steps of
    Adam at ``rate`` (drawn anew for each task by fomaml and anil, so that the start is good after any number of
    steps, none included); ``outer`` is the rate of the outer Adam, falling to nothing along a cosine."""

    tasks: int
    method: Method = "anil"
    seed: int = 1
    steps: int = 8
    rate: float = 3e-3
    outer: float = 2e-3
    together: int = 4
    averaged: float = 0.98

    def as_json(self) -> dict[str, object]:
        """JSON-ready."""
        return asdict(self)

    @property
    def effort(self) -> AdapterEffort:
        """The inner course."""
        return AdapterEffort(rate=self.rate, pull=0.0, heads=self.method == "anil")


@dataclass(frozen=True)
class MetaProgress:
    """Where a run is: ``done`` of ``tasks``, running mean of the query loss over that of the base, and the start."""

    done: int
    tasks: int
    ratio: float
    start: Adapter


Make = Callable[[int, int], Task]


def meta_learn(network: BaseNetwork, plan: MetaPlan, tell: Callable[[MetaProgress], None] | None = None,
               make: Make = task) -> Adapter:
    """The start that the plan leads to; the same for the same plan on one number of threads.

    About 0.25 s a task on one core with anil. ``make(seed, number)`` gives the tasks.
    """
    if plan.tasks < 1 or plan.together < 1 or plan.steps < 1:
        raise AdapterError(f"{plan.tasks} tasks, {plan.together} together, {plan.steps} steps", where="meta_learn",
                           expected="at least one of each", remedy="correct the plan")
    start = Adapter.zero(network, seed=plan.seed)
    mean, moved = start.detached(), {name: value.clone() for name, value in start.values.items()}
    optimiser = torch.optim.Adam(list(moved.values()), lr=plan.outer, betas=(0.9, 0.99))
    chance = np.random.default_rng([plan.seed, 3])
    ratio, rounds = 1.0, -(-plan.tasks // plan.together)
    for turn in range(rounds):
        now = Adapter(moved).detached()
        total: Values = {name: torch.zeros_like(value) for name, value in moved.items()}
        for number in range(turn * plan.together, min(plan.tasks, (turn + 1) * plan.together)):
            found, worth = outer_gradient(network, make(plan.seed, number), now, plan, int(chance.integers(2**31)))
            for name, value in found.items():
                total[name] += value / plan.together
            ratio = 0.98 * ratio + 0.02 * worth
        for group in optimiser.param_groups:
            group["lr"] = plan.outer * min(1.0, (turn + 1) / 20) * 0.5 * (1 + np.cos(np.pi * turn / rounds))
        for name, value in moved.items():
            value.grad = total[name]
        torch.nn.utils.clip_grad_norm_(list(moved.values()), 1.0)
        optimiser.step()
        keep = min(plan.averaged, turn / (turn + 10))
        for name, value in mean.values.items():
            value.lerp_(moved[name], 1 - keep)
        if tell is not None:
            tell(MetaProgress(min(plan.tasks, (turn + 1) * plan.together), plan.tasks, ratio, mean.detached()))
    return mean


def outer_gradient(network: BaseNetwork, one: Task, start: Adapter, plan: MetaPlan,
                   chance: int = 0) -> tuple[Values, float]:
    """What one task says about the start, and the query's loss at the adapted point over that of the bare base.

    Reptile: start - adapted, for the outer step to go against. First-order MAML: the query's gradient there.
    """
    draw = np.random.default_rng(chance)
    steps = plan.steps if plan.method == "reptile" else int(draw.integers(0, plan.steps + 1))
    effort = plan.effort
    taught = TrainingBatch(network, one.support, start, effort.heads)
    adapted = [start, *train_adapter(taught, start, effort, order(len(taught), steps, draw))][-1]
    query = TrainingBatch(network, [one.query], start, heads=False)
    bare = query.mean({name: torch.zeros_like(value) for name, value in start.values.items()})
    if plan.method == "reptile":
        names = learned_names(start, effort.heads)
        return ({name: start.values[name] - adapted.values[name] for name in names},
                query.mean(adapted.values) / max(bare, 1e-6))
    found, worth = gradient(query, adapted, list(start.values))
    size = max(bare, 1e-6)  # so that a world that is hard to forecast does not outvote the others
    return {name: value / size for name, value in found.items()}, worth / size


def order(lessons: int, steps: int, draw: np.random.Generator) -> Sequence[int]:
    """Which lesson each step learns from: all in turn, shuffled anew each time.

    >>> sorted(order(3, 3, np.random.default_rng(0)))
    [0, 1, 2]
    """
    rounds = [draw.permutation(lessons) for _ in range(-(-steps // lessons))] or [np.empty(0, int)]
    return [int(place) for place in np.concatenate(rounds)[:steps]]
