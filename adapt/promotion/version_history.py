"""What is remembered of the past: versions by regime, and the issues that no challenger may forget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from terracast.adapt.clock import Moment
from terracast.adapt.promotion.retention import RetentionTest
from terracast.adapt.rungs.regime_memory import RegimeMemory, Units, signature
from terracast.adapt.task import ForecastTask

ROWS = 336  # newest steps that a signature tells of


@dataclass
class VersionHistory:
    """``regimes``: versions and the times they were learned in; ``earlier``: the frozen set of issues."""

    regimes: RegimeMemory = field(default_factory=RegimeMemory)
    earlier: RetentionTest = field(default_factory=RetentionTest)

    def remember(self, version: str, watched: ForecastTask, moment: Moment) -> None:
        """A version was made from what was known at ``moment``."""
        panel = watched.panel(moment, moment.now - max(watched.history, ROWS * watched.request.step))
        if self.regimes.units is None:
            self.regimes.units = Units.of(panel, watched.request.target)
        sign = signature(panel, watched.request.at(moment.now), self.regimes.units, ROWS)
        self.regimes.remember(version, sign, moment.now)

    def state(self) -> dict[str, Any]:
        """Both."""
        return {"regimes": self.regimes.state(), "earlier": self.earlier.state()}

    @classmethod
    def restore(cls, state: Mapping[str, Any] | None) -> VersionHistory:
        """Go on where ``state`` was taken; with nothing, begin."""
        return cls() if state is None else cls(RegimeMemory.restore(state["regimes"]),
                                               RetentionTest.restore(state["earlier"]))
