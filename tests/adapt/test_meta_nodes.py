"""A start from a stream's other nodes: reads only what is told, helps a like node, and is the base where it cannot."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from terracast.adapt.rungs.meta_nodes import node_tasks, start_of_nodes
from terracast.stfm.base.model import Base
from terracast.stfm.forecaster import Request

HOUR = np.timedelta64(1, "h")


def _known(rows: int, nodes: int = 3) -> xr.Dataset:
    draws = np.random.default_rng(0)
    hours = np.arange(rows)[:, None]
    bumps = (hours % 24 == 8) * 3.0 + (hours % 24 == 17) * 2.0  # narrow peaks, as a smooth base does not expect
    values = bumps + 0.1 * draws.normal(size=(rows, nodes))
    times = np.datetime64("2020-01-01", "ns") + np.arange(rows) * HOUR
    return xr.Dataset({"x": (("time", "node"), values, {"units": "1"})},
                      {"time": times, "node": [f"n{node}" for node in range(nodes)]},
                      {"domain": "stream", "kind": "sensor", "step": "1h"})


def test_start_is_no_worse_on_what_was_held_back_and_zero_without_tasks() -> None:
    base, known = Base.shipped(), _known(24 * 14)
    request = Request("x", known["time"].values[-1], 12, HOUR)
    tasks = node_tasks(base, known, request, rows=24 * 4, nodes=1, times=3)
    assert len(tasks) == 3
    start = start_of_nodes(base, tasks, rounds=4, together=2)
    held = tasks[2:]
    told = [one.query.mean(start.values) / one.bare for one in held]
    assert np.mean(np.log(told)) <= 1e-9
    again = start_of_nodes(base, tasks, rounds=4, together=2)
    assert all(torch.equal(value, again.values[name]) for name, value in start.values.items())
    assert node_tasks(base, known.isel(time=slice(100)), request, rows=24 * 4) == []
    nothing = start_of_nodes(base, [])
    weights = nothing.weights(base.network)
    assert all(torch.equal(weights[name], value) for name, value in base.network.named_parameters())
