"""How the checks look: windows and strictness, all with defaults that were chosen on one part of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class QualitySettings:
    """Durations and strictness of the checks; a duration is at least the number of rows said beside it.

    ``context``: how far back a check looks (60 rows); ``history``: how much past a reference is learned from,
    anew every ``relearn``; ``learn_after``: how much past it takes. ``outage``: shortest run of missing
    values (3 rows). ``network_outage``: share of the nodes that report in normal times. ``stuck``: shortest
    constant run (6 rows); ``stuck_unknown``: the same without a history (12 rows). ``stuck_factor``: times the longest
    run of the node's past, ``stuck_floor``: the same at the lowest value of that past. ``spike_deviations``,
    ``spike_factor``: robust standard deviations, and times the past's largest, that a spike must exceed
    (``peak_factor``: one that has gone right back).
    ``unit_window`` (12 rows) and ``clock_window`` (48 rows): what a change of unit and a shifted clock are
    judged on, against ``..._factor`` times the past's largest evidence, ``..._share`` of what a real one
    would give, and at least ``..._evidence``; ``clock_few_...``: the same of a clock where few neighbours or little
    past bear witness. ``clock_hours``: largest shift looked for. ``saturation_hits``:
    values at the ceiling. ``late_steps``: steps behind the usual delay. ``backfill_rows``: late rows that
    come at once.

    >>> QualitySettings().rows(QualitySettings().stuck, np.timedelta64(1, "h"), at_least=6)
    6
    """

    context: str = "9D"
    history: str = "90D"
    relearn: str = "14D"
    learn_after: str = "14D"
    outage: str = "3h"
    network_outage: float = 0.5
    stuck: str = "6h"
    stuck_unknown: str = "24h"
    stuck_factor: float = 1.6
    stuck_floor: float = 3.0
    spike_deviations: float = 6.0
    spike_factor: float = 1.5
    peak_factor: float = 1.1
    unit_window: str = "24h"
    unit_evidence: float = 0.8
    unit_factor: float = 1.5
    unit_share: float = 0.5
    clock_window: str = "7D"
    clock_factor: float = 1.6
    clock_share: float = 0.4
    clock_evidence: float = 0.02
    clock_few_factor: float = 3.0
    clock_few_share: float = 0.8
    clock_hours: int = 3
    saturation_window: str = "7D"
    saturation_hits: int = 5
    duplicate_window: str = "24h"
    duplicate_moves: int = 12
    late_steps: float = 1.0
    backfill_rows: int = 3
    neighbours: int = 6

    def rows(self, duration: str, step: np.timedelta64, at_least: int = 1) -> int:
        """A duration in rows."""
        return max(at_least, round(pd.Timedelta(duration) / pd.Timedelta(step)))

    def context_rows(self, step: np.timedelta64) -> int:
        """Rows before a stamp that any check may look at."""
        return self.rows(self.context, step, 60)
