"""What was decided on a version: by the test of forgetting, by the gate, or in service."""

from __future__ import annotations

from dataclasses import dataclass

from terracast.adapt.promotion.paired_gate import Decision
from terracast.adapt.promotion.policy import AdaptationRequest


@dataclass(frozen=True)
class Verdict:
    """The answer on a challenger, and which version it would replace; of a ``rollback``: the version taken out of
    service as ``challenger``, and as ``champion`` the one that serves again."""

    act: AdaptationRequest
    champion: str
    challenger: str
    decision: Decision
