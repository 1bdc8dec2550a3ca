"""How the cost of one forecast call grows with the nodes: seconds and peak memory, each size in a fresh process."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time as stopwatch
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.benchmarks.base.methods import shipped
from terracast.stfm.forecaster import Forecaster, Request
from terracast.stfm.seasonal_naive import SeasonalNaive

SIZES = (1000, 3000, 10000)
STEPS, HORIZON = 512, 24
CHILD = """import json, sys
from terracast.benchmarks.base.growth import measured
print(json.dumps(measured(*json.loads(sys.argv[1]))))"""


def network(nodes: int, steps: int = STEPS) -> xr.Dataset:
    """A synthetic hourly network: day waves, noise and a gap in a hundred; positions at random.

    >>> dict(network(5, 48).sizes)
    {'time': 48, 'node': 5}
    """
    draws = np.random.default_rng(0)
    hours = np.arange(steps)[:, None]
    values = 20 + 5 * np.sin(hours / 24 * 2 * np.pi + draws.uniform(0, 6, nodes)) + draws.normal(size=(steps, nodes))
    values[draws.random(values.shape) < 0.01] = np.nan
    return xr.Dataset({"level": (("time", "node"), values, {"units": "1", "long_name": "level"})},
                      {"time": pd.date_range("2024-01-01", periods=steps, freq="h"),
                       "node": [f"n{node}" for node in range(nodes)],
                       "lat": ("node", draws.uniform(40, 50, nodes)), "lon": ("node", draws.uniform(0, 10, nodes))},
                      {"domain": "simulated", "kind": "sensor", "step": "1h"})


def measured(method: str, nodes: int) -> dict[str, float]:
    """One call on a network of ``nodes``: seconds of the clock and of the CPU, peak MiB of this process before and in
    all."""
    forecaster: Forecaster = SeasonalNaive() if method == "seasonal-naive" else shipped()
    panel = network(nodes)
    request = Request("level", panel["time"].values[-1], HORIZON, np.timedelta64(1, "h"))
    forecaster.forecast(panel.isel(node=slice(0, 10)), request)  # what is loaded once is not the call's
    before = peak_mib()
    clock, busy = stopwatch.perf_counter(), stopwatch.process_time()
    answer = forecaster.forecast(panel, request)
    seconds, cpu = stopwatch.perf_counter() - clock, stopwatch.process_time() - busy
    if not np.isfinite(answer["level"].values).all():
        raise AssertionError("as_forecast lets no NaN through")
    peak = peak_mib()
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_mib": peak, "call_mib": peak - before}


def peak_mib() -> float:
    """The most memory that this process has held, in MiB."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux: getrusage counts what the parent held before this program began
        return float(next(line.split()[1] for line in status.read_text().splitlines() if "VmHWM" in line)) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


def answer(command: str, sizes: Sequence[int] = SIZES, methods: Sequence[str] = ("terracast", "seasonal-naive"),
           progress: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
    """Rows by method and size; the summary has the power of growth from the smallest to the largest size."""
    rows: list[dict[str, Any]] = []
    for method in methods:
        for nodes in sizes:
            ran = subprocess.run([sys.executable, "-c", CHILD, json.dumps([method, nodes])], check=True,
                                 capture_output=True, text=True)
            rows.append({"method": method, "nodes": nodes, **json.loads(ran.stdout.splitlines()[-1])})
            progress(1)
    own = [row for row in rows if row["method"] == methods[0]]
    power = np.log(own[-1]["cpu_seconds"] / own[0]["cpu_seconds"]) / np.log(sizes[-1] / sizes[0])
    return {"bench": "base", "data": "a synthetic network", "rows": rows, "command": command,
            "protocol": {"name": "growth", "steps": STEPS, "horizon": HORIZON, "sizes": list(sizes),
                         "process": "a fresh one for each row"},
            "summary": {"growth_power": float(power), "largest_peak_mib": own[-1]["peak_mib"],
                        "largest_seconds": own[-1]["seconds"]}}
