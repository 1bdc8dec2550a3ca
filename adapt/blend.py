"""The blend of point experts: quick weights on many of them, and a sure mixture of that with plain anchors on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from adapt.aggregation import RecentHedge, SureMixture, squared_gradient

Loss = Literal["squared", "absolute"]


@dataclass(frozen=True)
class Blended:
    """What was said at one issue, kept until its labels come: experts, candidates and the blend (…, lead, node)."""

    points: np.ndarray
    candidates: np.ndarray
    served: np.ndarray


class Blend:
    """Three candidates under one ``SureMixture``: the hedge of all experts, the plain mean of those in ``averaged``,
    and one ``anchor`` (an expert's index: the frozen base, or a simple rule), which the blend's summed loss cannot
    exceed by more than the mixture's bound. ``delay``: issues until the last label is there.

    >>> blend = Blend(experts=3, leads=1, nodes=1, averaged=(0, 1), anchor=2, delay=1)
    >>> points = np.array([1.0, 3.0, 9.0])[:, None, None]
    >>> for _ in range(100):
    ...     said = blend.mix(points)
    ...     blend.learn(said, np.array([[1.2]]))
    >>> bool(abs(blend.mix(points).served[0, 0] - 1.2) < 0.5)
    True
    """

    def __init__(self, experts: int, leads: int, nodes: int, *, averaged: Sequence[int], anchor: int, delay: int,
                 loss: Loss = "squared", memory: float = 0.9995,
                 priors: tuple[float, float, float] = (0.6, 0.3, 0.1)) -> None:
        self.averaged, self.anchor, self.loss = tuple(averaged), int(anchor), loss
        self.hedge = RecentHedge(experts, leads, nodes, memory=memory)
        self.sure = SureMixture(leads, nodes, priors, delay)

    def mix(self, points: np.ndarray) -> Blended:
        """Blend what the experts say (expert, lead, node)."""
        hedged = (self.hedge.weights() * points).sum(axis=0)
        candidates = np.stack([hedged, points[list(self.averaged)].mean(axis=0), points[self.anchor]])
        return Blended(points, candidates, (self.sure.weights() * candidates).sum(axis=0))

    def learn(self, said: Blended, labels: np.ndarray) -> None:
        """Learn from labels (lead, node); NaN where not matured or matured before."""
        if self.loss == "squared":
            losses = (said.points - labels) ** 2
            linear = squared_gradient(said.served, said.candidates, labels)
        else:
            losses = np.abs(said.points - labels)
            linear = np.sign(said.served - labels) * (said.candidates - said.served)
        self.hedge.learn(losses)
        self.sure.learn(linear)

    def state(self) -> dict[str, object]:
        """Settings and both mixtures."""
        return {"averaged": list(self.averaged), "anchor": self.anchor, "loss": self.loss,
                "hedge": self.hedge.state(), "sure": self.sure.state()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Blend:
        """Go on to the bit where ``state`` was taken."""
        hedge, sure = RecentHedge.restore(state["hedge"]), SureMixture.restore(state["sure"])
        blend = cls(1, 1, 1, averaged=[int(one) for one in state["averaged"]], anchor=int(state["anchor"]), delay=0,
                    loss=state["loss"])
        blend.hedge, blend.sure = hedge, sure
        return blend
