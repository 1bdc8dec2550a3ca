"""Bench of cost: a step of the mixture and of the intervals beside the base's own forecast, and memory a node."""

from __future__ import annotations

import time as stopwatch
from typing import Any

import numpy as np
import xarray as xr

from terracast.adapt.correction.mixture import Mixture
from terracast.adapt.correction.quantile_tracking import QuantileTracker
from terracast.stfm.base.model import Base
from terracast.stfm.forecaster import Request

HOUR = np.timedelta64(1, "h")
ROWS, STEPS = 24 * 40, 8  # rows learned to begin with; steps timed, once a whole horizon of issues is open


def rows_of_cost(nodes: int, horizon: int, seed: int = 0) -> list[dict[str, Any]]:
    """Milliseconds of one thread for a step of an hourly stream of ``nodes`` and the bytes of state kept for each."""
    draws = np.random.default_rng(seed)
    until = ROWS + horizon + STEPS
    waves = np.sin(2 * np.pi * (np.arange(until)[:, None] / 24 + draws.random(nodes)))
    times = np.datetime64("2020-01-01", "ns") + np.arange(until) * HOUR
    panel = xr.Dataset({"x": (("time", "node"), waves + 0.3 * draws.normal(size=waves.shape), {"units": "1"})},
                       {"time": times, "node": [f"n{node}" for node in range(nodes)]},
                       {"domain": "stream", "kind": "sensor", "step": "1h"})
    request = Request("x", times[ROWS - 1], horizon, HOUR)
    known = panel["x"]
    begun = stopwatch.process_time()
    mixture = Mixture.begin(known[:ROWS], request, per_issue=1)
    beginning = stopwatch.process_time() - begun
    interval = QuantileTracker(nodes, horizon, request.quantiles)
    seconds = {"frozen": 0.0, "intervals": 0.0, "mixture": 0.0}
    opened: dict[int, np.ndarray] = {}
    for row in range(ROWS, until):
        timed = row >= ROWS + horizon  # before that the newest forecast stands for all
        if timed or row == ROWS:
            begun = stopwatch.process_time()
            said = Base.shipped().forecast(panel.isel(time=slice(row + 1)), request.at(times[row]))["x"].values[0]
            seconds["frozen"] += timed * (stopwatch.process_time() - begun)
        labels = {issue: np.where((np.arange(horizon) == row - issue - 1)[:, None], known.values[row], np.nan)
                  for issue in opened}
        begun = stopwatch.process_time()
        for issue, label in labels.items():
            mixture.learn(times[issue], label)
        if row - horizon in opened:
            mixture.close(times[row - horizon])
        opened[row] = mixture.apply(known[row - 2:row + 1], request.at(times[row]), said.astype("float64"))
        seconds["mixture"] += timed * (stopwatch.process_time() - begun)
        begun = stopwatch.process_time()
        for issue, label in labels.items():
            interval.learn(opened[issue], label)
        interval.apply(opened[row])
        opened.pop(row - horizon, None)
        seconds["intervals"] += timed * (stopwatch.process_time() - begun)
    kept = {"frozen": 0, "intervals": _bytes(interval.state()),
            "mixture": _bytes({"experts": mixture.stream.state(), **mixture.state()})}
    return [{"method": name, "nodes": nodes, "horizon": horizon, "ms_per_step": 1e3 * spent / STEPS,
             "times_the_base": spent / seconds["frozen"], "kib_per_node": kept[name] / nodes / 1024,
             "seconds_to_begin": beginning if name == "mixture" else 0.0}
            for name, spent in seconds.items()]


def _bytes(tree: object) -> int:
    if isinstance(tree, dict):
        return sum(_bytes(one) for one in tree.values())
    if isinstance(tree, list | tuple):
        return sum(_bytes(one) for one in tree)
    return tree.nbytes if isinstance(tree, np.ndarray) else 8
