"""The MLP forecaster behind the Forecaster interface: fit, continue, forecast, and what rebuilds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, ClassVar, cast

import numpy as np
import pandas as pd
import torch
import xarray as xr

from terracast.stfm.forecaster import Capabilities, ForecastError, Request, as_forecast, as_forecasts, at_quantiles
from terracast.stfm.mlp.design import Design, check_columns
from terracast.stfm.mlp.fitted import Fitted
from terracast.stfm.mlp.fitting import RATE, continued, fitted_to, new_network
from terracast.stfm.mlp.scales import Scale, Scales
from terracast.stfm.mlp.training import TrainingEffort
from terracast.stfm.mlp.windows import InputLayout
from terracast.stfm.regular_grid import slots_from


class NativeModel:
    """A global quantile forecaster for any panel: trained on some nodes, good for others.

    Inputs of a node: its own last ``lookback`` steps relative to its last known value, the mean of the network over
    the same steps, gaps as gaps, drivers at a few lags, calendar circles. All in units of the node (``Scales``), so
    that weights do not depend on nodes. Trained by pinball loss on random issue times; values that a live forecast
    would not have (``delay``) are hidden in training as well. Horizons up to the trained one, quantiles within the
    trained range. A forecast of 12 nodes takes a few milliseconds.

    >>> stamps = pd.date_range("2020-01-01", periods=400, freq="h")
    >>> wave = 10 + np.sin(np.arange(400) * 2 * np.pi / 24)[:, None] * [1.0, 5.0]
    >>> panel = xr.Dataset({"pm25": (("time", "node"), wave)}, {"time": stamps, "node": ["a", "b"]},
    ...                    {"domain": "air", "kind": "sensor", "step": "1h"})
    >>> request = Request("pm25", np.datetime64("2020-01-17"), 6, np.timedelta64(1, "h"), (0.1, 0.5, 0.9))
    >>> model = NativeModel.fit(panel, request, steps=20, seed=1, lookback=24)
    >>> dict(model.forecast(panel, request).sizes)
    {'issue_time': 1, 'lead': 6, 'node': 2, 'quantile': 3}
    """

    name: ClassVar[str] = "native"

    def __init__(self, fitted: Fitted) -> None:
        self.fitted = fitted

    @property
    def capabilities(self) -> Capabilities:
        """History: the rows that are read; any kind of panel."""
        layout = self.fitted.design.layout
        return Capabilities(history=layout.reach, differentiable=True, accepts_drivers=bool(layout.drivers))

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return sum(tensor.numel() for tensor in self.fitted.network.parameters())

    @classmethod
    def fit(cls, panel: xr.Dataset, request: Request, *, drivers: tuple[str, ...] = (), steps: int = 800,
            seed: int = 0, delay: pd.Timedelta | None = None, lookback: int = 96,
            progress: Callable[[float], None] | None = None) -> NativeModel:
        """Fit anew on ``panel`` (all of it known): ``request`` says target, horizon, step and quantiles.

        ``drivers`` are variables of the panel; attr ``role`` = ``future_driver`` lets rows after the issue time be
        read, attr ``lag`` (steps) adds the steps that tell of a lead at that lag. ``delay`` is how late values become
        known (default one step). ``progress`` hears the share that is done. ``request.issue_time`` is not read.
        O(steps): about 8 s per 1000 steps on one core, whatever the panel's size. Settings were chosen on the last
        months of one year of hourly PM2.5.
        """
        return cls(fitted_to(panel, request, drivers, TrainingEffort(steps, RATE, seed), delay, lookback, progress))

    def continue_on(self, panel: xr.Dataset, request: Request, *, steps: int = 300, seed: int = 0,
                    rate: float = 3e-4) -> NativeModel:
        """A copy trained further on ``panel``, never worse than self on the panel's newest fifth.

        The newest fifth of the issue times is held out; the weights of the best of six examinations (1024 windows) win,
        and the untouched copy competes too. Nodes new to the model join its scales. Self is unchanged.
        """
        return NativeModel(continued(self.fitted, panel, request, TrainingEffort(steps, rate, seed)))

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        """Forecast every node of ``context``: rows after the issue time are not read, but for future drivers, nor
        are the newest ``delay`` steps (fit with the source's own delay).

        A silent node gets the width of the network, an unseen one is measured on its own context. Raises
        ``ForecastError`` for another target or step, a longer horizon, quantiles outside the trained range, and a
        context of unseen nodes in which nothing is known.
        """
        fitted, layout, nodes = self.fitted, self.fitted.design.layout, context["node"].values
        fitted.design.check(request)
        check_columns(context, request.target, ())
        table, scale = fitted.seen_at(context, request)
        z = fitted.quantiles(table, np.full(len(nodes), layout.reach - 1), np.arange(len(nodes)))
        values = scale.back(z[:, :request.horizon].transpose(1, 2, 0)).transpose(0, 2, 1)
        values = fitted.steady(values, table, layout.reach - 1, nodes, scale.centre)
        return as_forecast(at_quantiles(values, layout.quantiles, request.quantiles), context, request)

    def forecast_many(self, panel: xr.Dataset, request: Request, issue_times: np.ndarray) -> xr.Dataset:
        """Forecasts at many issue times from one panel that is known whole: for benches and replays.

        Each issue time sees what ``forecast`` would have seen: the newest ``delay`` steps are hidden. Nodes unseen
        in training are measured on what was known at the first issue time. O(issue times × nodes), about 10 µs each.
        """
        fitted, layout = self.fitted, self.fitted.design.layout
        fitted.design.check(request)
        step = request.step.astype("timedelta64[ns]")
        issues = np.asarray(issue_times).astype("datetime64[ns]")
        table, scale, first = fitted.whole(panel, np.datetime64(issues.min() - fitted.design.delay * step, "ns"))
        rows = slots_from(issues, first, step)
        if rows.min() < layout.reach - 1 or rows.max() >= len(table.target) - layout.horizon:
            raise ForecastError("an issue time is outside the panel", where=request.target,
                                expected="issue times between the panel's first and last stamp",
                                remedy="give a panel that spans them")
        nodes = panel["node"].values
        every = np.repeat(rows, len(nodes)), np.tile(np.arange(len(nodes)), len(rows))
        z = fitted.quantiles(table, *every)[:, :request.horizon]
        z = z.reshape(len(rows), len(nodes), *z.shape[1:])
        values = scale.back(z.transpose(0, 2, 3, 1)).transpose(0, 1, 3, 2)
        if fitted.scales.constant(nodes).any():
            values = np.stack([fitted.steady(part, table, row, nodes, scale.centre)
                               for part, row in zip(values, rows, strict=True)])
        return as_forecasts(at_quantiles(values, layout.quantiles, request.quantiles), panel, request, issues)

    def config(self) -> dict[str, object]:
        """JSON-ready: the design and the scales of nodes and drivers."""
        held = self.fitted
        return {"forecaster": self.name, "design": asdict(held.design), "scales": asdict(held.scales),
                "driver_scale": [held.driver_scale.centre.tolist(), held.driver_scale.width.tolist()]}

    def weights(self) -> Mapping[str, np.ndarray]:
        """The network's parameters by name, float32."""
        return {name: tensor.detach().numpy().copy() for name, tensor in self.fitted.network.state_dict().items()}

    @classmethod
    def build(cls, config: Mapping[str, object], weights: Mapping[str, np.ndarray]) -> NativeModel:
        """Rebuild what ``config`` and ``weights`` describe; ``stfm.serialization`` says what may go wrong."""
        raw = cast(dict[str, Any], dict(config))
        given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value
                 for key, value in raw["design"]["layout"].items()}
        design = Design(**{**raw["design"], "layout": InputLayout(**given)})
        by_node = {name: (float(pair[0]), float(pair[1])) for name, pair in raw["scales"]["by_node"].items()}
        centre, width = (np.array(part, dtype="float64") for part in raw["driver_scale"])
        network = new_network(design, seed=0)
        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
        return cls(Fitted(design, Scales(by_node, float(raw["scales"]["typical"])), Scale(centre, width), network))
