"""Learning an adapter by gradient: steps of Adam on lessons, with a pull to where it began.

Where only the heads are adapted, the states of the network are computed once and a step costs a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from terracast.adapt.rungs.adapter import DOWN, HEADS, Adapter, Values, corrected, look, tell
from terracast.stfm.base.network import BaseNetwork
from terracast.stfm.base.training_batch import TrainingWindow, loss

STEEPEST = 1.0  # norm to which a gradient is clipped


@dataclass(frozen=True)
class AdapterEffort:
    """How to learn: ``rate`` of Adam (chosen on 24 simulated worlds), ``pull`` towards the start (L2-SP: Xuhong et al.
    2018), ``heads`` alone."""

    rate: float = 1e-3
    pull: float = 1e-3
    heads: bool = True


class TrainingBatch:
    """Lessons and, where only the heads learn, the states that ``start`` makes of them (computed once)."""

    def __init__(self, network: BaseNetwork, lessons: Sequence[TrainingWindow], start: Adapter, heads: bool) -> None:
        self.network, self.lessons, self.heads = network, list(lessons), heads
        self._frozen = dict(network.named_parameters())
        self._states: list[torch.Tensor] = []
        if heads:
            with torch.no_grad():
                weights = corrected(self._frozen, start.values)
                self._states = [look(network, weights, one.batch) for one in self.lessons]

    def __len__(self) -> int:
        return len(self.lessons)

    def loss(self, values: Values, place: int) -> torch.Tensor:
        """The loss of one lesson under an adapter's ``values``."""
        one = self.lessons[place]
        weights = corrected(self._frozen, values)
        states = self._states[place] if self.heads else look(self.network, weights, one.batch)
        return loss(tell(self.network, weights, states, one.batch), one)

    def mean(self, values: Values) -> float:
        """The mean loss over all lessons; NaN without any."""
        with torch.no_grad():
            found = [float(self.loss(values, place)) for place in range(len(self))]
        return sum(found) / len(found) if found else float("nan")


def learned_names(adapter: Adapter, heads: bool) -> list[str]:
    """Names of the values that a course changes."""
    return [name for name in adapter.values if not heads or name.split(".")[0].split("|")[0] in HEADS]


def train_adapter(taught: TrainingBatch, start: Adapter, effort: AdapterEffort, order: Iterable[int],
                  also: Callable[[Values], torch.Tensor] | None = None) -> Iterator[Adapter]:
    """Yield the adapter after each step; ``order`` names the lesson of each step. ``also``: a loss added to each.

    Deterministic; nothing random is drawn. A step costs 2 to 10 ms for the heads, about 5 ms a series for the whole.
    """
    names = learned_names(start, effort.heads)
    begun = {name: value.detach() for name, value in start.values.items()}
    values = {name: value.clone().requires_grad_(name in names) for name, value in begun.items()}
    trained = [values[name] for name in names]
    optimiser = torch.optim.Adam(trained, lr=effort.rate, betas=(0.9, 0.99))
    for place in order:
        found = taught.loss(values, place)
        if also is not None:
            found = found + also(values)
        if effort.pull:
            away = sum(((values[name] - begun[name]) ** 2).sum() for name in names if not name.endswith(DOWN))
            found = found + effort.pull * away
        optimiser.zero_grad()
        found.backward()
        torch.nn.utils.clip_grad_norm_(trained, STEEPEST)
        optimiser.step()
        yield Adapter(values).detached()


def gradient(taught: TrainingBatch, adapter: Adapter, names: Sequence[str]) -> tuple[Values, float]:
    """Gradient of the mean loss over all lessons at ``adapter``, by name, and that loss."""
    held = {name: value for name, value in adapter.values.items() if name not in names}

    def mean(values: Values) -> torch.Tensor:
        losses = [taught.loss({**held, **values}, place) for place in range(len(taught))]
        return torch.stack(losses).mean()

    found, value = torch.func.grad_and_value(mean)({name: adapter.values[name] for name in names})
    return dict(found), float(value)


def order(lessons: int, steps: int, draw: np.random.Generator) -> Sequence[int]:
    """Which lesson each step learns from: all in turn, shuffled anew each time.

    >>> sorted(order(3, 3, np.random.default_rng(0)))
    [0, 1, 2]
    """
    rounds = [draw.permutation(lessons) for _ in range(-(-steps // lessons))] or [np.empty(0, int)]
    return [int(place) for place in np.concatenate(rounds)[:steps]]
