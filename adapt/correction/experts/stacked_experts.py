"""The blend of point experts: learned convex weights on many of them, and a sure mixture of that with anchors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from terracast.adapt.correction.experts.aggregation import RegretBoundedMixture, squared_gradient
from terracast.adapt.correction.experts.convex_stack import ConvexStack
from terracast.streams.stateful import Stateful

Loss = Literal["squared", "absolute"]


@dataclass(frozen=True)
class Stacked(Stateful):
    """What was said at one issue, kept until its labels come: experts, candidates and the blend (…, lead, node)."""

    points: np.ndarray
    candidates: np.ndarray
    served: np.ndarray


class StackedExperts(Stateful):
    """Candidates under one ``RegretBoundedMixture``: the ``ConvexStack`` of the experts in ``stacked``, the plain mean
    of those in ``averaged``, one ``anchor`` (an expert's index: the frozen base, or a simple rule), and each of those
    in ``alone``. The blend's summed loss cannot exceed that of any of them by more than the mixture's bound.
    ``delay``: issues until the last label is there.

    >>> blend = StackedExperts(leads=1, nodes=1, stacked=(0, 1), averaged=(0, 1), anchor=2, delay=1)
    >>> points = np.array([1.0, 3.0, 9.0])[:, None, None]
    >>> for _ in range(100):
    ...     said = blend.mix(points)
    ...     blend.learn(said, np.array([[1.2]]))
    >>> bool(abs(blend.mix(points).served[0, 0] - 1.2) < 0.5)
    True
    """

    def __init__(self, leads: int, nodes: int, *, stacked: Sequence[int], averaged: Sequence[int], anchor: int,
                 delay: int, loss: Loss = "squared", memory: float = 0.9995, caution: float = 0.03,
                 priors: Sequence[float] = (0.8, 0.16, 0.04), alone: Sequence[int] = ()) -> None:
        self.stacked, self.averaged, self.alone = tuple(stacked), tuple(averaged), tuple(alone)
        self.anchor, self.loss = int(anchor), loss
        self.stack = ConvexStack(len(self.stacked), leads, nodes, memory=memory, caution=caution)
        self.sure = RegretBoundedMixture(leads, nodes, priors, delay)

    def mix(self, points: np.ndarray) -> Stacked:
        """StackedExperts what the experts say (expert, lead, node)."""
        stacked = (self.stack.weights() * points[list(self.stacked)]).sum(axis=0)
        candidates = np.stack([stacked, points[list(self.averaged)].mean(axis=0), points[self.anchor],
                               *points[list(self.alone)]])
        return Stacked(points, candidates, (self.sure.weights() * candidates).sum(axis=0))

    def learn(self, said: Stacked, labels: np.ndarray) -> None:
        """Learn from labels (lead, node); NaN where not matured or matured before."""
        if self.loss == "squared":
            linear = squared_gradient(said.served, said.candidates, labels)
        else:
            linear = np.sign(said.served - labels) * (said.candidates - said.served)
        self.stack.learn(labels - said.points[list(self.stacked)])
        self.sure.learn(linear)
