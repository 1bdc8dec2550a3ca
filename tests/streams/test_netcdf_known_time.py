"""Known times of a NetCDF file stay with their rows when other rows are left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from streams.readers import read


def test_known_times_stay_with_their_values_where_a_row_is_off_the_clock(tmp_path: Path) -> None:
    time = pd.date_range("2024-01-01", periods=60, freq="h").insert(5, pd.Timestamp("2024-01-01T04:30"))
    values = np.arange(61.0)[:, None]
    known = (time + pd.Timedelta("2h")).to_numpy()[:, None]
    panel = xr.Dataset({"no2": (("time", "node"), values, {"units": "ug m-3", "long_name": "NO2"}),
                        "known_time": (("time", "node"), known)}, {"time": time, "node": ["a"]},
                       {"domain": "air", "kind": "sensor", "step": "1h"})
    panel.to_netcdf(tmp_path / "air.nc")
    found = read(tmp_path / "air.nc", domain="air", step="1h", known_time="known_time")
    kept = np.isfinite(found["no2"].values[:, 0])
    waits = found["known_time"].values[kept, 0] - found["time"].values[kept]
    assert kept.sum() >= 60 and (waits == np.timedelta64(2, "h")).all()
