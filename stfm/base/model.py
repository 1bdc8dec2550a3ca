"""The base model: a small spatio-temporal foundation model that forecasts panels it has never seen."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pandas as pd
import torch
import xarray as xr

from terracast.stfm.base import counts
from terracast.stfm.base.continuing import continued
from terracast.stfm.base.network import BaseNetwork, Size
from terracast.stfm.base.panel_tensors import PanelTensors, panel_tensors
from terracast.stfm.base.threads import threads_for
from terracast.stfm.base.training_batch import collated
from terracast.stfm.base.window import MEMORY, PATCH, Window, cut
from terracast.stfm.forecaster import (
    QUANTILES,
    Capabilities,
    ForecastError,
    Request,
    as_forecast,
    as_forecasts,
    at_quantiles,
    check_quantiles,
)
from terracast.stfm.saved_folder import read_folder

LONGEST = 24 * PATCH  # steps ahead: beyond it nothing was ever trained nor tried
AT_ONCE = 512  # node windows that go through the network together
MIDDLE = QUANTILES.index(0.5)
SHIPPED = Path(__file__).parent / "weights"


class Base:
    """Zero-shot quantile forecasts of any panel: any kind, any number of nodes, any step, with or without drivers.

    Pre-trained on simulated worlds only (``stfm.prior``, ``stfm.base.pretraining``). It reads up to 1,536 steps in
    closed form (``readings``), 512 of them as tokens, the calendar, the coordinates and the drivers that carry a
    ``role``. Time and memory are linear in nodes and in issue times: about 1 ms a node on one core.
    The horizon may be up to 768 steps (192 were trained); quantiles lie within 0.05 … 0.95.

    Parameters
    ----------
    network : BaseNetwork
        With its weights. ``Base.shipped()`` gives the one that comes with Terracast.
    lineage : mapping, optional
        How the weights were made, as it is told in reports.

    Examples
    --------
    >>> stamps = pd.date_range("2020-01-01", periods=240, freq="h")
    >>> wave = 10 + np.sin(np.arange(240) * 2 * np.pi / 24)[:, None] * [1.0, 5.0]
    >>> panel = xr.Dataset({"pm25": (("time", "node"), wave)}, {"time": stamps, "node": ["a", "b"]},
    ...                    {"domain": "air", "kind": "sensor", "step": "1h"})
    >>> request = Request("pm25", stamps[-1].to_datetime64(), 24, np.timedelta64(1, "h"))
    >>> forecast = Base.shipped().forecast(panel, request)
    >>> median = forecast["pm25"].sel(quantile=0.5)[0].values
    >>> bool(np.abs(median - wave[:24]).max() < 0.7)
    True
    """

    name: ClassVar[str] = "base"

    def __init__(self, network: BaseNetwork, lineage: Mapping[str, Any] | None = None) -> None:
        self._network = network.eval()
        self.lineage = dict(lineage or {})

    @classmethod
    def shipped(cls) -> Base:
        """The weights that come with Terracast; ``lineage`` says how they were made."""
        return _shipped()

    @property
    def network(self) -> BaseNetwork:
        """The network itself; do not train it in place."""
        return self._network

    @property
    def capabilities(self) -> Capabilities:
        """History: what the closed-form readings look at; fewer steps are fine, from one on."""
        return Capabilities(history=MEMORY, differentiable=True, accepts_drivers=True, accepts_moving_nodes=True)

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return sum(tensor.numel() for tensor in self._network.parameters())

    def forecast(self, context: xr.Dataset, request: Request, graph: np.ndarray | None = None) -> xr.Dataset:
        """Forecast every node of ``context``: rows after the issue time are read only of future drivers.

        ``graph`` (node, node): weights from row to column, where the neighbours are not those of the coordinates. A
        silent node is forecast from the others, with their whole width. Raises ``ForecastError`` where nothing is known
        of any node, and for a horizon or quantiles out of range.
        """
        self._check(request)
        step = request.step.astype("timedelta64[ns]")
        scene = panel_tensors(context, request.target, step, until=request.issue_time, ahead=LONGEST, graph=graph,
                              since=_reached(context["time"].values, request.issue_time, step))
        row = scene.target.shape[1] - 1 - LONGEST
        _check_known(scene, row, request.target)
        values = self._values([cut(scene, row, request.horizon)], scene, request)[0]
        return as_forecast(values, context, request)

    def forecast_many(self, panel: xr.Dataset, request: Request, issue_times: np.ndarray,
                      graph: np.ndarray | None = None) -> xr.Dataset:
        """Forecasts at many issue times from one panel that is known whole, each as ``forecast`` would have made it
        from the rows up to its issue time (values known late: hide them in the panel, or forecast one by one)."""
        self._check(request)
        issues = np.asarray(issue_times).astype("datetime64[ns]")
        step = request.step.astype("timedelta64[ns]")
        scene = panel_tensors(panel, request.target, step, until=issues.max(), ahead=LONGEST, graph=graph)
        rows = ((issues - scene.first) // step).astype(int)
        if rows.min() < 0 or ((issues - scene.first) % step != np.timedelta64(0, "ns")).any():
            raise ForecastError("an issue time is outside the panel or off its clock", where=request.target,
                                expected="stamps of the panel", remedy="choose issue times among the panel's stamps")
        share = max(1, AT_ONCE // len(scene.target))
        parts: list[np.ndarray] = []
        for start in range(0, len(rows), share):
            windows = []
            for row in rows[start:start + share]:
                _check_known(scene, int(row), request.target)
                windows.append(cut(scene, int(row), request.horizon))
            parts += self._values(windows, scene, request)
        return as_forecasts(np.stack(parts), panel, request, issues)

    def embed(self, panel: xr.Dataset, issue_time: np.datetime64, target: str | None = None) -> np.ndarray:
        """What the network makes of each node at ``issue_time``: (node, 2 * width), past and outlook, for light heads
        and for looking up similar places."""
        name = target or str(next(iter(panel.data_vars)))
        step = pd.Timedelta(panel.attrs["step"]).to_timedelta64()
        scene = panel_tensors(panel, name, step, until=issue_time, ahead=PATCH)
        row = scene.target.shape[1] - 1 - PATCH
        _check_known(scene, row, name)
        with torch.inference_mode():
            states = self._network(collated([cut(scene, row, PATCH)])).states[0]
        return np.concatenate([states[:, :-1].mean(1).numpy(), states[:, -1].numpy()], axis=1)

    def continue_on(self, panel: xr.Dataset, request: Request, *, steps: int = 200, seed: int = 0,
                    whole: bool = False, progress: Callable[[float], None] | None = None) -> Base:
        """A copy trained further on ``panel`` (all of it known), or self again where held-out parts of it lose.

        The heads alone by default (seconds), every weight with ``whole`` (minutes); the newest fifth of the issue
        times is not trained on. ``lineage`` tells how it went. ``progress`` hears the share that is done.
        """
        self._check(request)
        network, story = continued(copy.deepcopy(self._network), panel, request, steps=steps, seed=seed, whole=whole,
                                   progress=progress)
        stories = [*cast(list[object], self.lineage.get("continued", [])), story]
        return Base(network, {**self.lineage, "continued": stories})

    def config(self) -> dict[str, object]:
        """JSON-ready: size and lineage."""
        return {"forecaster": self.name, "size": asdict(self._network.size), "lineage": self.lineage}

    def weights(self) -> Mapping[str, np.ndarray]:
        """The network's parameters by name, float32."""
        return {name: tensor.detach().numpy().copy() for name, tensor in self._network.state_dict().items()}

    @classmethod
    def build(cls, config: Mapping[str, object], weights: Mapping[str, np.ndarray]) -> Base:
        """Rebuild what ``config`` and ``weights`` describe."""
        network = BaseNetwork(Size(**cast(dict[str, Any], config["size"])))
        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
        return cls(network, cast(Mapping[str, object], config.get("lineage", {})))

    def _values(self, windows: list[Window], scene: PanelTensors, request: Request) -> list[np.ndarray]:
        """Quantiles (lead, node, quantile) in the panel's units, one array per window."""
        batch = collated(windows)
        with torch.inference_mode(), threads_for(sum(len(window.centre) for window in windows)):
            answer = self._network(batch)
        found = []
        for place, window in enumerate(windows):
            values = _quantiles_of_counts(window, answer.counts[place], batch.readings[place], request.horizon) \
                if scene.counts else _quantiles(window, answer.quantiles[place], request.horizon)
            found.append(at_quantiles(values.transpose(1, 0, 2), QUANTILES, request.quantiles))
        return found

    def _check(self, request: Request) -> None:
        if not 1 <= request.horizon <= LONGEST:
            raise ForecastError(f"horizon is {request.horizon} steps", where=request.target,
                                expected=f"1 to {LONGEST}", remedy="ask for fewer steps, or aggregate to a longer step")
        check_quantiles(request.quantiles, QUANTILES, request.target, "ask for quantiles in this range")


def _quantiles(window: Window, answer: torch.Tensor, horizon: int) -> np.ndarray:
    """Quantiles (node, lead, quantile) in the panel's units of the network's ``answer`` in the window's."""
    z = answer[:, :horizon].numpy()
    values = window.centre[:, None, None] + window.width[:, None, None] * z.astype("float64")
    values = values.clip(window.floor[:, None, None], window.ceiling[:, None, None])
    still = (window.centre[:, None] - values[..., MIDDLE]) * window.constant[:, None]
    return np.asarray(values + still[..., None])  # what never moved stays, with a width: it may be stuck


def _quantiles_of_counts(window: Window, answer: torch.Tensor, readings: torch.Tensor, horizon: int) -> np.ndarray:
    """Whole-number quantiles (node, lead, quantile) of the negative binomial law that ``answer`` stands for."""
    centre, width = (torch.from_numpy(part) for part in (window.centre, window.width))
    parameters = counts.parameters(answer, readings, centre, width)
    mean, dispersion, zeros = (part[:, :horizon].numpy() for part in parameters)
    return counts.quantiles(mean, dispersion, zeros, QUANTILES)


def _reached(stamps: np.ndarray, issue_time: np.datetime64, step: np.timedelta64) -> np.datetime64:
    """The first stamp that is read: ``MEMORY`` steps back, no farther than the panel: nanoseconds hold 584 years."""
    issue = issue_time.astype("datetime64[ns]")
    if not len(stamps):
        return issue
    held = (issue - stamps[0].astype("datetime64[ns]")) // step
    return np.datetime64(issue - min(MEMORY - 1, max(int(held) + 1, 0)) * step, "ns")


def _check_known(scene: PanelTensors, row: int, target: str) -> None:
    if not np.isfinite(scene.target[:, max(0, row + 1 - MEMORY):row + 1]).any():
        raise ForecastError("no node of the context is known", where=target, expected="one known value at least",
                            remedy="wait for first values, or check the source")


@cache
def _shipped() -> Base:
    return Base.build(*read_folder(SHIPPED))
