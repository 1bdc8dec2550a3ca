"""A forecaster of your own: the same hour of the last days, with their spread as its quantiles."""

# --8<-- [start:forecaster]
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr

from terracast.stfm.forecaster import Capabilities, Forecaster, ForecastError, Request, as_forecast


@dataclass(frozen=True)
class LastDays:
    """Quantiles of the values at the same hour on the last ``days`` days; for hourly data and leads up to a day."""

    days: int = 14
    name: ClassVar[str] = "last-days"

    @property
    def capabilities(self) -> Capabilities:
        """How many steps of context it wants."""
        return Capabilities(history=24 * self.days)

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        """Every node of ``context``, from rows up to the issue time alone."""
        known = context.sel(time=slice(None, request.issue_time))
        values = known[request.target].transpose("time", "node").values[-24 * self.days:]
        if len(values) < 48 or request.horizon > 24:
            raise ForecastError(f"{len(values)} steps of history", where=request.target,
                                expected="two days of hours, and leads up to 24 hours",
                                remedy="give more history or a shorter horizon")
        days = values[len(values) % 24:].reshape(-1, 24, values.shape[1])
        levels = np.nanquantile(days, request.quantiles, axis=0)  # (quantile, lead, node)
        return as_forecast(levels[:, :request.horizon].transpose(1, 2, 0), context, request)

    def config(self) -> dict[str, object]:
        """What rebuilds it, as JSON; ``forecaster`` names the builder."""
        return {"forecaster": self.name, "days": self.days}

    def weights(self) -> Mapping[str, np.ndarray]:
        """Named arrays, kept as safetensors; none here."""
        return {}

    @classmethod
    def build(cls, config: Mapping[str, object], weights: Mapping[str, np.ndarray]) -> "LastDays":
        """From what ``config`` and ``weights`` said."""
        return cls(int(str(config["days"])))
# --8<-- [end:forecaster]


# --8<-- [start:check]
from terracast.streams.city.city import simulate_city

panel = simulate_city(seed=7, days=30, drifts=()).panels["air"]
request = Request("no2", panel["time"].values[24 * 25], horizon=24, step=np.timedelta64(1, "h"))
forecast = LastDays().forecast(panel, request)
assert isinstance(LastDays(), Forecaster)

poisoned = panel.copy(deep=True)
poisoned["no2"].loc[{"time": panel["time"] > request.issue_time}] = 1e9  # what is known later must change nothing
assert LastDays().forecast(poisoned, request).identical(forecast)

rebuilt = LastDays.build(LastDays(7).config(), LastDays(7).weights())
assert rebuilt == LastDays(7)
print("keeps the contract")
# --8<-- [end:check]
