"""Known times of a NetCDF file stay with their rows when other rows are left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.readers import read


def test_known_times_stay_with_their_values_where_a_row_comes_twice(tmp_path: Path) -> None:
    time = pd.date_range("2024-01-01", periods=60, freq="h").insert(5, pd.Timestamp("2024-01-01T04:00"))
    late = pd.to_timedelta(np.arange(60) % 7 + 1, "h").insert(5, pd.Timedelta("5h"))
    panel = xr.Dataset({"no2": (("time", "node"), np.sin(time.hour.to_numpy())[:, None],
                                {"units": "ug m-3", "long_name": "NO2"}),
                        "known_time": (("time", "node"), (time + late).to_numpy()[:, None])},
                       {"time": time, "node": ["a"]}, {"domain": "air", "kind": "sensor", "step": "1h"})
    panel.to_netcdf(tmp_path / "air.nc")
    found = read(tmp_path / "air.nc", domain="air", step="1h", known_time="known_time")
    assert found.sizes["time"] == 60
    waits = found["known_time"].values[:, 0] - found["time"].values
    np.testing.assert_array_equal(waits, (np.arange(60) % 7 + 1) * np.timedelta64(1, "h"))
