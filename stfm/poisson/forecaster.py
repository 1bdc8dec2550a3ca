"""A forecaster of counts: rare events in cells, borrowed strength where a cell says little, whole numbers out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, ClassVar, cast

import numpy as np
import pandas as pd
import xarray as xr

from terracast.stfm.forecaster import (
    QUANTILES,
    Capabilities,
    ForecastError,
    Request,
    as_forecast,
    as_forecasts,
    check_quantiles,
)
from terracast.stfm.poisson.features import RecentCounts, counts_of, features, near_nodes, prior_coefficients
from terracast.stfm.poisson.rates import CountRates, half_lives, measured
from terracast.stfm.poisson.regression import dispersion, fitted, quantiles
from terracast.stfm.regular_grid import slots_from

ROWS = 150_000  # pairs of an issue and a label that coefficients are learnt from
DELAY = 1  # steps that are not known yet at an issue
LENGTHS = 6  # of the longest half-life: so much of the past a forecast reads


class CountForecaster:
    """Poisson regression of counts, one set of coefficients for all nodes, with negative binomial quantiles.

    The log mean is linear in: the node's long-run rate, its newest events by three half-lives, those of its neighbours
    and of the network, the network's season (hours of a week, or days of it) and the node's own. Every rate is shrunk
    to a broader one by pseudo-events, so that a cell with three events in a year is neither zero nor wild. Leads are
    grouped by octaves; the spread beyond Poisson is measured for each. A fit takes seconds, a forecast milliseconds.

    >>> random = np.random.default_rng(0)
    >>> counts = random.poisson(0.5, (400, 3)).astype(float)
    >>> about = {"units": "1", "long_name": "thefts", "cell_methods": "time: sum"}
    >>> panel = xr.Dataset({"thefts": (("time", "node"), counts, about)},
    ...                    {"time": pd.date_range("2020-01-01", periods=400), "node": ["a", "b", "c"]},
    ...                    {"domain": "crime", "kind": "event", "step": "1D"})
    >>> request = Request("thefts", panel.time.values[-1], 7, np.timedelta64(1, "D"), (0.1, 0.5, 0.9))
    >>> CountForecaster.fit(panel, request, steps=1, seed=0).forecast(panel, request).thefts.values[0, 0, 0].tolist()
    [0.0, 0.0, 2.0]
    """

    name: ClassVar[str] = "counts"
    context_steps: ClassVar[int] = 600

    def __init__(self, target: str, step: np.timedelta64, nodes: tuple[str, ...], rates: CountRates,
                 coefficients: np.ndarray, spread: np.ndarray, horizon: int) -> None:
        self.target, self.step, self.nodes, self.rates = target, step.astype("timedelta64[ns]"), nodes, rates
        self.coefficients, self.spread, self.horizon = coefficients, spread, horizon
        self.lives = half_lives(self.step)

    @property
    def capabilities(self) -> Capabilities:
        """History: some of the longest half-lives; any kind of panel whose target counts."""
        return Capabilities(history=round(LENGTHS * self.lives[-1]))

    @classmethod
    def fit(cls, panel: xr.Dataset, request: Request, *, steps: int = 0, seed: int = 0,
            progress: Callable[[float], None] | None = None) -> CountForecaster:
        """Fit to ``panel``, all of it known. ``steps`` is not needed: the best fit is found, not trained for."""
        step = request.step.astype("timedelta64[ns]")
        counts, times = counts_of(panel, request.target, step)
        groups = int(_groups(request.horizon).max()) + 1
        empty = cls(request.target, step, _names(panel), measured(counts, times, step),
                    np.tile(prior_coefficients(step), (groups, 1)), np.zeros(groups), request.horizon)
        made = empty.learnt(counts, times, near_nodes(panel), seed)
        if progress is not None:
            progress(1.0)
        return made

    def continue_on(self, panel: xr.Dataset, request: Request, *, steps: int = 0, seed: int = 0) -> CountForecaster:
        """A copy whose coefficients lean on these and learn from ``panel``; rates of its nodes are measured anew where
        the panel says more of them than is known."""
        counts, times = counts_of(panel, request.target, self.step)
        nodes = _names(panel)
        rates = self.rates.reindexed(self.nodes, nodes).or_more(measured(counts, times, self.step))
        begun = CountForecaster(self.target, self.step, nodes, rates, self.coefficients, self.spread, self.horizon)
        return begun.learnt(counts, times, near_nodes(panel), seed)

    def learnt(self, counts: np.ndarray, times: np.ndarray, near: np.ndarray, seed: int) -> CountForecaster:
        """With coefficients and spread learnt from pairs of an issue and a label drawn from these rows."""
        random = np.random.default_rng(seed)
        rows, nodes = counts.shape
        first = min(round(2 * self.lives[1]), rows // 4) + DELAY
        issues = np.arange(first, rows - 1)
        if not len(issues):
            return self
        many = min(ROWS, len(issues) * nodes * self.horizon)
        issue, node = random.choice(issues, many), random.integers(0, nodes, many)
        lead = random.integers(1, self.horizon + 1, many)
        inside = issue + lead < rows
        issue, node, lead = issue[inside], node[inside], lead[inside]
        label = counts[issue + lead, node]
        told = np.isfinite(label)
        issue, node, lead, label = issue[told], node[told], lead[told], label[told]
        recent = RecentCounts.of(counts, times, self.step, near, self.rates)
        seen = features(recent, self.rates, self.step, issue - DELAY, node, times[issue + lead], label)
        group = _groups(self.horizon)[lead - 1]
        coefficients, spread = self.coefficients.copy(), self.spread.copy()
        for one in range(len(coefficients)):
            mine = group == one
            if mine.sum() > 10 * seen.shape[1]:
                coefficients[one] = fitted(seen[mine], label[mine], coefficients[one])
                mean = np.exp(np.clip(seen[mine] @ coefficients[one], -20, 20))
                spread[one] = dispersion(label[mine], mean)
        return CountForecaster(self.target, self.step, self.nodes, self.rates, coefficients, spread, self.horizon)

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        """Forecast every node of ``context``; nodes never seen have the mean rate and what the context says of them."""
        self._check(request)
        issue = request.issue_time.astype("datetime64[ns]")
        past = context.isel(time=np.flatnonzero(context["time"].values <= issue))
        if not past.sizes["time"]:
            past = context.isel(time=slice(0, 0)).reindex(time=[issue])
        mean = self.means(past, request, np.array([issue]))[0]
        return as_forecast(self._laws(mean, request), context, request)

    def forecast_many(self, panel: xr.Dataset, request: Request, issue_times: np.ndarray) -> xr.Dataset:
        """Forecasts at many issue times from one panel that is known whole; the newest step is hidden at each."""
        self._check(request)
        issues = np.asarray(issue_times).astype("datetime64[ns]")
        means = self.means(panel, request, issues)
        return as_forecasts(np.stack([self._laws(mean, request) for mean in means]), panel, request, issues)

    def means(self, panel: xr.Dataset, request: Request, issues: np.ndarray) -> np.ndarray:
        """Expected counts (issue, lead, node), from rows before each issue."""
        rates = self.rates.reindexed(self.nodes, _names(panel))
        counts, times = counts_of(panel, request.target, self.step)
        recent = RecentCounts.of(counts, times, self.step, near_nodes(panel), rates)
        rows = slots_from(issues, times[0], self.step)
        row = np.clip(np.where(rows - DELAY < len(times), rows - DELAY, len(times) - 1), 0, len(times) - 1)
        group, every = _groups(self.horizon), np.arange(panel.sizes["node"])
        found = np.empty((len(issues), request.horizon, len(every)))
        for at in range(len(issues)):
            for lead in range(1, request.horizon + 1):
                valid = np.full(len(every), issues[at] + lead * self.step)
                seen = features(recent, rates, self.step, np.full(len(every), row[at]), every, valid)
                found[at, lead - 1] = np.exp(np.clip(seen @ self.coefficients[group[lead - 1]], -20, 20))
        return found

    def config(self) -> dict[str, object]:
        """JSON-ready: what is forecast, and the nodes."""
        return {"forecaster": self.name, "target": self.target, "step": int(self.step.astype(np.int64)),
                "horizon": self.horizon, "nodes": list(self.nodes)}

    def weights(self) -> Mapping[str, np.ndarray]:
        """CountRates, coefficients and spread."""
        held = {one.name: getattr(self.rates, one.name) for one in fields(CountRates)}
        return {name: np.ascontiguousarray(values, dtype="float64")
                for name, values in {**held, "coefficients": self.coefficients, "spread": self.spread}.items()}

    @classmethod
    def build(cls, config: Mapping[str, object], weights: Mapping[str, np.ndarray]) -> CountForecaster:
        """Rebuild what ``config`` and ``weights`` describe."""
        raw = cast(dict[str, Any], dict(config))
        rates = CountRates(**{one.name: np.array(weights[one.name]) for one in fields(CountRates)})
        return cls(str(raw["target"]), np.timedelta64(int(raw["step"]), "ns"), tuple(raw["nodes"]), rates,
                   np.array(weights["coefficients"]), np.array(weights["spread"]), int(raw["horizon"]))

    def _laws(self, mean: np.ndarray, request: Request) -> np.ndarray:
        """Quantiles (lead, node, quantile) around expected counts (lead, node)."""
        spread = self.spread[_groups(self.horizon)[:request.horizon]]
        return quantiles(mean, spread[:, None], tuple(request.quantiles))

    def _check(self, request: Request) -> None:
        if request.target != self.target or request.step.astype("timedelta64[ns]") != self.step:
            raise ForecastError(f"target is {request.target!r} a step of {pd.Timedelta(request.step)}",
                                where="count model", remedy="fit a model to it",
                                expected=f"{self.target!r} a step of {pd.Timedelta(self.step)}")
        if not 1 <= request.horizon <= self.horizon:
            raise ForecastError(f"horizon is {request.horizon} steps", where=request.target,
                                expected=f"1 to {self.horizon}", remedy="fit with a longer horizon")
        check_quantiles(request.quantiles, (min(QUANTILES), max(QUANTILES)), request.target, "ask within these")


def _groups(horizon: int) -> np.ndarray:
    """The octave of each lead: 1, 2 to 3, 4 to 7 …"""
    return np.log2(np.arange(1, horizon + 1)).astype(int)


def _names(panel: xr.Dataset) -> tuple[str, ...]:
    return tuple(str(one) for one in panel["node"].values)
