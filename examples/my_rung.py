"""A way to adapt of your own: a constant shift for each node, learned from forecasts whose labels have come."""

# --8<-- [start:wrapper]
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr

from terracast.adapt.evaluation.scores import level
from terracast.adapt.rungs.pairs import matured
from terracast.adapt.rungs.rung import Adapted, RungError, judged
from terracast.adapt.rungs.serialization import base_of
from terracast.adapt.rungs.wrappers import config_of, weights_of
from terracast.stfm.forecaster import Capabilities, Forecaster, Request


@dataclass(frozen=True)
class Shifted:
    """A forecaster whose quantiles are moved by ``shift`` (node,), in units of the target."""

    base: Forecaster
    shift: np.ndarray

    @property
    def capabilities(self) -> Capabilities:
        """Those of the base."""
        return self.base.capabilities

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        """The base's forecast, moved."""
        said = self.base.forecast(context, request)
        moved = said[request.target] + xr.DataArray(self.shift, dims="node").astype("float32")
        return said.assign({request.target: moved.transpose(*said[request.target].dims)})

    def config(self) -> dict[str, object]:
        """JSON: the name that leads to this class, and the base's own config."""
        return {"forecaster": "my_rung:Shifted", "base": config_of(self.base)}

    def weights(self) -> Mapping[str, np.ndarray]:
        """What was learned, and the base's own weights."""
        return {"shift": self.shift, **weights_of(self.base)}

    @classmethod
    def build(cls, config: Mapping[str, object], weights: Mapping[str, np.ndarray]) -> "Shifted":
        """The same forecaster again."""
        return cls(base_of(config, weights), weights["shift"])
# --8<-- [end:wrapper]


# --8<-- [start:rung]
@dataclass(frozen=True)
class MeanShift:
    """Learns the mean error of each node, and lets held-back pairs judge it."""

    name: ClassVar[str] = "mean-shift"
    paper: ClassVar[str] = "bias correction"
    cost: ClassVar[str] = "one forecast for each past issue time, about 1 ms each a node"
    expiry: ClassVar[np.timedelta64 | None] = np.timedelta64(28, "D")
    seconds: ClassVar[float] = 5.0  # about what an act costs
    horizons: ClassVar[int] = 7  # of labels from after a change

    def adapt(self, forecaster: Forecaster, known: xr.Dataset, request: Request) -> Adapted:
        """``known``: the panel as known now; rows after ``request.issue_time`` are never read."""
        pairs = matured(known, request)  # past issue times with labels; the newest fifth is held back
        if len(pairs.learned) < 8:
            raise RungError(f"{len(pairs.learned)} matured issue times", where=self.name, expected="8 or more",
                            remedy="wait for more labels")
        median = level(pairs.forecasts(forecaster, pairs.learned), request.quantiles, 0.5)
        shift = np.nanmean(pairs.labels(pairs.learned) - median, axis=(0, 1))
        return judged(self, forecaster, Shifted(forecaster, shift), known, request, parameters=len(shift),
                      why=f"shifts of up to {np.abs(shift).max():.1f}", pairs=pairs)
# --8<-- [end:rung]


# --8<-- [start:check]
from terracast.adapt.rungs.rung import Rung, attempt
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.streams.city.city import simulate_city

panel = simulate_city(seed=7, days=120, drifts=()).panels["air"]
request = Request("no2", panel["time"].values[-1], horizon=24, step=np.timedelta64(1, "h"))
stale = Shifted(SeasonalNaive(), np.full(panel.sizes["node"], -8.0))  # a forecaster that has become too low

assert isinstance(MeanShift(), Rung)
adapted = attempt(MeanShift(), stale, panel, request)
print("kept" if adapted.kept else "dropped", "-", adapted.receipt.why)
assert adapted.undo is stale  # what it was given is unchanged
# --8<-- [end:check]
