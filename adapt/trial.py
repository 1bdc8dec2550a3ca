"""A trial: a challenger forecasts beside the champion until the gate has decided on their paired losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from terracast.adapt.candidate import Candidate, Score
from terracast.adapt.promotion.e_process_gate import EProcessGate
from terracast.adapt.promotion.paired_gate import PairedGate
from terracast.adapt.promotion.policy import AdaptationRequest
from terracast.adapt.promotion.verdict import Verdict
from terracast.streams.stateful import Stateful

Losses = tuple[np.ndarray, np.ndarray]  # (node,) each: of what serves, and of what forecasts beside it


@dataclass
class Trial(Stateful):
    """A challenger, the act that made it, and the losses paired so far.

    Attributes
    ----------
    challenger
        Forecasts in the shadow; it inherited the champion's corrections and learns its own from then on.
    act
        What the challenger was made for.
    gate
        Decides on the losses. Without one, as after a change of policy, nothing is ever decided.
    losses
        One pair for each issue that closed, in order of issue.
    """

    challenger: Candidate
    act: AdaptationRequest
    gate: PairedGate | EProcessGate | None
    losses: list[Losses] = field(default_factory=list)
    NOT_KEPT = frozenset({"gate"})

    def update(self, served: Sequence[Score], shadow: Sequence[Score]) -> None:
        """Pair the challenger's closed scores, ``shadow``, with those of what was ``served``."""
        self.losses += paired(served, shadow)

    def verdict(self, champion: str) -> Verdict | None:
        """Ask the gate, None while it waits. ``champion`` is the version in service."""
        if self.gate is None or not self.losses:
            return None
        decision = self.gate.decide(*stacked(self.losses))
        return None if decision.verdict == "wait" else Verdict(self.act, champion, self.challenger.version, decision)


def paired(served: Sequence[Score], shadow: Sequence[Score]) -> list[Losses]:
    """Losses (node,) of the issues that both have scores of, in the order of ``shadow``."""
    known = {score.issue_time: score for score in served}
    return [(known[score.issue_time].crps, score.crps) for score in shadow if score.issue_time in known]


def stacked(losses: Sequence[Losses]) -> tuple[np.ndarray, np.ndarray]:
    """The two sides of paired losses, each (issue, node)."""
    ours, theirs = zip(*losses, strict=True)
    return np.stack(ours), np.stack(theirs)
