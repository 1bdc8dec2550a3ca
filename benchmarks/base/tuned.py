"""Fine-tuning beside zero-shot: the base continued on a target's first year, never on what is reported."""

from __future__ import annotations

import time as stopwatch
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from terracast.benchmarks.base.bench import geometric_mean
from terracast.benchmarks.base.data import Case
from terracast.benchmarks.base.methods import MethodError, asked, score, shipped
from terracast.stfm.forecaster import Forecaster, Trainable

FIRST_YEAR = pd.Timedelta("365D")
FEWEST = 300  # rows, where a year has fewer: twelve months or one yearly value teach nothing
STEPS = 100


def tuned(forecaster: Trainable, case: Case, steps: int = STEPS) -> Trainable:
    """The forecaster continued on the first year of the case's training part, or on its first 300 rows where a year
    has fewer; on all of it where it is shorter."""
    rows = min(case.trained, max(FEWEST, int(FIRST_YEAR / pd.Timedelta(case.step))))
    return forecaster.continue_on(case.panel.isel(time=slice(0, rows)), case.request(), steps=steps, seed=0)


def answer(cases: Sequence[Case], command: str, protocol: dict[str, Any], steps: int = STEPS,
           progress: Callable[[int], None] = lambda done: None,
           forecaster: Forecaster | None = None) -> dict[str, Any]:
    """Two rows for each case: ``zero-shot`` and ``terracast`` (continued); ratios are to zero-shot.

    A case counts as improved where MASE fell by any amount, as lost where it rose by more than 2 %.
    """
    base = forecaster or shipped()
    if not hasattr(base, "continue_on"):
        raise MethodError("this forecaster cannot be trained", where="--fine-tune", expected="continue_on",
                          remedy="use one that can")
    rows: list[dict[str, Any]] = []
    for case in cases:
        before = score(case, asked(base, case))
        begun = stopwatch.process_time()
        continued = tuned(cast(Trainable, base), case, steps)
        seconds = stopwatch.process_time() - begun
        after = score(case, asked(continued, case))
        for name, scores, spent in (("zero-shot", before, 0.0), ("terracast", after, seconds)):
            rows.append({"data": case.data, "variable": case.variable, "method": name, "mase": scores.mase,
                         "crps": scores.mean_crps, "mase_ratio": scores.mase / before.mase,
                         "crps_ratio": scores.mean_crps / before.mean_crps, "cpu_seconds": spent})
        progress(1)
    own = [row for row in rows if row["method"] == "terracast"]
    ratios, crps = (np.array([row[name] for row in own]) for name in ("mase_ratio", "crps_ratio"))
    return {"bench": "base", "data": ", ".join(dict.fromkeys(case.data for case in cases)), "rows": rows,
            "protocol": {**protocol, "name": "fine-tune", "steps": steps,
                         "tuned_on": "the first year or 300 rows, whichever is longer, at most the training part"},
            "summary": {"pairs": len(own), "share_improved": float((ratios < 1).mean()),
                        "share_unchanged": float((ratios == 1).mean()), "worst_ratio": float(ratios.max()),
                        "share_lost_over_2_percent": float((ratios > 1.02).mean()),
                        "geomean_mase_ratio": geometric_mean(ratios.tolist()),
                        "share_improved_crps": float((crps < 1).mean()), "worst_crps_ratio": float(crps.max()),
                        "geomean_crps_ratio": geometric_mean(crps.tolist()),
                        "cpu_seconds": float(sum(row["cpu_seconds"] for row in own))}, "command": command}
