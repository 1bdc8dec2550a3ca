"""Bench of events: a table of events to sparse counts per cell and hour, beside a bare pandas groupby."""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.kinds.cells import GridCells
from terracast.streams.kinds.columns import find_columns
from terracast.streams.kinds.counts import counts_of
from terracast.streams.kinds.event import Counting, event_panels
from terracast.streams.kinds.placed import placed


def bench_events(events: int = 10_000_000, cells_a_side: int = 22, days: int = 730, seed: int = 0,
                 repeats: int = 3) -> dict[str, Any]:
    """Time to sparse hourly counts of made-up events, best of ``repeats``, and each method's ratio to the groupby.

    ``pandas-groupby`` gets the cell of each event and floors the stamps; ``pandas-groupby-codes`` gets both and only
    groups; ``terracast`` counts from cells and stamps; ``terracast-from-positions`` finds the cells too;
    ``terracast-stream`` is what a source does: columns found, rows placed, a dense panel of every cell and hour.

    >>> bench_events(1000, 5, 3, repeats=1)["summary"]["same_counts"]
    True
    """
    random = np.random.default_rng(seed)
    time = np.datetime64("2014-01-01", "ns") + random.integers(0, days * 86400, events) * np.timedelta64(1, "s")
    edges = tuple(np.linspace(0.0, 1.0, cells_a_side + 1).tolist())
    cells = GridCells(edges, edges)
    table = pd.DataFrame({"time": time, "lat": random.random(events), "lon": random.random(events)})
    cell, names = cells.cell_of(table["lat"], table["lon"]), cells.names
    bare = pd.DataFrame({"time": time, "cell": cell})
    coded = bare.assign(step=bare["time"].dt.floor("h"))
    methods: dict[str, Callable[[], Any]] = {
        "pandas-groupby": lambda: bare.groupby([bare["time"].dt.floor("h"), "cell"]).size(),
        "pandas-groupby-codes": lambda: coded.groupby(["step", "cell"]).size(),
        "terracast": lambda: counts_of(time, cell, names, step="1h", domain="bench"),
        "terracast-from-positions": lambda: counts_of(time, cells.cell_of(table["lat"], table["lon"]), names,
                                                      step="1h", domain="bench"),
        "terracast-stream": lambda: _streamed(table, 1.0 / cells_a_side)}
    rows, results = [], {}
    for name, method in methods.items():
        seconds, results[name] = _best(method, repeats)
        rows.append({"method": name, "seconds": round(seconds, 3), "events": events,
                     "entries": len(results[name]) if name.startswith("pandas") else
                     results[name].sizes.get("entry", int(np.prod([*results[name].sizes.values()])))})
    reference = float(rows[0]["seconds"]) or 1e-3
    rows = [{**row, "ratio": round(float(row["seconds"]) / reference, 3)} for row in rows]
    ours = results["terracast"]["count"].values
    same = bool(np.array_equal(ours, results["pandas-groupby"].to_numpy()))
    same &= int(results["terracast-stream"]["events"].sum()) == events
    return {"bench": "events", "data": f"{events} made-up events, {len(cells)} cells, {days * 24} hours",
            "protocol": {"repeats": repeats, "seed": seed, "ratio_to": "pandas-groupby"}, "rows": rows,
            "summary": {"ratio": rows[2]["ratio"], "ratio_stream": rows[4]["ratio"], "same_counts": same},
            "command": "python -c 'from terracast.benchmarks.streams.events import bench_events; "
            f"print(bench_events({events}))'"}


def _streamed(table: pd.DataFrame, size: float) -> xr.Dataset:
    rows = placed(table, find_columns(table, "bench"), "bench")
    return next(event_panels(rows, Counting("bench", size, "1h")))


def _best(method: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    seconds, result = np.inf, None
    for _ in range(repeats):
        begin = clock.perf_counter()
        result = method()
        seconds = min(seconds, clock.perf_counter() - begin)
    return seconds, result
