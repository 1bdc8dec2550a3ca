"""Where each rung adds to the frozen base and to closed-form calibration: short history, new nodes, before any label.

A case is one file, one variable, a few nodes, one ``now``. Each rung acts once on what is known then (``attempt``: it
judges itself on pairs it held back, and is dropped where it does not help) and what it leaves serves the four weeks
that follow, unrenewed. Ratios are to the frozen base on the same issue times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from terracast.adapt.promotion.catalog import ALIKE
from terracast.adapt.rungs.adapter_rung import AdapterRung
from terracast.adapt.rungs.adapter_training import AdapterEffort
from terracast.adapt.rungs.cavia import Directions
from terracast.adapt.rungs.cavia_rung import ContextRung
from terracast.adapt.rungs.fine_tune import FineTune
from terracast.adapt.rungs.meta_init import load_start, shipped_directions
from terracast.adapt.rungs.output_rls import recursive_rung
from terracast.adapt.rungs.pairs import hindcast, loss_of, spread
from terracast.adapt.rungs.rung import Rung, attempt
from terracast.benchmarks.adapt.new_node import NewNodeError
from terracast.benchmarks.adapt.peers.gated import gated_rung
from terracast.benchmarks.adapt.peers.recent import RecentStatistics
from terracast.benchmarks.adapt.peers.spectral import spectral_rung
from terracast.benchmarks.base.data import Case, cases_of
from terracast.stats.calendar import seasons
from terracast.stfm.base.model import Base
from terracast.stfm.base.window import MEMORY
from terracast.stfm.forecaster import Request

ASKED, AFTER = 20, 28  # issue times asked of a case, and the short seasons in which they lie
SITUATIONS = ("before labels", "a week", "four weeks", "new node")

Progress = Callable[[int], None]


@dataclass(frozen=True)
class BenchSituation:
    """``panel``: what is known up to ``now`` and, after it, what comes; ``nodes``: those that are scored."""

    name: str
    panel: xr.Dataset
    now: np.datetime64
    later: np.ndarray
    nodes: np.ndarray
    request: Request


class Remembering(Base):
    """The base, remembering its hindcasts: several rungs ask for the same ones."""

    def __init__(self, base: Base) -> None:
        super().__init__(base.network, base.lineage)
        self._hindcasts: dict[tuple[object, ...], xr.Dataset] = {}

    def forecast_many(self, panel: xr.Dataset, request: Request, issue_times: np.ndarray,
                      graph: np.ndarray | None = None) -> xr.Dataset:
        """As the base's."""
        key = (panel["time"].values[0], panel.sizes["node"], request.horizon, issue_times.tobytes())
        if key not in self._hindcasts:
            self._hindcasts[key] = super().forecast_many(panel, request, issue_times, graph)
        return self._hindcasts[key]


def rungs(directions: Directions | None, nodes: np.ndarray | None) -> list[Rung]:
    """The rungs that are compared, and the published peers, cheapest first."""
    return [recursive_rung(), gated_rung(), spectral_rung(), RecentStatistics(),
            ContextRung(directions, nodes=nodes, unlabelled=True),
            AdapterRung(AdapterEffort(1e-3), nodes=nodes, unlabelled=True),
            AdapterRung(AdapterEffort(1e-3, heads=False), steps=10, nodes=nodes, masked=0.0, name="adapter-whole"),
            AdapterRung(AdapterEffort(1e-3, heads=False), steps=10, nodes=nodes, masked=0.0, alike=ALIKE,
                        name="adapter-alike"),
            FineTune(window=None, steps=100, judges=True, name="continue")]


def situation(case: Case, name: str, row: int, nodes: int) -> BenchSituation:
    """The case as known at ``row`` in a situation; the panel begins where its history begins."""
    season = seasons(case.step)[0] or 24
    history = {"before labels": case.horizon, "a week": 7 * season, "four weeks": 28 * season}.get(name, MEMORY)
    last = min(row + AFTER * season, len(case.values) - case.horizon - 1)
    panel = case.panel[[case.variable]].isel(time=slice(max(0, row - history + 1), last + case.horizon + 1),
                                             node=slice(0, nodes)).copy(deep=True)
    times = case.panel["time"].values
    scored = np.arange(panel.sizes["node"])
    if name == "new node":
        before = panel["time"].values <= times[row] - 7 * season * case.step
        panel[case.variable].transpose("time", "node").values[before, -1] = np.nan
        scored = scored[-1:]
    return BenchSituation(name, panel, times[row], times[spread(np.arange(row + 1, last + 1), ASKED)], scored,
                          case.request().at(times[row]))


def scored(one: BenchSituation, base: Base, directions: Directions | None) -> list[dict[str, Any]]:
    """A row for each rung: its loss and absolute error over those of the frozen base."""
    known = one.panel.isel(time=one.panel["time"].values <= one.now)
    values = one.panel[one.request.target].transpose("time", "node").values
    width = np.nanmean(np.abs(values - np.nanmedian(values, axis=0)), axis=0)[one.nodes]
    width = np.maximum(np.nan_to_num(width, nan=1.0), 1e-9)
    rows = np.searchsorted(one.panel["time"].values, one.later)
    labels = values[rows[:, None] + np.arange(1, one.request.horizon + 1)][:, :, one.nodes]
    quantiles = one.request.quantiles
    middle = quantiles.index(0.5)

    def losses(said: np.ndarray) -> tuple[float, float]:
        cells = said[:, :, one.nodes]
        return (loss_of(cells, labels, quantiles, width),
                loss_of(cells[..., middle:middle + 1], labels, (0.5,), width))

    memory = Remembering(base)
    frozen = losses(hindcast(memory, one.panel, one.request, one.later))
    found = []
    for rung in rungs(directions, one.nodes if one.name == "new node" else None):
        adapted = attempt(rung, memory, known, one.request)
        crps, error = (losses(hindcast(adapted.forecaster, one.panel, one.request, one.later)) if adapted.kept
                       else frozen)
        found.append({"situation": one.name, "method": rung.name, "crps_ratio": crps / frozen[0],
                      "mae_ratio": error / frozen[1], "kept": float(adapted.kept),
                      "cpu_seconds": adapted.receipt.seconds, "why": adapted.receipt.why})
    return found


def bench_rungs(paths: Sequence[Path], command: str, *, start: Path | None = None, nodes: int = 2, nows: int = 2,
                variables: int = 1, situations: Sequence[str] = SITUATIONS,
                progress: Progress = lambda done: None) -> dict[str, Any]:
    """Rows by file, situation and rung, and over all files; the summary names the best of each situation."""
    base = Base.shipped()
    directions = shipped_directions() if start is None else Directions(load_start(base, start))
    raw: list[dict[str, Any]] = []
    for path in paths:
        for case in cases_of(path, variables=variables)[0]:
            for place in (np.linspace(2 / 3, 1, nows + 1)[:-1] * len(case.values)).astype(int):
                for name in situations:
                    if name == "new node" and min(nodes, case.values.shape[1]) < 2:
                        continue
                    one = situation(case, name, place, nodes)
                    if np.isfinite(one.panel[case.variable].values).mean() < 0.5 or len(one.later) < 5:
                        continue
                    raw += [{"data": path.stem, **row} for row in scored(one, base, directions)]
                    progress(1)
    if not raw:
        raise NewNodeError("no case is known well enough", where=", ".join(map(str, paths)),
                           expected="half of the values, and four weeks after now", remedy="give another file")
    rows = _mean(raw, ("data", "situation", "method"))
    whole = [{"data": "all", **row} for row in _mean(raw, ("situation", "method"))]
    best = {name: min((row for row in whole if row["situation"] == name), key=lambda row: row["crps_ratio"])
            for name in dict.fromkeys(row["situation"] for row in whole)}
    return {"bench": "rungs", "data": ", ".join(path.stem for path in paths), "rows": rows + whole,
            "protocol": {"name": "situations", "asked": f"{ASKED} issue times of the {AFTER} seasons after now",
                         "nodes": nodes, "nows": nows, "ratio": "geometric mean of the loss over the frozen base's"},
            "summary": {f"best {name}": f"{row['method']} {row['crps_ratio']:.4f}" if row["crps_ratio"] < 1
                        else "frozen 1.0" for name, row in best.items()}, "command": command}


def _mean(raw: list[dict[str, Any]], by: tuple[str, ...]) -> list[dict[str, Any]]:
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in raw:
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    return [{**dict(zip(by, key, strict=True)), "cases": len(held),
             **{name: float(np.exp(np.mean(np.log([row[name] for row in held])))) for name in ("crps_ratio",
                                                                                             "mae_ratio")},
             "worst": float(max(row["crps_ratio"] for row in held)),
             **{name: float(np.mean([row[name] for row in held])) for name in ("kept", "cpu_seconds")}}
            for key, held in groups.items()]
