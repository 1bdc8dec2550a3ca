"""What an MLP forecaster was made for, and which panels and requests it therefore accepts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from terracast.stfm.forecaster import ForecastError, Request, check_quantiles
from terracast.stfm.mlp.windows import InputLayout

MOST_LAGGED = 12  # steps read on account of drivers' lags


@dataclass(frozen=True)
class Design:
    """Size of the network and what it was made for; ``delay`` in steps."""

    layout: InputLayout
    target: str
    step: str
    delay: int = 1
    width: int = 64
    depth: int = 1
    dropout: float = 0.4

    def check(self, request: Request) -> None:
        """Refuse what was not trained: another target or step, a longer horizon, quantiles out of range."""
        if request.target != self.target:
            raise ForecastError(f"target is {request.target!r}", where="native model",
                                expected=f"{self.target!r}, what it was fitted to", remedy="fit a model to it")
        if pd.Timedelta(request.step) != pd.Timedelta(self.step):
            raise ForecastError(f"step is {pd.Timedelta(request.step)}", where=request.target,
                                expected=f"the trained step {self.step}", remedy="resample, or fit anew")
        if not 1 <= request.horizon <= self.layout.horizon:
            raise ForecastError(f"horizon is {request.horizon} steps", where=request.target,
                                expected=f"1 to {self.layout.horizon}, the trained horizon",
                                remedy="fit with a longer horizon")
        check_quantiles(request.quantiles, self.layout.quantiles, request.target, "fit with these quantiles")


def layout_for(panel: xr.Dataset, request: Request, drivers: tuple[str, ...], lookback: int) -> InputLayout:
    """The layout for a panel: roles and lags from the drivers' attrs, the day of year from two years on."""
    future = tuple(name for name in drivers if panel[name].attrs.get("role") == "future_driver")
    past = tuple(name for name in drivers if name not in future)
    lags = {int(panel[name].attrs["lag"]) for name in drivers if "lag" in panel[name].attrs}
    telling = sorted({lag - lead for lag in lags for lead in range(1, request.horizon + 1) if lag >= lead})
    telling = telling[::max(1, -(-len(telling) // MOST_LAGGED))]  # what a lag tells of lead k is lag - k steps old
    offsets = tuple(sorted({*InputLayout.offsets, *telling}))
    span = np.ptp(panel["time"].values.astype("datetime64[ns]").astype("int64")) if panel.sizes["time"] else 0
    return InputLayout(lookback, request.horizon, tuple(sorted(request.quantiles)), past, future, offsets,
                       yearly=bool(span >= pd.Timedelta("730D").value))


def check_columns(panel: xr.Dataset, target: str, drivers: tuple[str, ...]) -> None:
    """Refuse an empty panel and one without the target or a driver."""
    for name in (target, *drivers):
        if name not in panel.data_vars:
            raise ForecastError(f"no variable {name!r}", where="panel given to the native model",
                                expected="one of " + ", ".join(map(str, panel.data_vars)),
                                remedy="name a variable of the panel")
    if not panel.sizes["time"] or not panel.sizes["node"]:
        raise ForecastError("the panel is empty", where=target, expected="at least one stamp and one node",
                            remedy="give it history")
