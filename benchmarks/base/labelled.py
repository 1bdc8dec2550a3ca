"""Series with labelled anomaly windows, as the Numenta Anomaly Benchmark lays them out (Lavin & Ahmad 2015)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.clock import span_text

LONGEST = 8000  # rows of a series that are read
REAL = ("realKnownCause", "realTraffic")  # the labelled series of the benchmark that people measured somewhere


def labelled_series(paths: Sequence[Path]) -> Iterator[tuple[str, xr.Dataset, np.ndarray]]:
    """Each labelled series below ``paths``: its name, a panel of one node (``value``), windows (window, 2) as rows.

    A folder counts whose ``truth.json`` names a ``label_file`` of windows by file. Doubled stamps keep the first
    row; the clock is the median step, rows that fall off it go to the nearest.
    """
    for path in paths:
        for truth in sorted(path.rglob("truth.json")) if path.is_dir() else []:
            named = json.loads(truth.read_text(encoding="utf-8")).get("label_file")
            if not named or "windows" not in named:
                continue
            windows = json.loads((truth.parent / named).read_text(encoding="utf-8"))
            for name in sorted(windows):
                file = truth.parent / "data" / name
                if windows[name] and name.startswith(REAL) and file.is_file():
                    series = _series(file, windows[name])
                    if series is not None:
                        yield name, *series


def _series(file: Path, windows: list[list[str]]) -> tuple[xr.Dataset, np.ndarray] | None:
    table = pd.read_csv(file, parse_dates=["timestamp"]).sort_values("timestamp", kind="stable")
    table = table.drop_duplicates("timestamp")
    stamps = table["timestamp"].to_numpy("datetime64[ns]")
    step = pd.Timedelta(int(np.median(np.diff(stamps).astype("int64"))), "ns")
    slots = np.rint((stamps - stamps[0]) / step.to_timedelta64()).astype(int)
    slots, first = np.unique(slots, return_index=True)
    if slots[-1] >= 3 * len(slots):
        return None
    values = np.full(slots[-1] + 1, np.nan)
    values[slots] = table["value"].to_numpy(float)[first]
    rows = np.array([[int((pd.Timestamp(edge) - pd.Timestamp(stamps[0])) / step) for edge in window]
                     for window in windows])
    values = values[:LONGEST]
    rows = rows[rows[:, 1] < len(values)]
    clock = stamps[0] + np.arange(len(values)) * step.to_timedelta64()
    panel = xr.Dataset({"value": (("time", "node"), values[:, None], {"units": "unknown", "long_name": file.stem})},
                       {"time": clock, "node": [file.stem]},
                       {"domain": "labelled", "kind": "sensor", "step": span_text(step)})
    return (panel, rows) if len(rows) else None
