"""Forecasts of where moving nodes will be."""

import numpy as np
import pytest
import xarray as xr

from stfm.base.model import Base
from stfm.base.positions import METRES, _summed, forecast_positions
from stfm.forecaster import ForecastError, Request

HOUR = np.timedelta64(1, "h")
STAMPS = np.datetime64("2024-01-01", "ns") + np.arange(400) * HOUR


def drifters(lat, lon) -> xr.Dataset:
    return xr.Dataset({"t": (("time", "node"), np.zeros_like(lat))},
                      {"time": STAMPS, "node": [f"d{place}" for place in range(lat.shape[1])],
                       "lat": (("time", "node"), lat), "lon": (("time", "node"), lon)},
                      {"domain": "sea", "kind": "point", "step": "1h"})


def test_steady_drift_goes_on_also_across_the_date_line_and_does_not_read_the_future():
    speed = np.array([0.01, 0.02, -0.01])
    lon = (179.0 + np.arange(400)[:, None] * speed + 180) % 360 - 180
    lat = np.full((400, 3), 30.0)
    asked = Request("t", STAMPS[350], 24, HOUR)
    told = forecast_positions(Base.shipped(), drifters(lat, lon), asked)
    wanted = 24 * speed * METRES * np.cos(np.radians(30.0))
    np.testing.assert_allclose(told["east"].sel(quantile=0.5).values[0, -1], wanted, rtol=0.35)
    assert np.abs(told["north"].sel(quantile=0.5)).max() < 0.2 * np.abs(wanted).max()
    lon[351:] = 0.0
    assert told.identical(forecast_positions(Base.shipped(), drifters(lat, lon), asked))


def test_nodes_that_stand_still_are_refused():
    still = drifters(np.zeros((400, 1)), np.zeros((400, 1))).assign_coords(lat=("node", [1.0]), lon=("node", [1.0]))
    with pytest.raises(ForecastError, match="nodes do not move"):
        forecast_positions(Base.shipped(), still, Request("t", STAMPS[-1], 3, HOUR))


def test_the_spread_of_sums_is_that_of_an_autoregressive_process():
    chance = np.random.default_rng(0)
    memory, leads = 0.7, 12
    noise = chance.normal(size=(60_000, leads))
    speed = np.zeros_like(noise)
    speed[:, 0] = noise[:, 0]
    for lead in range(1, leads):
        speed[:, lead] = memory * speed[:, lead - 1] + np.sqrt(1 - memory**2) * noise[:, lead]
    wanted = speed.cumsum(1).std(0)
    told = _summed(np.ones((1, leads, 1, 1)), np.array([memory]))[0, :, 0, 0]
    np.testing.assert_allclose(told, wanted, rtol=0.02)
