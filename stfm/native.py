"""The native model: one small torch network shared by all nodes, trained in under a minute on one CPU core."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np
import pandas as pd
import torch
import xarray as xr

from stfm.forecaster import Capabilities, ForecastError, Request, as_forecast
from stfm.network import Network
from stfm.scales import Scale, Scales, completed, measure
from stfm.training import Effort, Lesson, examined, train, training, unknown_yet
from stfm.windows import Layout, Table, inputs_at, on_clock, slots_from, table_of

HELD_OUT = 0.2  # the newest share of a panel that ``continue_on`` is examined on
MOST_LAGGED = 12  # steps read on account of drivers' lags
EXAMINATIONS = 6
MEASURED = 1024  # rows of context on which a new node is measured
CHUNK = 8192  # windows that go through the network at a time


@dataclass(frozen=True)
class Design:
    """Size of the network and what it was made for; ``delay`` in steps."""

    layout: Layout
    target: str
    step: str
    delay: int = 1
    width: int = 64
    depth: int = 1
    dropout: float = 0.4


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

    def __init__(self, design: Design, scales: Scales, driver_scale: Scale, network: Network) -> None:
        self.design = design
        self._scales = scales
        self._driver_scale = driver_scale
        self._network = network.eval()

    @property
    def capabilities(self) -> Capabilities:
        """History: the rows that are read; any kind of panel."""
        return Capabilities(history=self.design.layout.reach, differentiable=True,
                            accepts_drivers=bool(self.design.layout.drivers))

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return sum(tensor.numel() for tensor in self._network.parameters())

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
        _check_columns(panel, request.target, drivers)
        step = pd.Timedelta(request.step)
        late = 1 if delay is None else math.ceil(delay / step)
        layout = _layout(panel, request, drivers, max(lookback, late + 1))
        design = Design(layout, request.target, str(step), late)
        scales = Scales.measured(_values(panel, request.target), panel["node"].values, request.target)
        pooled = [measure(_values(panel, name).reshape(-1, 1)) for name in layout.drivers]
        driver_scale = completed(
            Scale(np.array([float(one.centre[0]) if np.isfinite(one.centre[0]) else 0.0 for one in pooled]),
                  np.array([float(one.width[0]) for one in pooled])), np.full(len(pooled), 10**6), 1.0)
        model = cls(design, scales, driver_scale, _network(design, seed))
        return replace_network(model, train(model._network, model._lesson(panel), Effort(steps, 2e-3, seed),
                                            progress))

    def continue_on(self, panel: xr.Dataset, request: Request, *, steps: int = 300, seed: int = 0,
                    rate: float = 3e-4) -> NativeModel:
        """A copy trained further on ``panel``, never worse than self on the panel's newest fifth.

        The newest fifth of the issue times is held out; the weights of the best of six examinations (1024 windows) win,
        and the untouched copy competes too. Nodes new to the model join its scales. Self is unchanged.
        """
        self._check(request)
        _check_columns(panel, request.target, ())
        unseen = Scales.measured(_values(panel, request.target), panel["node"].values, request.target)
        scales = self._scales.joined(unseen)
        best = NativeModel(self.design, scales, self._driver_scale, copy.deepcopy(self._network))
        lesson = best._lesson(panel)
        rows = lesson.candidates()
        cut = int(rows[int(len(rows) * (1 - HELD_OUT))])
        past = replace(lesson, last=cut - self.design.layout.horizon)  # its targets end before the held-out issues
        if past.last <= past.first or not steps:
            return best
        held_out = replace(lesson, first=cut)
        least = examined(best._network, held_out)
        course = training(copy.deepcopy(self._network), past, Effort(steps, rate, seed))
        for step, mean in enumerate(course, start=1):
            if step * EXAMINATIONS // steps > (step - 1) * EXAMINATIONS // steps:
                loss = examined(mean, held_out)
                if loss < least:
                    least, best = loss, replace_network(best, copy.deepcopy(mean))
        return best

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        """Forecast every node of ``context``: rows after the issue time are not read, but for future drivers, nor
        are the newest ``delay`` steps (fit with the source's own delay).

        A silent node gets the width of the network, an unseen one is measured on its own context. Raises
        ``ForecastError`` for another target or step, a longer horizon, quantiles outside the trained range, and a
        context of unseen nodes in which nothing is known.
        """
        self._check(request)
        _check_columns(context, request.target, ())
        layout = self.design.layout
        issue, step = request.issue_time.astype("datetime64[ns]"), request.step.astype("timedelta64[ns]")
        first = issue - (layout.reach - 1) * step
        slots = slots_from(context["time"].values, first, step)
        nodes = context["node"].values
        target = np.full((layout.reach + layout.horizon, len(nodes)), np.nan)
        target[:layout.reach] = on_clock(context, request.target, slots, layout.reach)
        scale = self._scales.of(nodes, _newest(context, request.target, slots < layout.reach), request.target)
        drivers = [on_clock(context, name, slots, len(target)) for name in layout.drivers]
        times = first + np.arange(len(target)) * step
        table = table_of(target, _stacked(drivers, target.shape), scale, self._driver_scale, times, layout.yearly)
        z = self._through(table, np.full(len(nodes), layout.reach - 1), np.arange(len(nodes)))
        values = scale.back(z[:, :request.horizon].transpose(1, 2, 0)).transpose(0, 2, 1)
        values = self._steady(values, table, layout.reach - 1, nodes, scale.centre)
        return as_forecast(self._at_quantiles(values, request), context, request)

    def forecast_many(self, panel: xr.Dataset, request: Request, issue_times: np.ndarray) -> xr.Dataset:
        """Forecasts at many issue times from one panel that is known whole: for benches and replays.

        Each issue time sees what ``forecast`` would have seen: the newest ``delay`` steps are hidden. Nodes unseen
        in training are measured on what was known at the first issue time. O(issue times × nodes), about 10 µs each.
        """
        self._check(request)
        layout, step = self.design.layout, request.step.astype("timedelta64[ns]")
        issues = np.asarray(issue_times).astype("datetime64[ns]")
        table, scale, first = self._table(panel, np.datetime64(issues.min() - self.design.delay * step, "ns"))
        rows = slots_from(issues, first, step)
        if rows.min() < layout.reach - 1 or rows.max() >= len(table.target) - layout.horizon:
            raise ForecastError("an issue time is outside the panel", where=request.target,
                                expected="issue times between the panel's first and last stamp",
                                remedy="give a panel that spans them")
        nodes = panel["node"].values
        every = np.repeat(rows, len(nodes)), np.tile(np.arange(len(nodes)), len(rows))
        z = self._through(table, *every)[:, :request.horizon]
        z = z.reshape(len(rows), len(nodes), *z.shape[1:])
        values = scale.back(z.transpose(0, 2, 3, 1)).transpose(0, 1, 3, 2)
        if self._scales.constant(nodes).any():
            values = np.stack([self._steady(part, table, row, nodes, scale.centre)
                               for part, row in zip(values, rows, strict=True)])
        one = as_forecast(self._at_quantiles(values[0], request), panel, request.at(issues[0]))
        return one.drop_dims("issue_time").assign_coords(
            issue_time=("issue_time", issues, one["issue_time"].attrs),
            valid_time=(("issue_time", "lead"), issues[:, None] + request.leads, one["valid_time"].attrs),
        ).assign({request.target: (("issue_time", "lead", "node", "quantile"),
                                   self._at_quantiles(values, request).astype("float32"), one[request.target].attrs)})

    def config(self) -> dict[str, object]:
        """JSON-ready: the design and the scales of nodes and drivers."""
        return {"forecaster": self.name, "design": asdict(self.design), "scales": asdict(self._scales),
                "driver_scale": [self._driver_scale.centre.tolist(), self._driver_scale.width.tolist()]}

    def weights(self) -> Mapping[str, np.ndarray]:
        """The network's parameters by name, float32."""
        return {name: tensor.detach().numpy().copy() for name, tensor in self._network.state_dict().items()}

    @classmethod
    def build(cls, config: Mapping[str, object], weights: Mapping[str, np.ndarray]) -> NativeModel:
        """Rebuild what ``config`` and ``weights`` describe; ``stfm.shelf`` turns what may be raised into words."""
        raw = cast(dict[str, Any], dict(config))
        given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value
                 for key, value in raw["design"]["layout"].items()}
        design = Design(**{**raw["design"], "layout": Layout(**given)})
        by_node = {name: (float(pair[0]), float(pair[1])) for name, pair in raw["scales"]["by_node"].items()}
        centre, width = (np.array(part, dtype="float64") for part in raw["driver_scale"])
        network = _network(design, seed=0)
        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
        return cls(design, Scales(by_node, float(raw["scales"]["typical"])), Scale(centre, width), network)

    def _check(self, request: Request) -> None:
        design = self.design
        if request.target != design.target:
            raise ForecastError(f"target is {request.target!r}", where="native model",
                                expected=f"{design.target!r}, what it was fitted to", remedy="fit a model to it")
        if pd.Timedelta(request.step) != pd.Timedelta(design.step):
            raise ForecastError(f"step is {pd.Timedelta(request.step)}", where=request.target,
                                expected=f"the trained step {design.step}", remedy="resample, or fit anew")
        if not 1 <= request.horizon <= design.layout.horizon:
            raise ForecastError(f"horizon is {request.horizon} steps", where=request.target,
                                expected=f"1 to {design.layout.horizon}, the trained horizon",
                                remedy="fit with a longer horizon")
        trained = design.layout.quantiles
        asked = request.quantiles
        if not asked or list(asked) != sorted(set(asked)) or asked[0] < trained[0] or asked[-1] > trained[-1]:
            raise ForecastError(f"quantiles are {request.quantiles}", where=request.target,
                                expected=f"rising quantiles from {trained[0]} to {trained[-1]}, the trained range",
                                remedy="fit with these quantiles")

    def _table(self, panel: xr.Dataset, known_until: np.datetime64) -> tuple[Table, Scale, np.datetime64]:
        """The whole panel on its clock, ``reach`` rows of nothing before it and ``horizon`` after it; its scale
        from values up to ``known_until``; and the clock's first stamp."""
        layout, step = self.design.layout, pd.Timedelta(self.design.step).to_timedelta64()
        stamps = panel["time"].values.astype("datetime64[ns]")
        first = stamps.min() - layout.reach * step
        slots = slots_from(stamps, first, step)
        length = int(slots.max()) + 1 + layout.horizon
        target = on_clock(panel, self.design.target, slots, length)
        drivers = [on_clock(panel, name, slots, length) for name in layout.drivers]
        scale = self._scales.of(panel["node"].values, target[first + np.arange(length) * step <= known_until],
                                self.design.target)
        table = table_of(target, _stacked(drivers, target.shape), scale, self._driver_scale,
                         first + np.arange(length) * step, layout.yearly)
        return table, scale, first

    def _lesson(self, panel: xr.Dataset) -> Lesson:
        """Every stamp of the panel as an issue time."""
        table = self._table(panel, np.datetime64(panel["time"].values.max(), "ns"))[0]
        layout = self.design.layout
        return Lesson(table, layout, self.design.delay, layout.reach, len(table.target) - 1 - layout.horizon)

    def _steady(self, values: np.ndarray, table: Table, row: int, nodes: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """Of a node that never varied, neither in training nor in what is seen now, the median is that one value.

        ``values`` (lead, node, quantile); ``row``: that of the issue time in the table. Only nodes that never varied
        cost anything.
        """
        layout = self.design.layout
        levels = np.array(layout.quantiles)
        for node in np.flatnonzero(self._scales.constant(nodes)):
            seen = table.target[row + 1 - layout.lookback:row + 1 - self.design.delay, node].numpy()
            if (seen[np.isfinite(seen)] == 0).all():
                middle = np.array([np.interp(0.5, levels, one) for one in values[:, node]])
                values[:, node] += (centre[node] - middle)[:, None]
        return values

    def _through(self, table: Table, rows: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Run windows through the network: z quantiles (window, horizon, quantile), float64.

        Hides the newest ``delay`` steps as training did, known or not: the network never learnt to read them.
        """
        layout, parts = self.design.layout, []
        with torch.inference_mode():
            for start in range(0, len(rows), CHUNK):
                row = torch.from_numpy(rows[start:start + CHUNK])
                node = torch.from_numpy(nodes[start:start + CHUNK])
                hidden = unknown_yet(layout, self.design.delay, len(row))
                parts.append(self._network(*inputs_at(table, layout, row, node, hidden)).numpy())
        return np.concatenate(parts).astype("float64")

    def _at_quantiles(self, values: np.ndarray, request: Request) -> np.ndarray:
        """Values (…, trained quantile) at the asked quantiles, linear between trained ones."""
        trained = np.array(self.design.layout.quantiles)
        asked = np.array(request.quantiles)
        if not np.array_equal(trained, asked):
            right = np.clip(np.searchsorted(trained, asked), 1, max(1, len(trained) - 1))
            if len(trained) == 1:
                return values.repeat(len(asked), axis=-1)
            share = (asked - trained[right - 1]) / (trained[right] - trained[right - 1])
            values = values[..., right - 1] * (1 - share) + values[..., right] * share
        rising: np.ndarray = np.maximum.accumulate(values, axis=-1)
        return rising


def replace_network(model: NativeModel, network: Network) -> NativeModel:
    """The same model with other weights."""
    return NativeModel(model.design, model._scales, model._driver_scale, network)


def _network(design: Design, seed: int) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(design.layout, design.width, design.depth, design.dropout)


def _layout(panel: xr.Dataset, request: Request, drivers: tuple[str, ...], lookback: int) -> Layout:
    """The layout for a panel: roles and lags from the drivers' attrs, the day of year from two years on."""
    future = tuple(name for name in drivers if panel[name].attrs.get("role") == "future_driver")
    past = tuple(name for name in drivers if name not in future)
    lags = {int(panel[name].attrs["lag"]) for name in drivers if "lag" in panel[name].attrs}
    telling = sorted({lag - lead for lag in lags for lead in range(1, request.horizon + 1) if lag >= lead})
    telling = telling[::max(1, -(-len(telling) // MOST_LAGGED))]  # what a lag tells of lead k is lag - k steps old
    offsets = tuple(sorted({*Layout.offsets, *telling}))
    span = np.ptp(panel["time"].values.astype("datetime64[ns]").astype("int64")) if panel.sizes["time"] else 0
    return Layout(lookback, request.horizon, tuple(sorted(request.quantiles)), past, future, offsets,
                  yearly=bool(span >= pd.Timedelta("730D").value))


def _check_columns(panel: xr.Dataset, target: str, drivers: tuple[str, ...]) -> None:
    for name in (target, *drivers):
        if name not in panel.data_vars:
            raise ForecastError(f"no variable {name!r}", where="panel given to the native model",
                                expected="one of " + ", ".join(map(str, panel.data_vars)),
                                remedy="name a variable of the panel")
    if not panel.sizes["time"] or not panel.sizes["node"]:
        raise ForecastError("the panel is empty", where=target, expected="at least one stamp and one node",
                            remedy="give it history")


def _values(panel: xr.Dataset, name: str) -> np.ndarray:
    """Values (time, node) as float64, NaN where not finite."""
    values = panel[name].transpose("time", "node").values.astype("float64")
    return np.where(np.isfinite(values), values, np.nan)


def _newest(context: xr.Dataset, target: str, known: np.ndarray) -> np.ndarray:
    """Up to MEASURED rows of the context that are not after the issue time, for nodes not seen in training."""
    variable = context[target]
    values = variable.values if variable.dims[0] == "time" else variable.values.T
    return np.where(np.isfinite(newest := values[np.flatnonzero(known)[-MEASURED:]]), newest, np.nan)


def _stacked(drivers: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return np.stack(drivers) if drivers else np.empty((0, *shape))
