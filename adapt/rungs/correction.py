"""Rung 2, what its three forms share: corrections of a forecast's output that work for any forecaster.

A correction moves all quantiles of a cell by the same amount; it is learned in units of the base's own deviation,
from labels that have matured, one issue at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import xarray as xr

from terracast.adapt.evaluation.scores import level, spread_of
from terracast.adapt.rungs.pairs import Pairs, hindcast, matured
from terracast.adapt.rungs.rung import Adapted, Rung, RungError, judged
from terracast.adapt.rungs.wrappers import config_of, parted, weights_of
from terracast.stfm.forecaster import Capabilities, Forecaster, Request, as_forecast

FARTHEST = 3.0  # deviations: no correction is larger, and no error counts for more
FEWEST = 8  # matured issues without which nothing is learned


class Correction(Protocol):
    """Learns a shift for each (lead, node) and applies it; state is plain arrays. ``form`` names it on the shelf."""

    @property
    def form(self) -> str: ...

    @property
    def numbers(self) -> int:
        """How many numbers it has learned."""
        ...

    def shift(self, median: np.ndarray, width: np.ndarray, issue_time: np.datetime64) -> np.ndarray:
        """What is to be added to the median, in widths; all of shape (lead, node)."""
        ...

    def learn(self, median: np.ndarray, width: np.ndarray, labels: np.ndarray, issue_time: np.datetime64) -> None:
        """Take in labels (lead, node) of one issue that have newly matured, NaN elsewhere."""
        ...

    def state(self) -> dict[str, Any]:
        """All learned numbers."""
        ...

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Self:
        """Go on to the bit where ``state`` was taken."""
        ...


Make = Callable[[int, Request], Correction]


class Corrected:
    """A forecaster with a correction behind it: itself a Forecaster, whatever the base is; ``rungs.kept`` loads it."""

    name: ClassVar[str] = "corrected"

    def __init__(self, base: Forecaster, correction: Correction) -> None:
        self.base, self.correction = base, correction

    @property
    def capabilities(self) -> Capabilities:
        """Those of the base."""
        return self.base.capabilities

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        """The base's forecast, corrected."""
        said = self.base.forecast(context, request)[request.target].values[0].astype("float64")
        return as_forecast(self.apply(said, request.issue_time, request.quantiles), context, request)

    def forecast_many(self, panel: xr.Dataset, request: Request, issue_times: np.ndarray) -> xr.Dataset:
        """Forecasts at many issue times from one panel, by the correction as it is now."""
        said = hindcast(self.base, panel, request, issue_times)
        moved = np.stack([self.apply(one, issue, request.quantiles)
                          for one, issue in zip(said, issue_times, strict=True)])
        one = as_forecast(moved[0], panel, request.at(issue_times[0]))
        values = (("issue_time", "lead", "node", "quantile"), moved.astype("float32"), one[request.target].attrs)
        valid = (("issue_time", "lead"), issue_times[:, None] + request.leads)
        return one.drop_dims("issue_time").assign_coords(issue_time=issue_times, valid_time=valid).assign(
            {request.target: values})

    def apply(self, said: np.ndarray, issue_time: np.datetime64, quantiles: Sequence[float]) -> np.ndarray:
        """Corrected quantiles (lead, node, quantile) of the base's."""
        median, width = located(said, quantiles)
        shift = np.clip(self.correction.shift(median, width, issue_time), -FARTHEST, FARTHEST)
        return said + (shift * width)[..., None]

    def learn(self, said: np.ndarray, labels: np.ndarray, issue_time: np.datetime64,
              quantiles: Sequence[float]) -> None:
        """Learn from newly matured labels (lead, node) of what the base ``said`` at ``issue_time``."""
        median, width = located(said, quantiles)
        error = np.clip((labels - median) / width, -FARTHEST, FARTHEST)
        self.correction.learn(median, width, median + error * width, issue_time)

    def config(self) -> dict[str, object]:
        """JSON-ready: the base's config, and what of the correction's state are no arrays."""
        return {"forecaster": self.name, "base": config_of(self.base), "correction": self.correction.form,
                "state": parted(self.correction.state())[0]}

    def weights(self) -> Mapping[str, np.ndarray]:
        """The base's weights under ``base/``, the correction's arrays under ``state/``."""
        arrays = parted(self.correction.state())[1]
        return weights_of(self.base) | {f"state/{name}": value for name, value in arrays.items()}


def located(said: np.ndarray, quantiles: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Median and deviation (lead, node) of quantiles (lead, node, quantile); the deviation is never nothing."""
    width = spread_of(said, quantiles)
    usual = width.mean(axis=0, keepdims=True)
    floor = 1e-3 * (float(np.median(usual)) + 1e-6 * float(np.abs(said).mean())) + 1e-12
    return level(said, quantiles, 0.5), np.maximum(np.maximum(width, 0.1 * usual), floor)


class OutputRung:
    """Learns a correction from the matured pairs, judges it on held-back ones, and learns these too if it is kept.

    ``make(nodes, request)`` makes the correction.
    """

    def __init__(self, name: str, paper: str, cost: str, make: Make, expiry: np.timedelta64 | None = None) -> None:
        self.name, self.paper, self.cost, self.expiry, self._make = name, paper, cost, expiry, make

    def adapt(self, forecaster: Forecaster, known: xr.Dataset, request: Request) -> Adapted:
        """Hindcasts of the matured issues cost one forecast each; what follows costs little."""
        pairs = matured(known, request)
        if len(pairs.learned) < FEWEST:
            raise RungError(f"{len(pairs.learned)} matured issues", where=self.name, expected=f"{FEWEST} or more",
                            remedy="wait for labels")
        corrected = Corrected(forecaster, self._make(known.sizes["node"], request))
        _batches(corrected, pairs, pairs.learned)
        rung: Rung = self
        adapted = judged(rung, forecaster, corrected, known, request, parameters=corrected.correction.numbers,
                         why=f"learned from {len(pairs.learned)} issues", pairs=pairs)
        if adapted.kept:
            _batches(corrected, pairs, pairs.held)
        return adapted


def _batches(corrected: Corrected, pairs: Pairs, issues: np.ndarray) -> None:
    order = np.argsort(issues)
    said, labels = pairs.forecasts(corrected.base, issues[order]), pairs.labels(issues[order])
    for one, known, issue in zip(said, labels, issues[order], strict=True):
        corrected.learn(one, known, issue, pairs.request.quantiles)
