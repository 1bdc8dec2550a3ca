"""Small networks, tasks and panels that tests of rungs change a base with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
import xarray as xr

from terracast.adapt.rungs.adapter import Adapter
from terracast.adapt.rungs.tasks import Task, task
from terracast.stfm.base.network import BaseNetwork, Size
from terracast.stfm.forecaster import Request

HOUR = np.timedelta64(1, "h").astype("timedelta64[ns]")
SMALL = Size(width=16, layers=2, heads=2, inducing=2)


def network(seed: int = 0) -> BaseNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = BaseNetwork(SMALL).eval()
        for parameter in made.parameters():  # heads begin at zero: give every path something to say
            parameter.data += 0.05 * torch.randn(parameter.shape)
    return made


def small_task(number: int = 0) -> Task:
    return task(3, number, steps=400)


def random_adapter(made: BaseNetwork, size: float = 0.05) -> Adapter:
    chance = torch.Generator().manual_seed(1)
    return Adapter({name: value + size * torch.randn(value.shape, generator=chance)
                    for name, value in Adapter.zero(made).values.items()})


def panel(days: int = 9, nodes: int = 2, seed: int = 0, lift: float = 0.0) -> xr.Dataset:
    draws = np.random.default_rng(seed)
    stamps = pd.date_range("2024-01-01", periods=24 * days, freq="h")
    wave = np.sin(np.arange(len(stamps)) * 2 * np.pi / 24)[:, None] * np.linspace(1, 2, nodes)
    values = 10 + lift + wave + 0.3 * draws.normal(size=(len(stamps), nodes))
    return xr.Dataset({"pm25": (("time", "node"), values, {"units": "1"})},
                      {"time": stamps, "node": [f"n{node}" for node in range(nodes)]},
                      {"domain": "air", "kind": "sensor", "step": "1h"})


def request(known: xr.Dataset, row: int = -1, horizon: int = 6) -> Request:
    return Request("pm25", known["time"].values[row], horizon, HOUR)
