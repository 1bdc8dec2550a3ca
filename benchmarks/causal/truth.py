"""The causal bench on data with a known truth: our default beside tigramite, Granger and correlation."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from terracast.benchmarks.causal.data import KnownCase, known_cases
from terracast.benchmarks.causal.methods import METHODS, Peers, from_links, peer
from terracast.benchmarks.causal.scores import FoundLinks, f1_of, pair_scores
from terracast.causal.graph.graph import Series
from terracast.causal.search.robust_search import default_search, robust_search
from terracast.causal.settings import DiscoverError

COLUMNS = ("f1", "precision", "recall", "auroc", "adjacency_f1", "forbidden_share", "cpu_seconds")


def answer(data: Path, truth: Path, *, max_lag: int | None = None, alpha: float = 0.01, full: bool = False,
           methods: tuple[str, ...] = METHODS, progress: Callable[[str], None] = lambda words: None) -> dict[str, Any]:
    """Every method on every case of ``data``; with several cases the rows are means over them.

    One largest lag and one level for all methods (default: 6 steps of less than a day, 3 of a day or unknown). Our
    row prepares, the peers read the values as they are, standardised. ``forbidden_share``: forbidden links found
    over forbidden pairs x (lags + 1).
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in methods}
    readings: list[str] = []
    lags, names = 1, []
    for case in known_cases(data, truth):
        names.append(case.name)
        lags = max_lag or _longest(case)
        readings = readings or [case.reading]
        for name in methods:
            progress(f"{case.name}: {name}")
            found = (ours(case, lags, alpha) if name == "terracast"
                     else peer(name, case.raw, Peers(lags, alpha, full)))
            rows[name].append(_scored(found, case, lags))
    table = [{"method": name, **_mean(rows[name])} for name in methods]
    command = f"terracast bench causal --data {data} --truth {truth}" + (f" --lags {lags}" if max_lag else "") \
        + (f" --alpha {alpha:g}" if alpha != 0.01 else "") + (" --full" if full else "")
    best = {row["method"]: row["f1"] for row in table}
    mine = best.pop("terracast", None)
    return {"bench": "causal", "data": data.name,
            "protocol": {"cases": names, "max_lag": lags, "alpha": alpha, "reading": readings[0],
                         "peers": "their defaults on standardised values; correlation: Bonferroni, Granger: BH"},
            "rows": table, "summary": {"f1": mine, "best_peer_f1": max(best.values(), default=None)},
            "command": command}


def ours(case: KnownCase, max_lag: int, alpha: float) -> FoundLinks:
    """Our default on one case; where the time axis is made up there is no calendar to be found in it."""
    began = time.process_time()
    try:
        with threadpool_limits(1):
            graph = robust_search({"data": case.panel}, default_search(max_lag, alpha))
    except DiscoverError:  # refused as too short: no link is the answer that is scored
        number = len(case.names)
        return FoundLinks(frozenset(), frozenset(), np.zeros((number, number)), 0.0, "too short a case refused")
    return from_links(graph.links, tuple(Series("data", name) for name in case.names), time.process_time() - began)


def _longest(case: KnownCase) -> int:
    step = pd.Timedelta(str(case.panel.attrs["step"]))
    return 6 if pd.Timedelta(minutes=1) <= step < pd.Timedelta(days=1) else 3


def _scored(found: FoundLinks, case: KnownCase, max_lag: int) -> dict[str, Any]:
    if case.complete:
        scores = pair_scores(found, set(case.true))
    else:
        scored = case.true | case.forbidden
        f1, precision, recall = f1_of(found.pairs() & scored, set(case.true))
        near = {(min(pair), max(pair)) for pair in case.true}
        said = {(min(pair), max(pair)) for pair in found.pairs()}
        scores = {"f1": f1, "precision": precision, "recall": recall, "adjacency_f1": f1_of(said & near, near)[0],
                  "auroc": _auroc_of(found.score, case)}
    wrong = [edge for edge in found.links if edge[:2] in case.forbidden]
    share = len(wrong) / (len(case.forbidden) * (max_lag + 1)) if case.forbidden else None
    return {**scores, "forbidden_share": share, "forbidden_pairs": len({edge[:2] for edge in wrong}),
            "cpu_seconds": found.seconds, "note": found.note}


def _auroc_of(score: np.ndarray, case: KnownCase) -> float | None:
    """AUROC over expected and forbidden pairs only."""
    wins = [(score[good] > score[bad]) + 0.5 * (score[good] == score[bad]) for good in case.true
            for bad in case.forbidden]
    return float(np.mean(wins)) if wins else None


def _mean(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over cases of what has a value; CPU seconds summed."""
    found: dict[str, Any] = {}
    for name in COLUMNS:
        values = [row[name] for row in rows if row[name] is not None]
        total = float(np.sum(values)) if name == "cpu_seconds" else (float(np.mean(values)) if values else None)
        found[name] = None if total is None else round(total, 4)
    notes = sorted({row["note"] for row in rows if row["note"]})
    if any(row["forbidden_share"] is not None for row in rows):
        found["forbidden_pairs"] = sum(row["forbidden_pairs"] for row in rows)
    return found | {"cases": len(rows)} | ({"note": "; ".join(notes)} if notes else {})
