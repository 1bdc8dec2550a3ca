"""Rung 4: a context of a few numbers, along directions learned over many worlds.

The states of the frozen base are moved and stretched along K directions before the heads read them; a new node, city or
regime is learned as K numbers c, by a few plain gradient steps from zero, which is the base itself. The directions and
the size of a step along each are meta-learned by differentiating through these steps (MAML: Finn et al. 2017; that only
a context is adapted: CAVIA, Zintgraf et al. 2019; learned step sizes: Meta-SGD, Li et al. 2017). Sixteen numbers are
too few to be fitted to the noise of a week, which is what fine-tuning whole layers on a week ends in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from terracast.adapt.rungs.adapter import Values
from terracast.stfm.base.model import Base
from terracast.stfm.base.network import BaseNetwork, ForecastOutput
from terracast.stfm.base.training_batch import TrainingWindow, loss

LINEAR = ("trust", "added", "shape", "counting")  # heads that read the states
LARGEST = 3.0  # no number of a context is larger
DIRECTIONS = 16
BEGUN = 3.0  # log of the size of a step before any is learned


@dataclass(frozen=True)
class Directions:
    """``values``: ``add`` and ``scale`` (K, width), ``rate`` (K,): the log of the size of a step.

    >>> network = Base.shipped().network
    >>> Directions.random(network.size.width, seed=0).numbers
    4112
    """

    values: Values

    @classmethod
    def random(cls, width: int, *, count: int = DIRECTIONS, seed: int = 0) -> Directions:
        """Directions that nobody has learned yet."""
        chance = torch.Generator().manual_seed(seed)
        drawn = [torch.randn(count, width, generator=chance) / width**0.5 for _ in range(2)]
        return cls({"add": drawn[0], "scale": drawn[1], "rate": torch.full((count,), BEGUN)})

    @property
    def count(self) -> int:
        """K."""
        return len(self.values["rate"])

    @property
    def numbers(self) -> int:
        """How many numbers the directions have (a context has ``count``)."""
        return sum(value.numel() for value in self.values.values())

    def detached(self) -> Directions:
        """A copy that shares nothing with this one."""
        return Directions({name: value.detach().clone() for name, value in self.values.items()})


class ContextBatch:
    """Lessons with the states that the frozen base makes of them: computed once, about 1 ms a node window."""

    def __init__(self, network: BaseNetwork, lessons: Sequence[TrainingWindow]) -> None:
        self.network, self.lessons = network, list(lessons)
        with torch.no_grad():
            self.states = [network.look(one.batch) for one in self.lessons]

    def loss(self, values: Values, context: torch.Tensor) -> torch.Tensor:
        """Mean loss over the lessons, under a context; differentiable in both."""
        parts = []
        for states, one in zip(self.states, self.lessons, strict=True):
            parts.append(loss(forecast_in_context(self.network, states, one, values, context), one))
        return torch.stack(parts).mean()


def forecast_in_context(network: BaseNetwork, states: torch.Tensor, one: TrainingWindow, values: Values,
                        context: torch.Tensor) -> ForecastOutput:
    """What the heads say of states moved by a context."""
    moved = states * (1 + context @ values["scale"]) + context @ values["add"]
    return network.tell(moved, one.batch)


def step(seen: ContextBatch, values: Values, context: torch.Tensor) -> torch.Tensor:
    """The context after one step down the gradient; itself differentiable in ``values``."""
    slope = torch.func.grad(lambda c: seen.loss(values, c))(context)
    after: torch.Tensor = (context - values["rate"].exp() * slope).clamp(-LARGEST, LARGEST)
    return after


def learned(seen: ContextBatch, directions: Directions, steps: int) -> list[torch.Tensor]:
    """The context after 0, 1, … ``steps`` steps from zero. About 8 ms a step for 100 node windows."""
    found = [torch.zeros_like(directions.values["rate"])]
    for _ in range(steps):
        found.append(step(seen, directions.values, found[-1]).detach())
    return found


def merged(base: Base, directions: Directions, context: torch.Tensor,
           lineage: Mapping[str, object] | None = None) -> Base:
    """A base of its own whose heads read the states as the context moves them; ``base`` is unchanged."""
    stretch = (1 + context @ directions.values["scale"]).numpy()
    offset = (context @ directions.values["add"]).numpy()
    weights = dict(base.weights())
    for name in LINEAR:
        whole = weights[f"{name}.weight"]
        weights[f"{name}.bias"] = (weights[f"{name}.bias"] + whole @ offset).astype("float32")
        weights[f"{name}.weight"] = np.asarray(whole * stretch, "float32")
    return Base.build({**base.config(), "lineage": {**base.lineage, **(lineage or {})}}, weights)
