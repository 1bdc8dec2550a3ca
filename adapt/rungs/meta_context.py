"""Learning the directions along which a context is adapted: MAML through the steps, over many simulated worlds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch

from terracast.adapt.rungs.adapter import AdapterError
from terracast.adapt.rungs.cavia import DIRECTIONS, ContextBatch, Directions, step
from terracast.adapt.rungs.tasks import Task, task
from terracast.stfm.base.network import BaseNetwork

Make = Callable[[int, int], Task]


@dataclass(frozen=True)
class ContextPlan:
    """``tasks`` worlds, ``together`` of them in an outer step; after each of ``steps`` inner steps the loss on what
    came later counts alike, so that few steps are worth something. ``rate``: of the outer Adam."""

    tasks: int
    seed: int = 1
    steps: int = 3
    rate: float = 1e-2
    together: int = 4
    count: int = DIRECTIONS
    averaged: float = 0.98
    method: str = "maml-context"

    def as_json(self) -> dict[str, object]:
        """JSON-ready."""
        return asdict(self)


@dataclass(frozen=True)
class ContextProgress:
    """Where a run is: ``done`` of ``tasks``, running mean of the adapted loss over the base's, the directions."""

    done: int
    tasks: int
    ratio: float
    directions: Directions


def meta_learn_context(network: BaseNetwork, plan: ContextPlan, tell: Callable[[ContextProgress], None] | None = None,
                       make: Make = task) -> Directions:
    """The directions that the plan leads to; the same for the same plan on one number of threads. 0.2 s a task."""
    if plan.tasks < 1 or plan.together < 1 or plan.steps < 1:
        raise AdapterError(f"{plan.tasks} tasks, {plan.together} together, {plan.steps} steps",
                           where="meta_learn_context", expected="at least one of each", remedy="correct the plan")
    moving = Directions.random(network.size.width, count=plan.count, seed=plan.seed)
    mean = moving.detached()
    optimiser = torch.optim.Adam(list(moving.values.values()), lr=plan.rate, betas=(0.9, 0.99))
    ratio, rounds = 1.0, -(-plan.tasks // plan.together)
    for turn in range(rounds):
        numbers = range(turn * plan.together, min(plan.tasks, (turn + 1) * plan.together))
        for value in moving.values.values():
            value.grad = torch.zeros_like(value)
        for number in numbers:
            slopes, worth = outer_gradient(network, make(plan.seed, number), moving, plan.steps)
            if not all(bool(slope.isfinite().all()) for slope in slopes.values()):
                continue  # a world whose counts have no second derivative: it teaches nothing, and must not spoil all
            ratio = 0.99 * ratio + 0.01 * worth
            for name, value in moving.values.items():
                value.grad += slopes[name] / len(numbers)
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * min(1.0, (turn + 1) / 20) * 0.5 * (1 + np.cos(np.pi * turn / rounds))
        torch.nn.utils.clip_grad_norm_(list(moving.values.values()), 0.3)
        optimiser.step()
        keep = min(plan.averaged, turn / (turn + 10))
        for name, value in mean.values.items():
            value.lerp_(moving.values[name].detach(), 1 - keep)
        if tell is not None:
            tell(ContextProgress(numbers[-1] + 1, plan.tasks, ratio, mean.detached()))
    return mean


def outer_gradient(network: BaseNetwork, one: Task, directions: Directions,
                   steps: int) -> tuple[dict[str, torch.Tensor], float]:
    """Gradient of the query's loss, over the base's own, at the mean over the inner steps, through all of them; and
    that ratio after the last. Each world counts alike, however hard it is, and no more than twice the usual."""
    support, query = ContextBatch(network, one.support), ContextBatch(network, [one.query])
    nothing = torch.zeros_like(directions.values["rate"])
    with torch.no_grad():
        bare = max(float(query.loss(directions.values, nothing)), 1e-3)

    def later(values: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        context, found = nothing, []
        for _ in range(steps):
            context = step(support, values, context)
            found.append(query.loss(values, context) / bare)
        return torch.stack(found).mean(), found[-1]

    slopes, (_, last) = torch.func.grad_and_value(later, has_aux=True)(directions.values)[0:2]
    return {name: slope.detach() for name, slope in slopes.items()}, float(last.detach())
