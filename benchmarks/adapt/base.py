"""Forecasts of the shipped base for every origin of a stream, made once and kept on disk in chunks.

The base is zero-shot: it was never trained on any stream that is benched, and a forecast reads only rows before its
origin. It commutes with shifts and scales of a series, so one set in raw units serves every protocol.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time as stopwatch
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from terracast.benchmarks.adapt.series import BenchSeries
from terracast.benchmarks.base.etth1 import mean_of
from terracast.stfm.base.model import SHIPPED, Base
from terracast.stfm.base.window import MEMORY
from terracast.stfm.forecaster import QUANTILES, Request

CHUNK = 480  # origins in a file

Progress = Callable[[int], None]


@dataclass(frozen=True)
class BaseForecasts:
    """Quantiles (origin, lead, node, quantile) in raw units for origins ``first``, ``first`` + 1, … and what one step
    (all nodes of one origin) took, in milliseconds of one thread."""

    first: int
    quantiles: np.ndarray
    ms_per_step: float

    def at(self, origin: int, centre: np.ndarray, width: np.ndarray) -> np.ndarray:
        """Quantiles (lead, node, quantile) at an origin, standardised."""
        said = self.quantiles[origin - self.first].astype("float64")
        return np.asarray((said - centre[:, None]) / width[:, None])

    @staticmethod
    def mean(quantiles: np.ndarray) -> np.ndarray:
        """The mean of the law, the point for squared error."""
        return mean_of(quantiles)


def base_forecasts(stream: BenchSeries, horizon: int, first: int, last: int, scratch: Path | None = None,
                   progress: Progress = lambda done: None) -> BaseForecasts:
    """What the shipped base says at origins ``first`` … ``last`` - 1 of the rows ``origin`` … ``origin`` + horizon - 1.

    Chunks already in ``scratch`` are read, others written there (None: nothing is kept); a chunk's name tells the
    weights, the values and the horizon. Costs about 2 ms a node and origin where it must be made.
    """
    with tempfile.TemporaryDirectory() as unkept:
        return _hindcast(stream, horizon, range(first, last), scratch or Path(unkept), progress)


def _hindcast(stream: BenchSeries, horizon: int, origins: range, folder: Path, progress: Progress) -> BaseForecasts:
    folder.mkdir(parents=True, exist_ok=True)
    panel, first, last = stream.panel(), origins.start, origins.stop
    digest = _digest(stream)
    parts, costs = [], []
    for chunk in range(first // CHUNK, (last - 1) // CHUNK + 1):
        begin, end = max(1, chunk * CHUNK), min((chunk + 1) * CHUNK, len(stream.values) + 1)
        file = folder / f"base-{digest}-{horizon}-{chunk}.npy"
        cost = file.with_suffix(".json")
        if not cost.exists():
            begun = stopwatch.process_time()
            np.save(file, _forecast(panel, horizon, np.arange(begin, end)))
            cost.write_text(json.dumps(1e3 * (stopwatch.process_time() - begun) / (end - begin)))
        parts.append(np.load(file)[max(first, begin) - begin:min(last, end) - begin])
        costs.append(float(json.loads(cost.read_text())))
        progress(len(parts[-1]))
    return BaseForecasts(max(1, first), np.concatenate(parts), float(np.median(costs)))


def base_forecasts_at(panel: xr.Dataset, request: Request, issues: np.ndarray,
                      scratch: Path | None = None) -> BaseForecasts:
    """What the shipped base says of a panel at the rows ``issues``: quantiles (issue, lead, node, ·), ``first`` 0."""
    told = hashlib.sha256((SHIPPED / "weights.safetensors").read_bytes())
    for part in (panel[request.target].values, panel["time"].values.astype("datetime64[s]").astype(str), issues,
                 np.array([request.horizon])):
        told.update(np.nan_to_num(part, nan=-9e9).tobytes() if part.dtype.kind == "f" else part.tobytes())
    file = None if scratch is None else scratch / f"base-{told.hexdigest()[:16]}.npy"
    if file is not None and file.with_suffix(".json").exists():
        return BaseForecasts(0, np.load(file), float(json.loads(file.with_suffix(".json").read_text())))
    begun = stopwatch.process_time()
    values = Base.shipped().forecast_many(panel, request, panel["time"].values[issues])[request.target].values
    said = BaseForecasts(0, values.astype("float32"), 1e3 * (stopwatch.process_time() - begun) / len(issues))
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, said.quantiles)
        file.with_suffix(".json").write_text(json.dumps(said.ms_per_step))
    return said


def _forecast(panel: xr.Dataset, horizon: int, origins: np.ndarray) -> np.ndarray:
    """An origin is issued at the row before it; rows that no forecast can reach back to are cut off."""
    times = panel["time"].values
    reached = panel.isel(time=slice(max(0, int(origins[0]) - MEMORY - 24), int(origins[-1])))
    request = Request("x", times[origins[0] - 1], horizon, times[1] - times[0], QUANTILES)
    return np.asarray(Base.shipped().forecast_many(reached, request, times[origins - 1])["x"].values, dtype="float32")


def _digest(stream: BenchSeries) -> str:
    """Names the weights and the stream."""
    clock = str((stream.start.astype("datetime64[ns]"), stream.step.astype("timedelta64[s]")))
    told = hashlib.sha256((SHIPPED / "weights.safetensors").read_bytes())
    told.update(np.nan_to_num(stream.values, nan=-9e9).tobytes())
    told.update(clock.encode())
    return told.hexdigest()[:16]
