"""Bench of drivers on panels of the user: the error with chosen ones beside none, all and what peers pick."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks.drivers.bench import METHODS, Protocol, Ridge, choices
from benchmarks.drivers.worlds import World
from causal.graph import Series
from causal.prepare import Prepared, prepare
from streams.errors import TerracastError
from streams.panel import step_of
from streams.readers import read

PASSIVE = "own.* never causes other.*"  # what anyone knows of bikes and weather


def bench_drivers_in(data: Path, own: tuple[str, ...], protocol: Protocol) -> dict[str, Any]:
    """``bench_drivers_on`` for one file: the first of ``own`` is the target, ``own`` its domain, the rest another one.

    Both domains are published a step late. Raises ``TerracastError`` for variables that are not there.
    """
    panel = read(data, domain="own")
    unknown = [name for name in own if name not in panel.data_vars]
    rest = [str(name) for name in panel.data_vars if name not in own and panel[name].dtype.kind == "f"]
    if unknown or not rest:
        raise TerracastError(f"no variable {unknown[0]!r}" if unknown else "no other variable", where=data.name,
                             expected=", ".join(map(str, panel.data_vars)), remedy="mend --target and --own")
    other = panel[rest].assign_attrs(domain="other")
    made = bench_drivers_on({"own": panel[list(own)], "other": other}, Series("own", own[0]), {"own": 1, "other": 1},
                            data.name, protocol)
    extra = (f" --own {','.join(own[1:])}" if own[1:] else "") + (" --passive" if protocol.knowledge else "")
    return {**made, "command": f"terracast bench drivers --data {data} --target {own[0]}{extra} "
                               f"--max-lag {protocol.max_lag} --horizon {protocol.horizon}"}


def bench_drivers_on(panels: Mapping[str, xr.Dataset], target: Series, published: Mapping[str, int], data: str,
                     protocol: Protocol | None = None) -> dict[str, Any]:
    """Mean absolute error of the target's regional mean over leads, by method, on the last fifth of the span.

    ``panels``: one per domain, on one step; ``published``: how late each is (steps). Discovery and its preparation
    see the first two fifths only; the ablation is judged on the next two; the ridge of the last fifth is fitted on
    all before it. Every method reads the target's own past and the calendar. The same issue times for all.
    """
    protocol = protocol or Protocol()
    made = world_of(panels, target, dict(published), protocol)
    rows = len(made.prepared.time)
    _, _, last = protocol.parts(rows)
    model = Ridge(made.published, protocol.horizon, calendar=made.calendar)
    losses, used = {}, {}
    for name, drivers in choices(made, protocol, target).items():
        chosen = {one.series for one in drivers}
        used[name] = [one for one in made.prepared.series if one in chosen]
        losses[name] = model.losses(made.prepared, target, used[name], slice(0, last.start), last)
    both = np.isfinite(np.stack(list(losses.values()))).all(axis=0)
    scale = float(np.mean(losses["none"][both]))
    table = [{"method": name, "data": data, "mae_ratio": float(np.mean(losses[name][both])) / scale,
              "used": [str(one) for one in used[name]]} for name in METHODS]
    ours = float(str(table[-1]["mae_ratio"]))
    return {"bench": "drivers", "data": data,
            "protocol": {"target": str(target), "published": dict(published), "issue_times": int(both.sum()),
                         "max_lag": protocol.max_lag, "horizon": protocol.horizon, "model": "ridge",
                         "knowledge": "" if protocol.knowledge is None else protocol.knowledge.text()},
            "rows": table,
            "summary": {f"mae_ratio_to_{row['method']}": ours / float(str(row["mae_ratio"])) for row in table[:-1]},
            "command": "from benchmarks.drivers.real import bench_drivers_on"}


def world_of(panels: Mapping[str, xr.Dataset], target: Series, published: dict[str, int], protocol: Protocol) -> World:
    """Regional means as the forecaster's matrix, scaled by the first two fifths; anomalies of these for discovery."""
    steps = {domain: pd.Timedelta(step_of(panel)) for domain, panel in panels.items()}
    first = max(panel.indexes["time"][0] for panel in panels.values())
    last = min(panel.indexes["time"][-1] for panel in panels.values())
    time = pd.date_range(first, last, freq=max(steps.values()))
    columns = {Series(domain, str(name)): panel[name].mean("node").reindex(time=time).values.astype(float)
               for domain, panel in panels.items() for name in panel.data_vars}
    early, _, _ = protocol.parts(len(time))
    begun = {domain: panel.sel(time=slice(time[0], time[early.stop - 1])) for domain, panel in panels.items()}
    searched = prepare(begun)
    series = tuple(one for one in columns if one in searched.series)
    values = np.stack([columns[one] for one in series], axis=1)
    values = (values - np.nanmean(values[early], axis=0)) / np.nanstd(values[early], axis=0)
    matrix = Prepared(values, series, searched.step, time.to_numpy(), labels=searched.labels)
    return World(matrix, published, frozenset(), {}, _calendar(time), searched, begun)


def _calendar(time: pd.DatetimeIndex) -> np.ndarray:
    """Day, week and year as waves and the hour as steps; columns (time, column)."""
    hours = time.hour.to_numpy() + 24 * time.dayofweek.to_numpy()
    year = time.dayofyear.to_numpy() / 365.25
    waves = [wave(2 * np.pi * times * phase) for phase, times in
             ((year, 1), (year, 2), (hours / 168, 1), (hours / 168, 2)) for wave in (np.sin, np.cos)]
    weekend = time.dayofweek.to_numpy() >= 5
    steps = [((time.hour == hour) & (weekend == rest)).astype(float) for hour in range(24) for rest in (False, True)]
    table = np.stack([*waves, *steps], axis=1)
    return np.asarray(table[:, np.ptp(table, axis=0) > 0])
