"""Bench of the base: what it forecasts with no training on panels it has never seen, beside plain rules and ridge.

Training part: the first 65 % of the rows (only ridge and native read it). Test part: the last 20 %. Errors are means
over issue times, leads and nodes, each node in units of its seasonal naive error within the training part.
"""

from __future__ import annotations

import time as stopwatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from terracast.benchmarks.base.data import HISTORY, ISSUES, NODES, TESTED, TRAINED, Case, cases_of
from terracast.benchmarks.base.files import found
from terracast.benchmarks.base.methods import METHODS, USUAL, MethodError, score
from terracast.streams.errors import TerracastError

Progress = Callable[[int], None]
REFERENCE = "seasonal-naive"


@dataclass(frozen=True)
class BaseBench:
    """Which data, how many nodes and issue times of each case, and which methods."""

    paths: tuple[Path, ...]
    nodes: int = NODES
    issues: int = ISSUES
    methods: tuple[str, ...] = USUAL
    left_out: dict[str, str] = field(default_factory=dict)

    def cases(self) -> list[Case]:
        """Every case of every file; what cannot be benched is told in ``left_out``, with the reason.

        A single file that cannot be read raises; in a folder it is left out.
        """
        cases: list[Case] = []
        for path in found(self.paths):
            try:
                told, left_out = cases_of(path, nodes=self.nodes, issues=self.issues)
            except TerracastError as wrong:
                if path in self.paths:
                    raise
                self.left_out[path.name] = wrong.what
                continue
            cases += told
            self.left_out.update(left_out)
        if not cases:
            raise MethodError("no series can be forecast", where=", ".join(map(str, self.paths)),
                              expected="a numeric series", remedy="; ".join(self.left_out.values()) or "other data")
        return cases

    def protocol(self) -> dict[str, Any]:
        """The protocol in words and numbers."""
        return {"training_share": TRAINED, "test_share": TESTED, "nodes_at_most": self.nodes,
                "issue_times_at_most": self.issues, "context_rows_at_most": HISTORY,
                "horizon": "5 min 12, 1 h 24, 6 h 28, 1 day 14, 1 week 4, 1 month 12, 1 year 10; "
                           "at most half of the test part",
                "season": "a day under a day, a week under a week, else a year",
                "known": "values up to and with the issue time", "mase_scale": "seasonal naive on the training part",
                "crps": "mean pinball loss of 11 quantiles, doubled, in the same scale", "left_out": self.left_out}

    def answer(self, command: str, progress: Progress = lambda done: None,
               cases: Sequence[Case] | None = None) -> dict[str, Any]:
        """Rows by case and method, the summary and the protocol; ``progress`` is told cases as they are done."""
        rows: list[dict[str, Any]] = []
        for case in self.cases() if cases is None else cases:
            rows += rows_of(case, self.methods)
            progress(1)
        data = ", ".join(dict.fromkeys(row["data"] for row in rows))
        return {"bench": "base", "data": data, "protocol": self.protocol(), "rows": rows,
                "summary": summary(rows, self.methods), "command": command}


def rows_of(case: Case, methods: Sequence[str]) -> list[dict[str, Any]]:
    """One row for each method; ratios are to seasonal naive. CPU seconds include fitting."""
    reference = score(case, METHODS[REFERENCE](case))
    rows = []
    for name in methods:
        if name not in METHODS:
            raise MethodError(f"no method {name!r}", where="--methods", expected=", ".join(METHODS),
                              remedy="name some of them")
        begun = stopwatch.process_time()
        scores = reference if name == REFERENCE else score(case, METHODS[name](case))
        seconds = stopwatch.process_time() - begun
        rows.append({"data": case.data, "variable": case.variable, "method": name, "mase": scores.mase,
                     "crps": scores.mean_crps, "mase_ratio": ratio(scores.mase, reference.mase),
                     "crps_ratio": ratio(scores.mean_crps, reference.mean_crps), "horizon": case.horizon,
                     "nodes": case.values.shape[1], "issue_times": len(case.issues), "cpu_seconds": seconds})
    return rows


def ratio(value: float, reference: float) -> float | None:
    """``value`` to ``reference``; None where the reference made no error at all.

    >>> ratio(1.0, 2.0), ratio(1.0, 0.0)
    (0.5, None)
    """
    return value / reference if reference > 0 else None


def summary(rows: Sequence[Mapping[str, Any]], methods: Sequence[str]) -> dict[str, Any]:
    """Per method: the share of pairs better than seasonal naive in MASE, in CRPS and in both, and geometric means
    over pairs and over datasets.

    A pair without a ratio counts as not better and is left out of the geometric means. The unnamed figures are
    terracast's where it is benched, else the first method's.
    """
    told: dict[str, Any] = {"pairs": len({(row["data"], row["variable"]) for row in rows})}
    first = "terracast" if "terracast" in methods else methods[0]
    for name in (first, *(method for method in methods if method not in (first, REFERENCE))):
        own = [row for row in rows if row["method"] == name]
        mase, crps = ([row[key] for row in own] for key in ("mase_ratio", "crps_ratio"))
        better = [_below_one(one) and _below_one(other) for one, other in zip(mase, crps, strict=True)]
        ending = "" if name == first else f" ({name})"
        told |= {f"share_better{ending}": float(np.mean(better)),
                 f"share_better_mase{ending}": float(np.mean([_below_one(one) for one in mase])),
                 f"share_better_crps{ending}": float(np.mean([_below_one(one) for one in crps])),
                 f"geomean_mase_ratio{ending}": geometric_mean(mase),
                 f"geomean_crps_ratio{ending}": geometric_mean(crps),
                 f"geomean_mase_ratio_of_datasets{ending}": geometric_mean(_by_dataset(own))}
    return told


def _by_dataset(rows: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """The geometric mean MASE ratio of each dataset: one with many variables counts as one."""
    return [geometric_mean([row["mase_ratio"] for row in rows if row["data"] == data])
            for data in dict.fromkeys(row["data"] for row in rows)]


def geometric_mean(ratios: Sequence[float | None]) -> float | None:
    """The geometric mean of the ratios that there are.

    >>> round(geometric_mean([0.5, 2.0, None]), 3)
    1.0
    """
    known = [one for one in ratios if one is not None and one > 0]
    return float(np.exp(np.mean(np.log(known)))) if known else None


def _below_one(value: float | None) -> bool:
    return value is not None and value < 1
