"""Domain-adversarial learning: states that do not tell of which domain or regime they are.

Ganin et al. (2016), "Domain-adversarial training of neural networks": a classifier learns to tell the domain from the
states, and its gradient reaches the body with the sign turned. Beside the loss on labels in the rung ``adapter-alike``
(``AdapterRung.alike``), where each node is a domain; off by default (what it gave: docs/decisions/0009).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from terracast.adapt.rungs.adapter import AdapterError, Values, corrected, look
from terracast.stfm.base.network import BaseNetwork
from terracast.stfm.base.training_batch import TrainingWindow


class Reversed(torch.autograd.Function):  # type: ignore[misc]
    """The identity whose gradient is turned around and multiplied.

    >>> x = torch.ones(2, requires_grad=True)
    >>> Reversed.apply(x, 0.5).sum().backward()
    >>> x.grad.tolist()
    [-0.5, -0.5]
    """

    @staticmethod
    def forward(context: torch.autograd.function.FunctionCtx, x: torch.Tensor, strength: float) -> torch.Tensor:
        context.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(context: torch.autograd.function.FunctionCtx, slope: torch.Tensor) -> tuple[torch.Tensor, None]:
        return -context.strength * slope, None


class DomainAdversary:
    """A loss to be added in a ``train_adapter`` that learns the body: how well a classifier tells the domain, reversed.

    ``lessons`` of the same nodes, of which each is a domain; a call takes the next lesson. The classifier (a layer of
    32 units) takes one step of Adam a call, by the gradient that the call before left it. ``told`` is its running
    accuracy: 1 / nodes is what the body is driven to.
    """

    def __init__(self, network: BaseNetwork, lessons: Sequence[TrainingWindow], *, strength: float = 0.1,
                 rate: float = 1e-2, seed: int = 0) -> None:
        nodes = lessons[0].truth.shape[1] if lessons else 0
        if nodes < 2:
            raise AdapterError(f"{nodes} nodes", where="domain adversary",
                               expected="lessons of two nodes or more", remedy="leave the option off")
        self._network, self._lessons, self._strength = network, lessons, strength
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._classifier = nn.Sequential(nn.Linear(network.size.width, 32), nn.GELU(), nn.Linear(32, nodes))
        self._optimiser = torch.optim.Adam(self._classifier.parameters(), lr=rate)
        self._frozen = dict(network.named_parameters())
        self._turn = 0
        self.accuracy = 1 / nodes

    def __call__(self, values: Values) -> torch.Tensor:
        """Cross-entropy of the classifier on the next lesson, under an adapter's ``values``."""
        if self._turn:
            self._optimiser.step()
        self._optimiser.zero_grad()
        weights = corrected(self._frozen, values)
        batch = self._lessons[self._turn % len(self._lessons)].batch
        self._turn += 1
        states = look(self._network, weights, batch).mean(2)[batch.real]
        wanted = torch.arange(batch.real.shape[1]).expand(batch.real.shape)[batch.real]
        said = self._classifier(Reversed.apply(states, self._strength))
        hit = float((said.argmax(1) == wanted).float().mean())
        self.accuracy = 0.9 * self.accuracy + 0.1 * hit
        return functional.cross_entropy(said, wanted)
