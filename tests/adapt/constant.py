"""A forecaster that says the same for ever."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from terracast.stfm.forecaster import Capabilities, Request, as_forecast


@dataclass(frozen=True)
class Constant:
    """Says the same for ever."""

    value: float

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(history=1)

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        nodes, levels = context.sizes["node"], np.linspace(-1.6, 1.6, len(request.quantiles))
        values = np.broadcast_to(self.value + levels, (request.horizon, nodes, len(levels)))
        return as_forecast(values, context, request)
