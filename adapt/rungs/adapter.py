"""Adapters: a few numbers beside the base's frozen weights that change what it says.

Low-rank corrections of linear layers, W + up · down (LoRA: Hu et al. 2022), and plain corrections of biases, of layer
norms (the affine part of the normalisation statistics: Tent, Wang et al. 2021) and of the widths. Applied by
``torch.func.functional_call``, so that gradients reach them and nothing of the base is touched; merged into the
weights for service, so that an adapted base costs what the base costs and is saved like one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from terracast.stfm.base.model import Base
from terracast.stfm.base.network import BaseNetwork, Batch, ForecastOutput
from terracast.streams.errors import TerracastError

RANK = 4
HEADS = BaseNetwork.heads
BODY = ("time", "space", "norm")
DOWN, UP, PLUS = "|down", "|up", "|plus"

Values = dict[str, torch.Tensor]


class AdapterError(TerracastError):
    """Numbers that do not fit the network they are to correct."""


@dataclass(frozen=True)
class Adapter:
    """``values`` by name: ``LAYER.weight|down`` (rank, inputs) with ``|up`` (outputs, rank), and ``NAME|plus``.

    >>> network = Base.shipped().network
    >>> adapter = Adapter.zero(network, seed=0)
    >>> adapter.numbers < 0.05 * Base.shipped().parameters  # and as begun it changes nothing
    True
    >>> changed = adapter.weights(network)
    >>> all(torch.equal(changed[name], value) for name, value in network.named_parameters())
    True
    """

    values: Values

    @classmethod
    def zero(cls, network: BaseNetwork, *, rank: int = RANK, seed: int = 0,
             parts: tuple[str, ...] = (*BODY, *HEADS)) -> Adapter:
        """An adapter that changes nothing: ``up`` is zero, ``down`` random (of size 1 / sqrt(inputs))."""
        chance = torch.Generator().manual_seed(seed)
        values: Values = {}
        for name, parameter in network.named_parameters():
            if name.split(".")[0] not in parts:
                continue
            if parameter.dim() == 2 and name.endswith(".weight"):
                outputs, inputs = parameter.shape
                values[name + DOWN] = torch.randn(rank, inputs, generator=chance) / inputs**0.5
                values[name + UP] = torch.zeros(outputs, rank)
            elif name.split(".")[0] in HEADS or "norm" in name or ".before." in name or ".between." in name:
                values[name + PLUS] = torch.zeros_like(parameter)
        return cls(values)

    @property
    def numbers(self) -> int:
        """How many numbers it has."""
        return sum(value.numel() for value in self.values.values())

    def weights(self, network: BaseNetwork, strength: float = 1.0) -> Values:
        """The network's parameters with the corrections, ``strength`` of them; differentiable in ``values``."""
        return corrected(dict(network.named_parameters()), self.values, strength)

    def merged(self, base: Base, lineage: Mapping[str, object] | None = None, strength: float = 1.0) -> Base:
        """A base of its own with the corrections in its weights; ``base`` is unchanged."""
        with torch.no_grad():
            changed = self.weights(base.network, strength)
            weights = {name: value.numpy().copy() for name, value in changed.items()}
        config = {**base.config(), "lineage": {**base.lineage, **(lineage or {})}}
        return Base.build(config, weights)

    def detached(self) -> Adapter:
        """A copy that shares nothing with this one and its graph."""
        return Adapter({name: value.detach().clone() for name, value in self.values.items()})

    def state(self) -> dict[str, np.ndarray]:
        """The numbers, float32."""
        return {name: value.detach().numpy().copy() for name, value in self.values.items()}

    @classmethod
    def restore(cls, state: Mapping[str, np.ndarray]) -> Adapter:
        """Read back what ``state`` gave, to the bit."""
        return cls({name: torch.from_numpy(np.array(value, dtype="float32")) for name, value in state.items()})


def corrected(parameters: Mapping[str, torch.Tensor], values: Mapping[str, torch.Tensor],
              strength: float = 1.0) -> Values:
    """``parameters`` with the corrections ``values``; the base's own numbers carry no gradient.

    >>> both = {"a.weight|down": torch.ones(1, 2), "a.weight|up": torch.full((3, 1), 2.0)}
    >>> corrected({"a.weight": torch.zeros(3, 2)}, both)["a.weight"][0].tolist()
    [2.0, 2.0]
    """
    changed = {name: value.detach() for name, value in parameters.items()}
    for name, value in values.items():
        whole, _, form = name.partition("|")
        if whole not in changed:
            raise AdapterError(f"no parameter {whole!r}", where="adapter", expected="names of the base's parameters",
                               remedy="use the base that the adapter was made for")
        if form == "plus":
            changed[whole] = changed[whole] + strength * value
        elif form == "up":
            changed[whole] = changed[whole] + strength * (value @ values[whole + DOWN])
    return changed


def look(network: BaseNetwork, weights: Values, batch: Batch) -> torch.Tensor:
    """The states that the network with ``weights`` makes of the windows."""
    states: torch.Tensor = functional_call(_Part(network, "look"), _inside(weights), (batch,))
    return states


def tell(network: BaseNetwork, weights: Values, states: torch.Tensor, batch: Batch) -> ForecastOutput:
    """Forecasts from states by the heads with ``weights``."""
    answer: ForecastOutput = functional_call(_Part(network, "tell"), _inside(weights), (states, batch))
    return answer


class _Part(nn.Module):  # type: ignore[misc]
    """One method of a network as a module, because ``functional_call`` calls ``forward``."""

    def __init__(self, network: BaseNetwork, method: str) -> None:
        super().__init__()
        self.whole, self.method = network, method

    def forward(self, *given: object) -> object:
        return getattr(self.whole, self.method)(*given)


def _inside(weights: Values) -> Values:
    return {f"whole.{name}": value for name, value in weights.items()}
