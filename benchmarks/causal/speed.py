"""Bench of discovery's speed: this engine and tigramite side by side, CPU seconds on one thread, and equality."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

METHODS = {"pcmci": "run_pcmci", "pcmciplus": "run_pcmciplus"}
GAP = 987654.25


@dataclass(frozen=True)
class SpeedBench:
    """A simulated world of ``variables`` series and ``steps`` steps, searched with ``lags`` lags.

    ``alpha`` is PCMCI's ``pc_alpha``, ``alpha_plus`` that of PCMCI+. tigramite's cost is that of at least
    ``sampled`` of its own tests, drawn within classes of the number of conditions and weighted by how many
    tests each class has; ``full`` runs it whole. Graphs and p-values are compared on whole runs of both with
    ``compared`` variables. ``gap_share`` of the values are missing in the case with gaps.
    """

    variables: int = 100
    steps: int = 8760
    lags: int = 12
    alpha: float = 0.05
    alpha_plus: float = 0.01
    sampled: int = 300
    compared: int = 40
    full: bool = False
    gap_share: float = 0.05
    seed: int = 0


def world(variables: int, steps: int, seed: int) -> tuple[np.ndarray, set[tuple[int, int, int]]]:
    """A stable vector autoregression (steps, variables) with as many cross links as series, lags 1 to 3.

    >>> values, links = world(5, 100, 0)
    >>> values.shape, len(links)
    ((100, 5), 5)
    """
    rng = np.random.default_rng(seed)
    weights = np.zeros((3, variables, variables))
    weights[0] = np.diag(rng.uniform(0.2, 0.6, variables))
    links: set[tuple[int, int, int]] = set()
    while len(links) < variables:
        cause, effect = sorted(int(one) for one in rng.integers(0, variables, 2))  # no circle: always stable
        lag = int(rng.integers(1, 4))
        if cause != effect and not any((cause, effect, other) in links for other in (1, 2, 3)):
            links.add((cause, effect, lag))
            weights[lag - 1, effect, cause] = rng.choice([-1, 1]) * rng.uniform(0.1, 0.3)
    values = rng.normal(size=(steps + 100, variables))
    for step in range(3, steps + 100):
        values[step] += sum(weights[lag] @ values[step - 1 - lag] for lag in range(3))
    return values[100:], links


def answer(bench: SpeedBench, progress: Callable[[str], None] = lambda words: None) -> dict[str, Any]:
    """The bench in its one form; rows ``terracast`` and ``tigramite-*`` per case, summary with the ratios."""
    rows: list[dict[str, Any]] = []
    summary: dict[str, Any] = {}
    with threadpool_limits(1):
        _warm_up()
        for method in METHODS:
            progress(f"{method}: {bench.variables} variables")
            rows += _timed(bench, method, summary)
            progress(f"{method}: whole runs of both at {min(bench.compared, bench.variables)} variables")
            summary[f"{method}_identity"] = _compared(bench, method)
        progress(f"{bench.gap_share:.0%} gaps")
        rows += _with_gaps(bench, summary)
    command = (f"terracast bench causal --speed --variables {bench.variables} --steps {bench.steps} "
               f"--lags {bench.lags} --alpha {bench.alpha:g}" + (" --full" if bench.full else ""))
    return {"bench": "causal-speed", "data": "simulated", "protocol": asdict(bench) | {
        "time": "CPU seconds on one thread; compiled code is compiled before",
        "upstream": "whole run" if bench.full else
        f"at least {bench.sampled} of its own tests, weighted by number of conditions"},
        "rows": rows, "summary": summary, "command": command}


def _warm_up() -> None:
    values, _ = world(4, 200, 0)
    for method in METHODS:
        for missing in (False, True):
            table = values.copy()
            if missing:
                table[::9, 0] = GAP
            _run(table, method, 2, 0.2, fast=True)


def _options(method: str, lags: int, alpha: float) -> dict[str, Any]:
    return {"tau_max": lags, "pc_alpha": alpha} | ({"alpha_level": 0.01} if method == "pcmci" else {})


def _run(values: np.ndarray, method: str, lags: int, alpha: float, fast: bool,
         test: Any = None) -> tuple[dict[str, Any], float, Any]:
    """Results, CPU seconds and the engine of one run."""
    from tigramite.data_processing import DataFrame
    from tigramite.independence_tests.parcorr import ParCorr
    from tigramite.pcmci import PCMCI

    from terracast.causal.fast.parcorr import CovarianceParCorr
    from terracast.causal.fast.pcmci import FastPCMCI

    frame = DataFrame(values.copy(), missing_flag=GAP)
    began = time.process_time()
    engine: Any = FastPCMCI(frame, CovarianceParCorr()) if fast else PCMCI(frame, test or ParCorr(), verbosity=0)
    found = getattr(engine, METHODS[method])(**_options(method, lags, alpha))
    return found, time.process_time() - began, engine


def _timed(bench: SpeedBench, method: str, summary: dict[str, Any]) -> list[dict[str, Any]]:
    values, links = world(bench.variables, bench.steps, bench.seed)
    alpha = bench.alpha if method == "pcmci" else bench.alpha_plus
    found, seconds, _ = _run(values, method, bench.lags, alpha, fast=True)
    row = {"case": method, "method": "terracast", "cpu_seconds": round(seconds, 3), "f1": _f1(found["graph"], links)}
    peer: dict[str, Any] = {"case": method, "method": f"tigramite-{method}"}
    if bench.full:
        whole, upstream, _ = _run(values, method, bench.lags, alpha, fast=False)
        peer |= {"measured": "whole run", "f1": _f1(whole["graph"], links)}
        summary[f"{method}_graph_identical"] = bool((whole["graph"] == found["graph"]).all())
    else:
        recorder = _recorder(bench)
        walked, _, engine = _run(values, method, bench.lags, alpha, fast=False, test=recorder)
        upstream, timed = _sampled_cost(engine.cond_ind_test.kept, engine.cond_ind_test.met, values, bench)
        tests = sum(engine.cond_ind_test.met.values())
        peer |= {"measured": f"{timed} of its {tests} tests", "tests": tests}
        summary[f"{method}_graph_as_tigramite_loops"] = bool((walked["graph"] == found["graph"]).all())
    peer["cpu_seconds"] = round(upstream, 2)
    row["ratio"] = summary[f"{method}_ratio"] = round(upstream / seconds, 1)
    return [row, peer]


def _recorder(bench: SpeedBench) -> Any:
    """The drop-in test, walked by tigramite's own loops, keeping a random sample of the tests by size class."""
    from terracast.causal.fast.parcorr import CovarianceParCorr

    class Recorder(CovarianceParCorr):
        def __init__(self) -> None:
            super().__init__()
            self.kept: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
            self.met: dict[int, int] = defaultdict(int)
            self.draw = random.Random(bench.seed)

        def run_test(self, X: Any, Y: Any, Z: Any = None, tau_max: int = 0, cut_off: str = "2xtau_max",
                     alpha_or_thres: float | None = None) -> tuple[Any, ...]:
            size = round(3 * np.log2(2 + len(Z or [])))  # classes a quarter wide
            self.met[size] += 1
            if len(self.kept[size]) < bench.sampled:
                self.kept[size].append((X, Y, Z, tau_max))
            elif (place := self.draw.randrange(self.met[size])) < bench.sampled:
                self.kept[size][place] = (X, Y, Z, tau_max)
            return super().run_test(X, Y, Z, tau_max, cut_off, alpha_or_thres)

    return Recorder()


def _sampled_cost(kept: dict[int, list[tuple[Any, ...]]], met: dict[int, int], values: np.ndarray,
                  bench: SpeedBench) -> tuple[float, int]:
    """tigramite's estimated CPU seconds over all its tests, and how many were timed."""
    from tigramite.data_processing import DataFrame
    from tigramite.independence_tests.parcorr import ParCorr

    test = ParCorr()
    test.set_dataframe(DataFrame(values.copy(), missing_flag=GAP))
    test.run_test([(0, -1)], [(1, 0)], [], tau_max=bench.lags)
    each = 1
    while sum(min(each, len(sample)) for sample in kept.values()) < min(bench.sampled, sum(map(len, kept.values()))):
        each += 1
    kept = {size: sample[:max(each, 20)] for size, sample in kept.items()}
    total = 0.0
    for size, sample in kept.items():
        began = time.process_time()
        for first, second, given, tau_max in sample:
            test.run_test(first, second, given, tau_max)
        total += (time.process_time() - began) / len(sample) * met[size]
    return total, sum(map(len, kept.values()))


def _compared(bench: SpeedBench, method: str) -> dict[str, Any]:
    """Whole runs of both engines on a smaller world."""
    number = min(bench.compared, bench.variables)
    values, _ = world(number, bench.steps, bench.seed + 1)
    alpha = bench.alpha if method == "pcmci" else bench.alpha_plus
    ours, seconds, _ = _run(values, method, bench.lags, alpha, fast=True)
    theirs, upstream, _ = _run(values, method, bench.lags, alpha, fast=False)
    return {"variables": number, "graph_identical": bool((ours["graph"] == theirs["graph"]).all()),
            "max_p_difference": float(np.abs(ours["p_matrix"] - theirs["p_matrix"]).max()),
            "max_value_difference": float(np.abs(ours["val_matrix"] - theirs["val_matrix"]).max()),
            "cpu_seconds": round(seconds, 3), "tigramite_cpu_seconds": round(upstream, 2),
            "ratio": round(upstream / seconds, 1)}


def _with_gaps(bench: SpeedBench, summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Ten series, 2,000 steps, random gaps: both engines whole, and F1 beside the complete data's."""
    rows: list[dict[str, Any]] = []
    number, steps, worlds = min(10, bench.variables), min(2000, bench.steps), 3
    for method, alpha in (("pcmci", 0.2), ("pcmciplus", 0.01)):
        scores: dict[str, list[float]] = defaultdict(list)
        seconds: dict[str, float] = defaultdict(float)
        same = True
        for draw in range(worlds):
            values, links = world(number, steps, bench.seed + 10 + draw)
            scores["complete"].append(_f1(_run(values, method, bench.lags, alpha, fast=True)[0]["graph"], links))
            values[np.random.default_rng(bench.seed + draw).random(values.shape) < bench.gap_share] = GAP
            graphs = {}
            for name, fast in (("terracast", True), (f"tigramite-{method}", False)):
                found, cost, _ = _run(values, method, bench.lags, alpha, fast)
                graphs[name] = found["graph"]
                seconds[name] += cost
                scores[name].append(_f1(found["graph"], links))
            first, second = graphs.values()
            same = same and bool((first == second).all())
        for name, cost in seconds.items():
            rows.append({"case": f"{method}, gaps", "method": name, "cpu_seconds": round(cost, 3),
                         "f1": round(float(np.mean(scores[name])), 3),
                         "f1_complete": round(float(np.mean(scores["complete"])), 3), "worlds": worlds})
        ours, theirs = seconds.values()
        summary[f"{method}_gaps_ratio"] = rows[-2]["ratio"] = round(theirs / ours, 1)
        summary[f"{method}_gaps_graph_identical"] = same
    return rows


def _f1(graph: np.ndarray, links: set[tuple[int, int, int]]) -> float:
    """F1 of lagged links between different series."""
    found = {(int(cause), int(effect), int(lag)) for cause, effect, lag in np.argwhere(graph != "")
             if lag > 0 and cause != effect}
    return round(2 * len(found & links) / max(len(found) + len(links), 1), 3)
