"""Probation: a new champion serves while the one it replaced forecasts in the shadow and may come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from terracast.adapt.candidate import Candidate, Score
from terracast.adapt.promotion.e_process_gate import EProcessGate
from terracast.adapt.promotion.paired_gate import Decision, PairedGate
from terracast.adapt.promotion.policy import AdaptationRequest
from terracast.adapt.promotion.verdict import Verdict
from terracast.adapt.trial import Losses, paired, stacked
from terracast.streams.stateful import Stateful

PROBATION_BLOCKS = 56  # blocks of a horizon during which a new champion may be rolled back


@dataclass
class Probation(Stateful):
    """The champion before, the act whose version replaced it, and the losses in service since.

    Attributes
    ----------
    previous
        The champion before; what it served is scored on, and what it forecasts since is compared.
    act
        What the champion in service was made for.
    gate
        The gate that let it serve, whose horizon counts here too. Without one nothing is ever decided.
    losses
        One pair for each issue that closed: of the champion in service, and of the one before.
    """

    previous: Candidate
    act: AdaptationRequest
    gate: PairedGate | EProcessGate | None
    losses: list[Losses] = field(default_factory=list)
    NOT_KEPT = frozenset({"gate"})

    def update(self, champion: str, served: Sequence[Score], shadow: Sequence[Score]) -> Verdict | None:
        """Pair what the ``champion`` served with what the version before would have, and bet on the latter.

        ``rollback`` where the bet wins, ``passed`` when ``PROBATION_BLOCKS`` is over without; None until then.
        """
        self.losses += paired([score for score in served if score.version == champion],
                              [score for score in shadow if score.shadow])
        if self.gate is None or not self.losses:
            return None
        found = EProcessGate(self.gate.horizon_steps, max_blocks=PROBATION_BLOCKS).turned(*stacked(self.losses))
        if found.verdict == "wait":
            return None
        said = Decision("rollback" if found.verdict == "accept" else "passed",
                        f"the version before it {found.reason}", -found.mean_gain, found.p_value, found.n)
        return Verdict(self.act, self.previous.version, champion, said)
