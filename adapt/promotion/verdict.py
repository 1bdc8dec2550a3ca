"""What was decided on a version: by the test of forgetting, by the gate, or in service."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.adapt.promotion.paired_gate import Decision
from terracast.adapt.promotion.policy import AdaptationRequest


@dataclass(frozen=True)
class Answer:
    """What a person said to a request for approval: who, when (UTC), and why."""

    approved: bool
    by: str
    at: np.datetime64
    note: str = ""

    @property
    def words(self) -> str:
        """The answer in words.

        >>> Answer(False, "ann", np.datetime64("2024-01-05T06:00:00"), "not before the audit").words
        'declined by ann: not before the audit'
        """
        return f"{'approved' if self.approved else 'declined'} by {self.by}{f': {self.note}' if self.note else ''}"


@dataclass(frozen=True)
class Verdict:
    """The answer on a challenger, and which version it would replace; of a ``rollback``: the version taken out of
    service as ``challenger``, and as ``champion`` the one that serves again. ``answer``: that of a person, where one
    had to agree; the verdict is then also ``decline`` or, where none came, ``expire``."""

    act: AdaptationRequest
    champion: str
    challenger: str
    decision: Decision
    answer: Answer | None = None

    @property
    def outcome(self) -> str:
        """What it made of the attempt: ``accepted``, ``rejected`` or ``rolled back``."""
        return {"accept": "accepted", "rollback": "rolled back"}.get(self.decision.verdict, "rejected")

    @property
    def sentence(self) -> str:
        """The third sentence of an episode's alarm: what became of the version made for it, and why."""
        champion, challenger = f"version {self.champion}", f"Version {self.challenger}"
        words = {"accept": f"{challenger}, trained for it, replaced {champion}",
                 "rollback": f"{challenger} lost in service, {champion} serves again"}
        refused = f"{challenger}, trained for it, did not replace {champion}"
        return f"{words.get(self.decision.verdict, refused)}: {self.decision.reason}"
