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

    @property
    def outcome(self) -> str:
        """What it made of the attempt: ``accepted``, ``rejected`` or ``rolled back``."""
        return {"accept": "accepted", "reject": "rejected", "rollback": "rolled back"}[self.decision.verdict]

    @property
    def sentence(self) -> str:
        """The third sentence of an episode's alarm: what became of the version made for it, and why."""
        champion, challenger = f"version {self.champion}", f"Version {self.challenger}"
        words = {"accept": f"{challenger}, trained for it, replaced {champion}",
                 "reject": f"{challenger}, trained for it, did not replace {champion}",
                 "rollback": f"{challenger} lost in service, {champion} serves again"}
        return f"{words[self.decision.verdict]}: {self.decision.reason}"
