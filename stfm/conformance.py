"""What every forecaster must keep, as tests to inherit: the contract of ``stfm.forecaster``, and to be written.

It needs pytest, which Terracast itself does not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from terracast.stfm import serialization as shelf
from terracast.stfm.forecaster import Capabilities, Forecaster, Request, Trainable
from terracast.streams.errors import TerracastError

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2021-01-01", "ns")
LENGTH, NODES = 480, ("a", "b", "ü")
QUANTILES = (0.1, 0.5, 0.9)


def hourly_panel() -> xr.Dataset:
    """Twenty days of three nodes with a daily cycle, levels and noise of their own; a gap at one of them."""
    hours, random = np.arange(LENGTH)[:, None], np.random.default_rng(7)
    values = [30.0, 50.0, 8.0] + np.sin(2 * np.pi * hours / 24) * [8.0, 15.0, 2.0]
    values += random.normal(size=(LENGTH, 3)) * [2.0, 4.0, 0.5]
    values[100:110, 1] = np.nan
    return xr.Dataset({"no2": (("time", "node"), values, {"units": "ug m-3"})},
                      {"time": START + hours[:, 0] * HOUR, "node": list(NODES), "lat": ("node", [52.0, 52.1, 52.2]),
                       "lon": ("node", [13.0, 13.1, 13.2])}, {"domain": "air", "kind": "sensor", "step": "1h"})


class ForecasterConformance(ABC):
    """Inherit it in a test module, as ``class TestMine(ForecasterConformance)``, and say how the forecaster is made.

    Attributes
    ----------
    panel : Dataset
        Fixture: twenty days of three nodes. Replace it where a forecaster is made for another panel.
    request_ : Request
        Fixture: six hours of that panel.
    """

    @abstractmethod
    def make(self, panel: xr.Dataset, request: Request) -> Forecaster:
        """The forecaster, fitted to ``panel`` where it is one that is fitted."""

    @pytest.fixture(scope="class")
    @classmethod
    def panel(cls) -> xr.Dataset:
        return hourly_panel()

    @pytest.fixture(scope="class")
    @classmethod
    def request_(cls, panel: xr.Dataset) -> Request:
        return Request("no2", panel["time"].values[400], 6, HOUR, QUANTILES)

    @pytest.fixture(scope="class")
    @classmethod
    def forecaster(cls, panel: xr.Dataset, request_: Request) -> Forecaster:
        return cls().make(panel.isel(time=slice(401)), request_)

    def test_it_is_a_forecaster_with_capabilities(self, forecaster: Forecaster) -> None:
        assert isinstance(forecaster, Forecaster) and isinstance(forecaster.capabilities, Capabilities)
        assert forecaster.capabilities.history >= 1

    def test_every_node_and_lead_has_finite_rising_quantiles(self, forecaster: Forecaster, panel: xr.Dataset,
                                                             request_: Request) -> None:
        made = forecaster.forecast(panel, request_)
        values = made["no2"]
        assert values.dims == ("issue_time", "lead", "node", "quantile") and values.shape == (1, 6, 3, 3)
        assert np.isfinite(values).all() and (np.diff(values.values, axis=3) >= 0).all()
        assert list(made["node"].values) == list(NODES) and values.attrs["units"] == "ug m-3"
        np.testing.assert_array_equal(made["valid_time"].values[0], request_.valid_times)

    def test_it_is_in_the_units_of_each_node(self, forecaster: Forecaster, panel: xr.Dataset,
                                             request_: Request) -> None:
        median = forecaster.forecast(panel, request_)["no2"].sel(quantile=0.5)[0]
        low, high = panel["no2"].min("time"), panel["no2"].max("time")
        assert ((median > low - (high - low)) & (median < high + (high - low))).all()

    def test_nothing_known_after_the_issue_time_is_read(self, forecaster: Forecaster, panel: xr.Dataset,
                                                        request_: Request) -> None:
        poisoned = panel.copy(deep=True)
        poisoned["no2"][401:] = 1e9
        cut = panel.isel(time=slice(401))
        made = forecaster.forecast(panel, request_)
        assert forecaster.forecast(poisoned, request_).identical(made)
        assert forecaster.forecast(cut, request_).identical(made)

    def test_it_answers_the_same_again_and_leaves_the_context_alone(self, forecaster: Forecaster, panel: xr.Dataset,
                                                                    request_: Request) -> None:
        context = panel.copy(deep=True)
        assert forecaster.forecast(context, request_).identical(forecaster.forecast(context, request_))
        assert context.identical(panel)

    def test_a_silent_node_is_forecast(self, forecaster: Forecaster, panel: xr.Dataset,
                                                 request_: Request) -> None:
        silent = panel.copy(deep=True)
        silent["no2"][380:, 1] = np.nan
        assert np.isfinite(forecaster.forecast(silent, request_)["no2"]).all()

    def test_a_shorter_horizon_may_be_asked(self, forecaster: Forecaster, panel: xr.Dataset,
                                            request_: Request) -> None:
        shorter = Request("no2", request_.issue_time, 2, HOUR, QUANTILES)
        assert forecaster.forecast(panel, shorter)["no2"].sizes["lead"] == 2

    def test_where_nothing_is_known_it_refuses_in_one_line(self, forecaster: Forecaster, panel: xr.Dataset,
                                                           request_: Request) -> None:
        with pytest.raises(TerracastError) as refused:
            forecaster.forecast((panel * np.nan).assign_coords(node=["p", "q", "r"]).assign_attrs(panel.attrs),
                                request_)
        assert "\n" not in str(refused.value)

    def test_read_back_it_forecasts_the_same_to_the_bit(self, forecaster: Forecaster, panel: xr.Dataset,
                                                             request_: Request, tmp_path: Path) -> None:
        again = shelf.load(shelf.save(forecaster, tmp_path))  # type: ignore[arg-type]
        assert type(again) is type(forecaster)
        assert again.forecast(panel, request_).identical(forecaster.forecast(panel, request_))

    def test_trained_further_a_copy_is_made(self, forecaster: Forecaster, panel: xr.Dataset,
                                            request_: Request) -> None:
        if not isinstance(forecaster, Trainable):
            pytest.skip("it cannot be trained further")
        before = forecaster.forecast(panel, request_)
        after = forecaster.continue_on(panel.isel(time=slice(401)), request_, steps=2, seed=1)
        assert isinstance(after, Trainable)
        assert np.isfinite(after.forecast(panel, request_)["no2"]).all()
        assert forecaster.forecast(panel, request_).identical(before)
