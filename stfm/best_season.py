"""Seasonal naive with the season that served each node best before: a day, a week or a year.

A rule that takes a day as the season of street traffic is a straw man; beside it anything looks good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
import xarray as xr

from terracast.stfm.forecaster import Capabilities, Request
from terracast.stfm.regular_grid import on_clock, slots_from
from terracast.stfm.seasonal_naive import SeasonalNaive

DAY, WEEK = pd.Timedelta("1D"), pd.Timedelta("7D")
YEAR = pd.Timedelta("364D")  # 52 weeks: the same day of the week
SHORTEST_PAST = 2  # seasons that must be known for one to be tried
SEASONS_READ = 3  # of the longest season, for the rule's own errors
NAMES = {DAY: "day", WEEK: "week", YEAR: "year"}


@dataclass(frozen=True)
class BestSeason:
    """``SeasonalNaive`` for each node with a season of its own; ``others`` for nodes that were not there yet.

    >>> hours = np.arange(24 * 7 * 6)
    >>> wave = np.stack([np.sin(hours / 24 * 2 * np.pi), hours // 24 % 7 // 5 + 0.0], axis=1)
    >>> stamps = pd.date_range("2020-01-06", periods=len(hours), freq="h")
    >>> known = xr.DataArray(wave, {"time": stamps, "node": ["tide", "road"]}, ("time", "node"))
    >>> request = Request("x", stamps[-1].to_datetime64(), 24, np.timedelta64(1, "h"))
    >>> BestSeason.chosen(known, request).in_words()
    '1 node by a day, 1 by a week'
    """

    by_node: Mapping[str, pd.Timedelta] = field(default_factory=dict)
    others: pd.Timedelta | None = None
    name: ClassVar[str] = "seasonal-naive"

    @classmethod
    def chosen(cls, known: xr.DataArray, request: Request) -> BestSeason:
        """The season with the least absolute error for each node of ``known`` (time, node), over the newest year of
        what is known at ``request.issue_time`` and all its leads; ties take the shorter one."""
        step = pd.Timedelta(request.step)
        slots = slots_from(known["time"].values, request.issue_time, request.step.astype("timedelta64[ns]"))
        rows = 1 - min(int(slots.min(initial=0)), 0)
        values = on_clock(known.to_dataset(name=request.target), request.target, slots + rows - 1, rows)
        span, least = len(values) * step, request.horizon * step
        tried = [one for one in candidates(step) if SHORTEST_PAST * one + least <= span] or [usual(step)]
        newest = -max(round(YEAR / step), 1)
        errors = np.stack([_error(values, round(one / step), request.horizon, newest) for one in tried])
        seen = np.isfinite(errors).any(axis=0)
        typical = tried[int(np.median(errors[:, seen], axis=1).argmin()) if seen.any() else 0]
        best = np.where(np.isfinite(errors).any(axis=0), np.where(np.isfinite(errors), errors, np.inf).argmin(axis=0),
                        tried.index(typical))
        return cls({str(node): tried[number] for node, number in zip(known["node"].values, best, strict=True)}, typical)

    @property
    def longest(self) -> pd.Timedelta:
        """The longest season in use."""
        return max([*self.by_node.values(), *([self.others] if self.others is not None else [])])

    def past(self, request: Request) -> np.timedelta64:
        """How far back it should be shown."""
        return (SEASONS_READ * self.longest).to_timedelta64() + request.leads[-1]

    @property
    def capabilities(self) -> Capabilities:
        """As of the plain rule, whose step is not known here: see ``past``."""
        return SeasonalNaive().capabilities

    def forecast(self, context: xr.Dataset, request: Request) -> xr.Dataset:
        """Forecast every node by its season. Raises ``ForecastError`` where next to nothing is known."""
        others = self.others or usual(pd.Timedelta(request.step))
        mine = [self.by_node.get(str(node), others) for node in context["node"].values]
        made = {season: SeasonalNaive(season).forecast(context, request) for season in dict.fromkeys(mine)}
        if len(made) == 1:
            return next(iter(made.values()))
        values = np.stack([made[season][request.target].values[:, :, node] for node, season in enumerate(mine)], axis=2)
        first = next(iter(made.values()))
        return first.assign({request.target: first[request.target].copy(data=values)})

    def in_words(self) -> str:
        """How many nodes have which season."""
        counts = {season: sum(one == season for one in self.by_node.values()) for season in NAMES | {self.others: ""}}
        told = [(number, NAMES.get(season, str(season))) for season, number in counts.items() if number]
        return ", ".join(f"{number}{(' node' if number == 1 else ' nodes') if not place else ''} by a {name}"
                         for place, (number, name) in enumerate(told))

    def config(self) -> dict[str, object]:
        """JSON-ready: the seasons."""
        return {"forecaster": "best-season", "others": None if self.others is None else str(self.others),
                "by_node": {node: str(season) for node, season in self.by_node.items()}}


def usual(step: pd.Timedelta) -> pd.Timedelta:
    """The season where nothing is known."""
    return SeasonalNaive().period(step.to_timedelta64()) * step


def candidates(step: pd.Timedelta) -> list[pd.Timedelta]:
    """Seasons that may be chosen, shortest first: whole numbers of steps, three at least.

    >>> [str(one)[:3] for one in candidates(pd.Timedelta("1h"))], len(candidates(pd.Timedelta("30.4375D")))
    (['1 d', '7 d', '364'], 1)
    """
    found = [one for one in (DAY, WEEK, YEAR) if not one % step and one >= 3 * step]
    return sorted({*found, *([] if found else [usual(step)])})


def _error(values: np.ndarray, season: int, horizon: int, newest: int) -> np.ndarray:
    """Mean absolute error (node,) of the last value a whole number of seasons ago, over leads up to the horizon."""
    backs, counts = np.unique(-(-np.arange(1, horizon + 1) // season), return_counts=True)
    with np.errstate(all="ignore"):
        errors = [np.abs(values[back * season:] - values[:-back * season])[newest:] for back in backs]
        known = [np.where(np.isfinite(one), one, 0.0).sum(axis=0) / np.isfinite(one).sum(axis=0) for one in errors]
    return np.asarray(np.average(np.stack(known), axis=0, weights=counts))
