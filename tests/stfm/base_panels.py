"""A small panel with drivers and places, for the tests of the base model."""

import numpy as np
import pandas as pd
import xarray as xr

HOUR = np.timedelta64(1, "h")


def panel(steps: int = 800, nodes: int = 5, seed: int = 0) -> xr.Dataset:
    chance = np.random.default_rng(seed)
    stamps = pd.date_range("2021-03-01", periods=steps, freq="h")
    wave = np.sin(np.arange(steps) * 2 * np.pi / 24)[:, None] * chance.uniform(1, 3, nodes)
    values = 10 + wave + chance.normal(size=(steps, nodes)).cumsum(0) * 0.05
    return xr.Dataset(
        {"flow": (("time", "node"), values),
         "rain": (("time", "node"), chance.normal(size=(steps, nodes)), {"role": "past_driver", "lag": 6}),
         "plan": (("time", "node"), chance.normal(size=(steps, nodes)), {"role": "future_driver"})},
        {"time": stamps, "node": [f"n{place}" for place in range(nodes)],
         "lat": ("node", 50 + chance.random(nodes)), "lon": ("node", 5 + chance.random(nodes))},
        {"domain": "traffic", "kind": "sensor", "step": "1h"})
