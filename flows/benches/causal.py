"""The four types of ``terracast bench causal``, each with its progress on standard error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from terracast.flows.terminal.output import note
from terracast.flows.terminal.share_shown import progress


def with_truth(data: Path, truth: Path | None, max_lag: int | None, full: bool) -> dict[str, Any]:
    """Graphs of a data file or folder beside what is known of it."""
    from terracast.benchmarks.causal.truth import answer

    beside = (data if data.is_dir() else data.parent) / "truth.json"
    return answer(data, truth or beside, max_lag=max_lag, full=full, progress=note)


def simulated(seeds: int, full: bool) -> dict[str, Any]:
    """Graphs of simulated panels."""
    from terracast.benchmarks.causal.simulated import PanelBench, answer

    bench = PanelBench(seeds=seeds, full=full)
    with progress("panels", len(bench.variables) * len(bench.kinds) * seeds) as advance:
        return answer(bench, progress=advance)


def timed(variables: int, steps: int, lags: int, alpha: float, full: bool) -> dict[str, Any]:
    """Searches timed beside tigramite's own."""
    from terracast.benchmarks.causal.speed import SpeedBench, answer

    return answer(SpeedBench(variables, steps, lags, alpha, full=full), note)


def drivers_in_worlds(worlds: int) -> dict[str, Any]:
    """Drivers found in simulated worlds beside what peers pick."""
    from terracast.benchmarks.drivers.bench import bench_drivers
    from terracast.benchmarks.drivers.worlds import HORIZON, MAX_LAG
    from terracast.flows.benches.drivers import served

    with progress("worlds", worlds) as advance:
        return bench_drivers(served(MAX_LAG, HORIZON), worlds, progress=advance)
