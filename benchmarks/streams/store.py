"""Bench of the store: ingest beside plain Zarr, its memory, and a step on a long history beside one on a short one."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import zarr

from terracast.streams.bitemporal import known_after
from terracast.streams.storage.arrays import CODEC
from terracast.streams.storage.layout import chunks_for
from terracast.streams.store import Store

START = np.datetime64("2020-01-01", "ns")
HOUR = np.timedelta64(1, "h")
FORTNIGHT = 14 * 24
Progress = Callable[[str], None]


@dataclass(frozen=True)
class StoreBench:
    """``steps`` rows of ``variables`` on ``nodes`` are one batch; ``short`` and ``long`` histories are in days;
    ``history_variables`` and ``leads`` say how wide the two histories and a forecast are.
    """

    nodes: int = 10_000
    steps: int = 24
    variables: int = 5
    rounds: int = 7
    short: int = 30
    long: int = 1095
    history_variables: int = 2
    leads: int = 6
    seed: int = 0

    def batch(self, first: int, count: int, variables: int, values: np.ndarray | None = None) -> xr.Dataset:
        """Hours ``first`` … ``first + count``; random values, or the same ones in every variable."""
        random = np.random.default_rng(self.seed + first)
        names = [f"v{at}" for at in range(variables)]
        data = {name: random.normal(size=(count, self.nodes)).astype(np.float32) if values is None else values
                for name in names}
        panel = xr.Dataset({name: (("time", "node"), data[name], {"units": "1", "long_name": name}) for name in names},
                           {"time": START + np.arange(first, first + count) * HOUR,
                            "node": [f"station {at:05d}" for at in range(self.nodes)]},
                           {"domain": "air", "kind": "sensor", "step": "1h"})
        return known_after(panel, pd.Timedelta("1h"))


def ingest_rows(bench: StoreBench, folder: Path) -> list[dict[str, Any]]:
    """Seconds per batch: into the store (with its commit), and the same arrays into a plain local Zarr group of
    the same chunks and codec; batch after batch appended to both in turn.
    """
    store, plain = Store.open(folder / "store"), PlainZarr(folder / "plain", known=False)
    whole = PlainZarr(folder / "whole", known=True)
    seconds: dict[str, list[float]] = {"terracast": [], "zarr": [], "zarr-with-known-times": []}
    for turn in range(bench.rounds + 1):
        batch = bench.batch(turn * bench.steps, bench.steps, bench.variables)

        def ours(batch: xr.Dataset = batch) -> None:
            with store.transaction("batch") as step:
                step.ingest("air", batch)

        work = {"terracast": ours, "zarr": lambda batch=batch: plain.append(batch),
                "zarr-with-known-times": lambda batch=batch: whole.append(batch)}
        for name in work:
            seconds[name].append(_seconds(work[name]))
    size = bench.nodes * bench.steps * bench.variables
    typical = {name: median(times[1:]) for name, times in seconds.items()}  # the first round creates the arrays
    return [{"method": name, "part": "ingest", "seconds": one, "values_per_second": size / one}
            for name, one in typical.items()]


class PlainZarr:
    """What one would write by hand: arrays in a folder, appended to."""

    def __init__(self, folder: Path, known: bool) -> None:
        self.group, self.known = zarr.open_group(str(folder), mode="w"), known

    def append(self, batch: xr.Dataset) -> None:
        """The values, the stamps and, where asked for, the known time of each value."""
        arrays = {str(name): batch[name].values for name in batch.data_vars}
        arrays["time"] = batch["time"].values.view(np.int64)
        if self.known:
            known = batch["known_time"].values.view(np.int64)[:, None]
            arrays["known_time"] = np.broadcast_to(known, batch[next(iter(batch.data_vars))].shape)
        nodes = batch.sizes["node"]
        if not len(self.group):
            names = self.group.create_array("node", shape=(nodes,), dtype="string")
            names[:] = batch["node"].values.astype(np.dtypes.StringDType())
        held = dict(self.group.arrays())
        for name, values in arrays.items():
            if name not in held:
                chunks = chunks_for(nodes) if values.ndim == 2 else (8192,)
                held[name] = self.group.create_array(name, shape=(0, *values.shape[1:]), chunks=chunks,
                                                     dtype=values.dtype, compressors=CODEC)
            count = held[name].shape[0]
            held[name].resize((count + len(values), *values.shape[1:]))
            held[name][count:] = values


MEMORY = """
import json, sys
from pathlib import Path
from terracast.benchmarks.streams.store import StoreBench, peak_bytes
print(json.dumps(peak_bytes(StoreBench(**json.loads(sys.argv[1])), Path(sys.argv[2]))))
"""


def memory_row(bench: StoreBench, folder: Path) -> dict[str, Any]:
    """Peak memory that the ingest of one batch takes on top of the batch, in a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    answer = subprocess.run([sys.executable, "-c", MEMORY, json.dumps(asdict(bench)), str(folder)], check=True,
                            capture_output=True, text=True, cwd=Path(__file__).parents[2])
    peaks = json.loads(answer.stdout)
    batch = bench.nodes * bench.steps * bench.variables * 4
    return {"method": "terracast", "part": "memory", "batch_mib": batch / 2 ** 20,
            **{f"{name}_mib": size / 2 ** 20 for name, size in peaks.items()},
            **{f"{name}_per_batch": size / batch for name, size in peaks.items()}}


def peak_bytes(bench: StoreBench, folder: Path) -> dict[str, int]:
    """Python's own peak while a batch is ingested (``traced``), and the process's (``resident``, Linux only); both
    without the batch itself. A first batch warms up threads and code.
    """
    import tracemalloc

    store = Store.open(folder)
    batches = [bench.batch(turn * bench.steps, bench.steps, bench.variables) for turn in range(3)]

    def ingest(batch: xr.Dataset) -> None:
        with store.transaction("batch") as step:
            step.ingest("air", batch)

    ingest(batches[0])
    found = {}
    try:
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        before = _status("VmRSS")
        ingest(batches[1])
        found["resident"] = _status("VmHWM") - before
    except OSError:  # another system, or not allowed
        ingest(batches[1])
    tracemalloc.start()
    ingest(batches[2])
    found["traced"] = tracemalloc.get_traced_memory()[1]
    return found


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def step_rows(bench: StoreBench, folder: Path, progress: Progress = lambda said: None) -> list[dict[str, Any]]:
    """Seconds per step of the loop on a short and on a long history, in turn: open the store, ingest one row, read
    a fortnight as known, append a forecast, keep a state, commit.
    """
    lengths = {"short": bench.short, "long": bench.long}
    for name, days in lengths.items():
        progress(f"a history of {days} days")
        _write_history(bench, folder / name, days)
    seconds: dict[str, list[float]] = {name: [] for name in lengths}
    for turn in range(bench.rounds + 1):
        for name, days in lengths.items():
            row = bench.batch(24 * days + turn, 1, bench.history_variables)
            seconds[name].append(_seconds(partial(_step, bench, folder / name, row)))
        progress(f"round {turn}")
    return [{"method": "terracast", "part": "step", "history_days": lengths[name], "seconds": median(times[1:])}
            for name, times in seconds.items()]


def _write_history(bench: StoreBench, folder: Path, days: int) -> None:
    """Hours rounded as sensors give them, written 30 days at a time, and a forecast a day."""
    store, random = Store.open(folder), np.random.default_rng(bench.seed)
    values = random.normal(20, 5, size=(720, bench.nodes)).round(0).astype(np.float32)
    for first in range(0, 24 * days, 720):
        count = min(720, 24 * days - first)
        with store.transaction("history") as step:
            step.ingest("air", bench.batch(first, count, bench.history_variables, values[:count]))
            issued = START + np.arange(first + 24, first + count + 1, 24) * HOUR
            step.append("forecasts/air", _forecast(bench, issued, values[:len(issued)]), along="issue_time")


def _forecast(bench: StoreBench, issued: np.ndarray, values: np.ndarray) -> xr.Dataset:
    leads = np.arange(1, bench.leads + 1) * HOUR.astype("timedelta64[ns]")
    wide = np.repeat(values[:, None], bench.leads, axis=1)
    return xr.Dataset({"v0": (("issue_time", "lead", "node"), wide, {"units": "1"})},
                      {"issue_time": issued, "lead": leads, "node": [f"station {at:05d}" for at in range(bench.nodes)]})


def _step(bench: StoreBench, folder: Path, row: xr.Dataset) -> None:
    store, now = Store.open(folder), row["known_time"].values[0]
    with store.transaction("step") as step:
        step.ingest("air", row)
        known = step.as_known_at("air", now, now - FORTNIGHT * HOUR)
        step.append("forecasts/air", _forecast(bench, np.array([now]), known["v0"].values[-1:]), along="issue_time")
        step.set_state("loop", {"mean": known["v0"].values.mean(axis=0), "now": str(now)})


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def run(bench: StoreBench, command: str, progress: Progress = lambda said: None) -> dict[str, Any]:
    """All parts, in the bench's one form; half a minute and 1 GB of disk with the default sizes."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        progress("ingest")
        rows = ingest_rows(bench, folder / "ingest")
        progress("memory")
        rows.append(memory_row(bench, folder / "memory"))
        rows += step_rows(bench, folder / "step", progress)
    seconds = {row["method"]: row["seconds"] for row in rows if row["part"] == "ingest"}
    memory = next(row for row in rows if row["part"] == "memory")
    short, long = (row["seconds"] for row in rows if row["part"] == "step")
    summary = {"ingest_ratio_to_zarr": seconds["terracast"] / seconds["zarr"],
               "ingest_ratio_to_zarr_with_known_times": seconds["terracast"] / seconds["zarr-with-known-times"],
               "peak_memory_per_batch": 1 + max(memory["traced_per_batch"], memory.get("resident_per_batch", 0.0)),
               "step_ratio_long_to_short": long / short}
    return {"bench": "store", "data": "generated", "protocol": asdict(bench), "rows": rows, "summary": summary,
            "command": command}
