"""What was fitted: the design, the units of nodes and drivers, and the network; and a panel seen through them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
import xarray as xr

from terracast.stfm.forecaster import Request
from terracast.stfm.mlp.design import Design
from terracast.stfm.mlp.network import Network
from terracast.stfm.mlp.scales import Scale, Scales
from terracast.stfm.mlp.training import TrainingSample, unknown_yet
from terracast.stfm.mlp.windows import InputTable, inputs_at, table_of
from terracast.stfm.regular_grid import on_clock, slots_from

MEASURED = 1024  # rows of context on which a new node is measured
CHUNK = 8192  # windows that go through the network at a time


@dataclass(frozen=True)
class Fitted:
    """A design, the scales of nodes and drivers, and the network in evaluation mode."""

    design: Design
    scales: Scales
    driver_scale: Scale
    network: Network

    def with_network(self, network: Network) -> Fitted:
        """The same with other weights."""
        return replace(self, network=network.eval())

    def whole(self, panel: xr.Dataset, known_until: np.datetime64) -> tuple[InputTable, Scale, np.datetime64]:
        """The whole panel on its clock, ``reach`` rows of nothing before it and ``horizon`` after it; its scale
        from values up to ``known_until``; and the clock's first stamp."""
        layout, step = self.design.layout, pd.Timedelta(self.design.step).to_timedelta64()
        stamps = panel["time"].values.astype("datetime64[ns]")
        first = stamps.min() - layout.reach * step
        slots = slots_from(stamps, first, step)
        length = int(slots.max()) + 1 + layout.horizon
        times = first + np.arange(length) * step
        target = on_clock(panel, self.design.target, slots, length)
        scale = self.scales.of(panel["node"].values, target[times <= known_until], self.design.target)
        return self._table(panel, target, slots, scale, times), scale, first

    def seen_at(self, context: xr.Dataset, request: Request) -> tuple[InputTable, Scale]:
        """What a forecast at the issue time reads, the issue time's own row being row ``reach - 1``."""
        layout = self.design.layout
        issue, step = request.issue_time.astype("datetime64[ns]"), request.step.astype("timedelta64[ns]")
        first = issue - (layout.reach - 1) * step
        slots = slots_from(context["time"].values, first, step)
        nodes = context["node"].values
        target = np.full((layout.reach + layout.horizon, len(nodes)), np.nan)
        target[:layout.reach] = on_clock(context, request.target, slots, layout.reach)
        scale = self.scales.of(nodes, _newest(context, request.target, slots < layout.reach), request.target)
        return self._table(context, target, slots, scale, first + np.arange(len(target)) * step), scale

    def training_window(self, panel: xr.Dataset) -> TrainingSample:
        """Every stamp of the panel as an issue time."""
        table, layout = self.whole(panel, np.datetime64(panel["time"].values.max(), "ns"))[0], self.design.layout
        return TrainingSample(table, layout, self.design.delay, layout.reach, len(table.target) - 1 - layout.horizon)

    def quantiles(self, table: InputTable, rows: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Run windows through the network: z quantiles (window, horizon, quantile), float64.

        Hides the newest ``delay`` steps as training did, known or not: the network never learnt to read them.
        """
        layout, parts = self.design.layout, []
        with torch.inference_mode():
            for start in range(0, len(rows), CHUNK):
                row = torch.from_numpy(rows[start:start + CHUNK])
                node = torch.from_numpy(nodes[start:start + CHUNK])
                hidden = unknown_yet(layout, self.design.delay, len(row))
                parts.append(self.network(*inputs_at(table, layout, row, node, hidden)).numpy())
        return np.concatenate(parts).astype("float64")

    def steady(self, values: np.ndarray, table: InputTable, row: int, nodes: np.ndarray,
               centre: np.ndarray) -> np.ndarray:
        """Of a node that never varied, neither in training nor in what is seen now, the median is that one value.

        ``values`` (lead, node, quantile); ``row``: that of the issue time in the table. Only nodes that never varied
        cost anything.
        """
        layout = self.design.layout
        levels = np.array(layout.quantiles)
        for node in np.flatnonzero(self.scales.constant(nodes)):
            seen = table.target[row + 1 - layout.lookback:row + 1 - self.design.delay, node].numpy()
            if (seen[np.isfinite(seen)] == 0).all():
                middle = np.array([np.interp(0.5, levels, one) for one in values[:, node]])
                values[:, node] += (centre[node] - middle)[:, None]
        return values

    def _table(self, panel: xr.Dataset, target: np.ndarray, slots: np.ndarray, scale: Scale,
               times: np.ndarray) -> InputTable:
        layout = self.design.layout
        drivers = [on_clock(panel, name, slots, len(target)) for name in layout.drivers]
        held = np.stack(drivers) if drivers else np.empty((0, *target.shape))
        return table_of(target, held, scale, self.driver_scale, times, layout.yearly)


def _newest(context: xr.Dataset, target: str, known: np.ndarray) -> np.ndarray:
    """Up to MEASURED rows of the context that are not after the issue time, for nodes not seen in training."""
    variable = context[target]
    values = variable.values if variable.dims[0] == "time" else variable.values.T
    return np.where(np.isfinite(newest := values[np.flatnonzero(known)[-MEASURED:]]), newest, np.nan)
