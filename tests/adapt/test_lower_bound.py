"""What is served of rain or cases is never below zero; of temperatures it may be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.adapt.candidate import Candidate
from terracast.stfm.forecaster import Request
from terracast.stfm.seasonal_naive import SeasonalNaive

HOUR = np.timedelta64(1, "h")


@pytest.mark.parametrize(("units", "bounded"), [("mm", True), ("degC", False)])
def test_forecasts_keep_a_bound_that_all_values_keep(units: str, bounded: bool) -> None:
    stamps = pd.date_range("2024-01-01", periods=24 * 20, freq="h")
    values = np.round(np.maximum(np.random.default_rng(0).normal(size=(len(stamps), 2)), 0.0), 1)
    panel = xr.Dataset({"x": (("time", "node"), values, {"units": units, "long_name": "x"})},
                       {"time": stamps, "node": ["a", "b"]}, {"domain": "d", "kind": "sensor", "step": "1h"})
    now = stamps.to_numpy()[-1]
    request = Request("x", now, 12, HOUR)
    raw = SeasonalNaive().forecast(panel, request)["x"].values
    served = Candidate("1", SeasonalNaive(), None, request).issue(panel, now, shadow=False)["x"].values
    assert raw.min() < 0
    assert served.min() == 0.0 if bounded else served.min() < 0
    np.testing.assert_array_equal(served[raw >= 0], raw[raw >= 0])
