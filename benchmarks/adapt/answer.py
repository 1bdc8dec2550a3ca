"""The answer of ``terracast bench adapt``: rows of every file under one protocol, published peers beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from terracast.benchmarks.adapt.base import base_forecasts
from terracast.benchmarks.adapt.bench import AdaptBench
from terracast.benchmarks.adapt.cell import PROTOCOLS, AdaptCell
from terracast.benchmarks.adapt.cost import rows_of_cost
from terracast.benchmarks.adapt.gate import GateBench
from terracast.benchmarks.adapt.online import FIRST, bench_online
from terracast.benchmarks.adapt.published import published
from terracast.benchmarks.adapt.series import series_of


def bench_adapt(paths: Sequence[Path], protocol: str, horizon: int, target: str | None = None,
                progress: Callable[[int], None] = lambda done: None, *, base: bool = True,
                every: int | None = None, scratch: Path | None = None) -> dict[str, Any]:
    """The bench's one form over files; published peers of a file's protocol stand among its rows, marked so.

    ``base``: the shipped base is one of the experts, and the row ``frozen``; ``scratch``: where its forecasts are kept;
    ``every``: rows between two issues of protocol online.
    """
    rows: list[dict[str, Any]] = []
    for path in paths:
        if protocol == "online":
            found = bench_online(path, target, horizon, every, progress, scratch)
        else:
            series = series_of(path, target)
            cell = AdaptCell.of(series.values, series.season, protocol, horizon)
            said = base_forecasts(series, horizon, cell.trained, len(cell.values), scratch, progress) if base else None
            found = AdaptBench(cell, said).rows(progress)
        rows += [{"data": path.name, **row} for row in found + published(path.name, protocol, horizon)]
    own = [row for row in rows if row["method"] == "terracast"]
    frozen = [row for row in rows if row["method"] == "frozen"]
    command = "terracast bench adapt " + " ".join(f"--data {path}" for path in paths)
    command += f" --protocol {protocol} --horizon {horizon}" + (f" --target {target}" if target else "")
    command += ("" if base else " --no-base") + (f" --every {every}" if every else "")
    ratios = [mine["mae"] / its["mae"] for mine, its in zip(own, frozen, strict=True)]
    return {"bench": "adapt", "data": ", ".join(path.name for path in paths),
            "protocol": {"protocol": protocol, "horizon": horizon, "parts": PROTOCOLS.get(protocol, (FIRST,)),
                         "labels": "matured only", "standardised_by": "first part"},
            "rows": rows, "summary": {"mean_mae_ratio_to_frozen": float(np.mean(ratios)),
                                      "worst_node_ratio": max(row["worst_node_ratio"] for row in own)},
            "command": command}


def bench_guard(paths: Sequence[Path], what: str, horizon: int, target: str | None = None,
                nodes: int = 1000) -> dict[str, Any]:
    """The bench's one form for the gate (``gate``, on files) and what a step costs (``cost``, on simulated nodes)."""
    if what == "cost":
        rows = rows_of_cost(nodes, horizon)
    else:
        rows = [{"data": path.name, **row} for path in paths for row in GateBench.of(path, target, horizon).rows()]
    command = "terracast bench adapt " + " ".join(f"--data {path}" for path in paths)
    command += f" --protocol {what} --horizon {horizon}" + (f" --target {target}" if target else "")
    return {"bench": "adapt", "data": ", ".join(path.name for path in paths),
            "protocol": {"protocol": what, "horizon": horizon}, "rows": rows, "summary": {}, "command": command}
