"""The forecasters that come along keep the contract."""

from __future__ import annotations

import xarray as xr

from terracast.stfm.bases import fit_base
from terracast.stfm.conformance import ForecasterConformance
from terracast.stfm.forecaster import Forecaster, Request
from terracast.stfm.seasonal_naive import SeasonalNaive


class TestSeasonalNaive(ForecasterConformance):
    def make(self, panel: xr.Dataset, request: Request) -> Forecaster:
        return SeasonalNaive()


class TestNativeModel(ForecasterConformance):
    def make(self, panel: xr.Dataset, request: Request) -> Forecaster:
        return fit_base("native", panel, request, steps=30, seed=1)


class TestShippedBase(ForecasterConformance):
    def make(self, panel: xr.Dataset, request: Request) -> Forecaster:
        return fit_base("shipped", panel, request, steps=2, seed=1)
