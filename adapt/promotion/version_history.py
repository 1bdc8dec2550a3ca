"""What is remembered of the past: versions by regime, and the issues that no challenger may forget."""

from __future__ import annotations

from dataclasses import dataclass, field

from terracast.adapt.clock import Moment
from terracast.adapt.promotion.retention import RetentionTest
from terracast.adapt.rungs.regime_memory import RegimeMemory, Units, signature
from terracast.adapt.task import ForecastTask
from terracast.streams.stateful import Stateful

ROWS = 336  # newest steps that a signature tells of


@dataclass
class VersionHistory(Stateful):
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
