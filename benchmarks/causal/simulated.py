"""The causal bench on simulated panels: our default beside tigramite's two on the raw series, kind by kind."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from terracast.benchmarks.causal.methods import AFFORDABLE, Peers, from_links, peer
from terracast.benchmarks.causal.panels import KINDS, SimulatedPanel, simulated_panel
from terracast.benchmarks.causal.scores import FoundLinks, link_scores
from terracast.causal.graph.graph import Series
from terracast.causal.search.robust_search import default_search, robust_search

METHODS = ("terracast", "tigramite-pcmciplus", "tigramite-pcmci")


@dataclass(frozen=True)
class PanelBench:
    """Which panels: every kind in ``kinds`` with each number of ``variables`` and seeds from ``first_seed`` on.

    One largest lag and one level for all methods and kinds; ``steps`` hours a panel.
    """

    variables: tuple[int, ...] = (5, 10, 20)
    seeds: int = 12
    first_seed: int = 0
    steps: int = 1000
    max_lag: int = 5
    alpha: float = 0.01
    kinds: tuple[str, ...] = KINDS
    full: bool = False


def answer(bench: PanelBench, methods: Sequence[str] = METHODS,
           progress: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
    """F1 of links with their lag and the share of absent links found, means over seeds, a row a method and kind."""
    rows = []
    for variables in bench.variables:
        for kind in bench.kinds:
            scores: dict[str, list[dict[str, float]]] = {name: [] for name in methods}
            for seed in range(bench.first_seed, bench.first_seed + bench.seeds):
                made = simulated_panel(kind, variables, seed, bench.steps)
                for name in methods:
                    found = _run(name, made, bench)
                    scores[name].append(link_scores(found, set(made.links), variables, bench.max_lag)
                                        | {"cpu_seconds": found.seconds})
                progress(1)
            rows += [{"method": name, "kind": kind, "variables": variables,
                      "engine": _engine(name, variables, bench),
                      **{key: round(float(np.mean([one[key] for one in each])), 4) for key in each[0]}}
                     for name, each in scores.items()]
    return {"bench": "causal-panels", "data": "tigramite's toy models", "protocol": asdict(bench), "rows": rows,
            "summary": _summary(rows),
            "command": f"terracast bench causal --panels --worlds {bench.seeds}" + (" --full" if bench.full else "")}


def _run(name: str, made: SimulatedPanel, bench: PanelBench) -> FoundLinks:
    if name != "terracast":
        return peer(name, made.values, Peers(bench.max_lag, bench.alpha, bench.full))
    began = time.process_time()
    graph = robust_search({"sim": made.panel()}, default_search(bench.max_lag, bench.alpha))
    series = tuple(Series("sim", f"s{place}") for place in range(made.values.shape[1]))
    return from_links(graph.links, series, time.process_time() - began)


def _engine(method: str, variables: int, bench: PanelBench) -> str:
    """Whether tigramite's own loops ran, or the compiled twin whose answers are the same."""
    own = bench.full or bench.steps * variables**2 * bench.max_lag <= AFFORDABLE
    return "tigramite" if method != "terracast" and own else "compiled"


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Per kind our F1 over all sizes and the largest share of false positives; shortfalls to the plain panels."""
    mine = [row for row in rows if row["method"] == "terracast"]
    kinds = list(dict.fromkeys(row["kind"] for row in mine))
    f1 = {kind: round(float(np.mean([row["f1"] for row in mine if row["kind"] == kind])), 3) for kind in kinds}
    worst = max((row["false_positive_rate"] for row in mine), default=0.0)
    return {f"f1 {kind}": value for kind, value in f1.items()} | {"largest_false_positive_rate": worst}
