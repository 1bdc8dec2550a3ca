"""The Forecaster interface: a panel as known at the issue time in, a quantile forecast out.

Wide enough for a plain rule, a torch model, and published foundation models behind an adapter: what a base can do
is declared in ``Capabilities``, what is asked of it is a ``Request``, and everything crosses as xarray.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
import xarray as xr
from xarray.indexes import PandasIndex

from terracast.streams.errors import TerracastError
from terracast.streams.instant import instant
from terracast.streams.panel import KINDS, axes_of

QUANTILES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


class ForecastError(TerracastError):
    """A forecast that cannot be made, or that breaks the contract."""


@dataclass(frozen=True)
class Capabilities:
    """What a forecaster declares about itself.

    ``history`` is the number of steps of context it wants (fewer are allowed); ``kinds`` the panels it accepts.
    """

    history: int
    differentiable: bool = False
    probabilistic: bool = True
    accepts_drivers: bool = False
    accepts_moving_nodes: bool = False
    kinds: tuple[str, ...] = KINDS


@dataclass(frozen=True)
class Request:
    """What is asked: ``horizon`` steps of ``target`` after ``issue_time``, at these quantiles.

    Lead k (1 … horizon) is about the stamp ``issue_time + k * step``; the value stamped at the issue time itself may
    or may not be known yet, which is the source's delay and visible as NaN in the context.

    Attributes
    ----------
    target : str
        The variable that is forecast.
    issue_time : datetime64
        Nothing later is read.
    horizon : int
        The largest lead, in steps.
    step : timedelta64
        Of the panel's clock.
    quantiles : tuple of float
        Rising, within 0 … 1.
    clock_zone : str, optional
        The time zone whose clocks the target follows when they are changed, as what people do does; None: it follows
        the sun, or no clocks are changed.

    Examples
    --------
    >>> request = Request("pm25", np.datetime64("2024-01-01T06"), 2, np.timedelta64(1, "h"))
    >>> np.datetime_as_string(request.valid_times, "h").tolist()
    ['2024-01-01T07', '2024-01-01T08']
    """

    target: str
    issue_time: np.datetime64
    horizon: int
    step: np.timedelta64
    quantiles: tuple[float, ...] = QUANTILES
    clock_zone: str | None = None

    @property
    def leads(self) -> np.ndarray:
        """How far ahead each forecast value is, shape (horizon,)."""
        return (np.arange(self.horizon) + 1) * self.step.astype("timedelta64[ns]")

    @property
    def valid_times(self) -> np.ndarray:
        """The stamps forecast, shape (horizon,)."""
        start = instant(self.issue_time)
        return start + self.leads

    def at(self, issue_time: np.datetime64) -> Request:
        """The same request at another issue time."""
        return replace(self, issue_time=issue_time)


@runtime_checkable
class Forecaster(Protocol):
    """Anything that turns a panel as known at the issue time into a quantile forecast.

    A protocol: any class with these two members is one, without inheriting it. ``docs/extend/base.md`` has the recipe.

    Examples
    --------
    >>> from terracast.stfm.seasonal_naive import SeasonalNaive
    >>> isinstance(SeasonalNaive(), Forecaster), isinstance("a text", Forecaster)
    (True, False)
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this forecaster can do."""
        ...

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        """Forecast every node of ``context``.

        Parameters
        ----------
        context : Dataset, dims (time, node)
            A panel as known at ``request.issue_time`` with the target among its variables; other variables carry the
            attribute ``role``: ``past_driver`` or ``future_driver``.
        request : Request
            What is asked.

        Returns
        -------
        Dataset, dims (issue_time, lead, node, quantile)
            As ``as_forecast`` makes it.

        Raises
        ------
        ForecastError
            Where no honest forecast is possible.
        """
        ...


@runtime_checkable
class Trainable(Forecaster, Protocol):
    """A forecaster whose parameters can be trained on, saved and restored (never by pickle)."""

    def continue_on(self, panel: xr.Dataset, request: Request, *, steps: int, seed: int) -> Trainable:
        """A copy trained ``steps`` further optimisation steps on ``panel`` (all of it known); self is unchanged."""
        ...

    def config(self) -> dict[str, object]:
        """JSON-ready description that, with ``weights``, rebuilds this forecaster (``stfm.serialization.load``)."""
        ...

    def weights(self) -> Mapping[str, np.ndarray]:
        """Named parameter arrays, as written to safetensors."""
        ...


def as_forecast(values: np.ndarray, context: xr.Dataset, request: Request) -> xr.Dataset:
    """Wrap quantiles of shape (lead, node, quantile) as a forecast dataset.

    Dims issue_time (1), lead, node, quantile; coordinate ``valid_time`` = issue_time + lead. Refuses NaN and
    crossing quantiles: a forecaster that does not know must answer with honest width or raise, never with NaN in
    silence.
    """
    wanted = (request.horizon, context.sizes["node"], len(request.quantiles))
    if values.shape != wanted:
        raise ForecastError(f"forecast has shape {values.shape}", where=request.target,
                            expected=f"(lead, node, quantile) = {wanted}", remedy="fix the forecaster")
    if not np.isfinite(values).all():
        nodes = context["node"].values[~np.isfinite(values).all(axis=(0, 2))]
        raise ForecastError("forecast holds a value that is not a number", where=", ".join(map(str, nodes[:3])),
                            expected="finite quantiles", remedy="give the node history or leave it out")
    if (np.diff(values, axis=2) < 0).any():
        raise ForecastError("quantiles cross", where=request.target, expected="quantiles that do not fall",
                            remedy="sort the quantiles before as_forecast")
    source = context[request.target].attrs
    attrs = {name: source[name] for name in ("units", "long_name", "standard_name", "cell_methods") if name in source}
    return xr.Dataset(
        {request.target: (("issue_time", "lead", "node", "quantile"), values[None].astype("float32"), attrs)},
        _axes(context, request),
        {"domain": context.attrs.get("domain", ""), "step": context.attrs.get("step", "")},
    )


def _axes(context: xr.Dataset, request: Request) -> xr.Coordinates:
    """Coordinates of a forecast, from indexes that are there already, as far as they are."""
    places = [name for name in ("lat", "lon") if name in context.coords and context[name].dims == ("node",)]
    there, asked = axes_of(context, "node", *places), _asked(request.horizon, request.step, request.quantiles)
    index = PandasIndex(pd.DatetimeIndex(np.array([request.issue_time], "datetime64[ns]")), "issue_time")
    issued = index.create_variables()["issue_time"]
    issued.attrs = {"standard_name": "forecast_reference_time"}
    valid_time = (("issue_time", "lead"), request.valid_times[None], {"standard_name": "time"})
    return xr.Coordinates(
        {"issue_time": issued, "lead": asked.variables["lead"], "node": there.variables["node"],
         "quantile": asked.variables["quantile"], "valid_time": valid_time,
         **{name: there.variables[name] for name in places}},
        {"issue_time": index, "node": there.xindexes["node"], **asked.xindexes})


@lru_cache(maxsize=16)
def _asked(horizon: int, step: np.timedelta64, quantiles: tuple[float, ...]) -> xr.Dataset:
    """The axes that are the same for each issue time."""
    leads = (np.arange(horizon) + 1) * step.astype("timedelta64[ns]")
    return xr.Dataset(coords={"lead": ("lead", leads, {"standard_name": "forecast_period"}),
                              "quantile": list(quantiles)})


def as_forecasts(values: np.ndarray, panel: xr.Dataset, request: Request, issue_times: np.ndarray) -> xr.Dataset:
    """Wrap quantiles of shape (issue time, lead, node, quantile) as ``as_forecast`` does those of one issue time."""
    one = as_forecast(values[0], panel, request.at(issue_times[0]))
    return one.drop_dims("issue_time").assign_coords(
        issue_time=("issue_time", issue_times, one["issue_time"].attrs),
        valid_time=(("issue_time", "lead"), issue_times[:, None] + request.leads, one["valid_time"].attrs),
    ).assign({request.target: (("issue_time", "lead", "node", "quantile"), values.astype("float32"),
                               one[request.target].attrs)})


def at_quantiles(values: np.ndarray, trained: tuple[float, ...], asked: tuple[float, ...]) -> np.ndarray:
    """Values (…, trained quantile) at the asked quantiles, linear between trained ones, rising.

    >>> at_quantiles(np.arange(11.0), QUANTILES, (0.05, 0.5)).tolist()
    [0.0, 5.0]
    """
    if len(trained) == 1:
        values = values.repeat(len(asked), axis=-1)
    elif tuple(trained) != tuple(asked):
        levels, wanted = np.array(trained), np.array(asked)
        right = np.clip(np.searchsorted(levels, wanted), 1, len(levels) - 1)
        share = (wanted - levels[right - 1]) / (levels[right] - levels[right - 1])
        values = values[..., right - 1] * (1 - share) + values[..., right] * share
    rising: np.ndarray = np.maximum.accumulate(values, axis=-1)
    return rising


def check_quantiles(asked: tuple[float, ...], trained: tuple[float, ...], where: str, remedy: str) -> None:
    """Refuse quantiles that do not rise or lie outside the trained range."""
    if not asked or list(asked) != sorted(set(asked)) or asked[0] < trained[0] or asked[-1] > trained[-1]:
        raise ForecastError(f"quantiles are {asked}", where=where,
                            expected=f"rising quantiles from {trained[0]} to {trained[-1]}, the trained range",
                            remedy=remedy)
