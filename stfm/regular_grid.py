"""A panel's rows on a regular grid of stamps: what a forecaster reads step by step, gaps as gaps."""

from __future__ import annotations

import numpy as np
import xarray as xr


def on_clock(panel: xr.Dataset, name: str, slots: np.ndarray, length: int) -> np.ndarray:
    """Variable ``name`` as an array (length, node): row i of the panel at slot ``slots[i]``, NaN elsewhere."""
    grid = np.full((length, panel.sizes["node"]), np.nan)
    if name in panel:
        variable = panel[name]
        values = variable.values if variable.dims[0] == "time" else variable.values.T
        inside = (slots >= 0) & (slots < length)
        grid[slots[inside]] = values[inside]
    return grid


def slots_from(times: np.ndarray, first: np.datetime64, step: np.timedelta64) -> np.ndarray:
    """Slot of each stamp on the clock that starts at ``first``; off-clock stamps go to the next slot, never back.

    >>> stamps = np.array(["2020-01-01T00:00", "2020-01-01T00:30"], "datetime64[ns]")
    >>> slots_from(stamps, np.datetime64("2020-01-01", "ns"), np.timedelta64(1, "h")).tolist()
    [0, 1]
    """
    away = (times.astype("datetime64[ns]") - first.astype("datetime64[ns]")).astype("int64")
    slots: np.ndarray = -(-away // int(step.astype("timedelta64[ns]").astype("int64")))
    return slots
