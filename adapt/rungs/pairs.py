"""Matured pairs: past issue times with the labels that have come since, split into what is learned from and what
is held back to judge the learning by."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import xarray as xr

from terracast.adapt.candidate import rows_at
from terracast.adapt.evaluation.scores import crps
from terracast.stfm.forecaster import Forecaster, ForecastError, Request
from terracast.streams.instant import instant
from terracast.streams.panel import step_of

HELD_BACK = 0.2  # newest share of the matured issues
MOST_LEARNED, MOST_HELD = 96, 32  # issues


@dataclass(frozen=True)
class Pairs:
    """``panel`` has no row after now; ``learned`` and ``held`` are issue times whose labels have all come. The labels
    of ``learned`` were there before the first of ``held`` was issued."""

    panel: xr.Dataset
    request: Request
    learned: np.ndarray
    held: np.ndarray

    def labels(self, issues: np.ndarray) -> np.ndarray:
        """What came (issue, lead, node), NaN where not known."""
        target = self.panel[self.request.target].transpose("time", "node")
        wanted = (len(issues), self.request.horizon, target.sizes["node"])
        return np.array([rows_at(target, self.request.at(issue).valid_times) for issue in issues]).reshape(wanted)

    def forecasts(self, forecaster: Forecaster, issues: np.ndarray) -> np.ndarray:
        """What ``forecaster`` would have said (issue, lead, node, quantile)."""
        return hindcast(forecaster, self.panel, self.request, issues)


def up_to(known: xr.Dataset, now: np.datetime64) -> xr.Dataset:
    """The panel without its rows after ``now``, in order of time."""
    return known.isel(time=np.flatnonzero(known["time"].values <= instant(now))).sortby("time")


def matured(known: xr.Dataset, request: Request, *, most_learned: int = MOST_LEARNED, most_held: int = MOST_HELD,
            share: float = HELD_BACK) -> Pairs:
    """Pairs of ``known`` at ``request.issue_time``: the newest ``share`` of the matured issues is held back, a horizon
    is left between it and the rest, and up to so many are spread over each part. O(values)."""
    now = instant(request.issue_time)
    panel = up_to(known, now)
    step = request.step.astype("timedelta64[ns]")
    times = panel["time"].values.astype("datetime64[ns]")
    seen = np.isfinite(panel[request.target].transpose("time", "node").values).any(1)
    first = np.flatnonzero(seen)[:1]
    fit = (times + request.horizon * step <= now) & ((now - times) % step == np.timedelta64(0, "ns"))
    issues = times[fit & (np.arange(len(times)) >= (first[0] if len(first) else len(times)))]
    labelled = np.array([np.isin(request.at(issue).valid_times, times[seen]).any() for issue in issues], bool)
    issues = issues[labelled]
    if not len(issues):
        return Pairs(panel, request, issues, issues)
    held = issues[int(len(issues) * (1 - share)):]
    learned = issues[issues + request.horizon * step <= held[0]]
    return Pairs(panel, request, spread(learned, most_learned), spread(held, most_held))


def spread(items: np.ndarray, most: int) -> np.ndarray:
    """Up to ``most`` of the items, spread over all of them, at any phase of a season (golden-ratio steps).

    >>> spread(np.arange(5), 9).tolist(), len(spread(np.arange(1000), 30))
    ([0, 1, 2, 3, 4], 30)
    """
    if len(items) <= most:
        return items
    places = np.arange(most)
    return items[np.unique(((places + places * 0.6180339887498949 % 1) / most * len(items)).astype(int))]


def hindcast(forecaster: Forecaster, panel: xr.Dataset, request: Request, issues: np.ndarray) -> np.ndarray:
    """Forecasts (issue, lead, node, quantile) at past issue times, each from the rows up to it."""
    nodes = panel.sizes["node"]
    if not len(issues):
        return np.empty((0, request.horizon, nodes, len(request.quantiles)))
    many = getattr(forecaster, "forecast_many", None)
    if many is not None:
        with suppress(ForecastError):  # an issue too near the panel's beginning for many at once: one by one then
            return np.asarray(many(panel, request, issues)[request.target].values, "float64")
    times = panel["time"].values
    history = forecaster.capabilities.history * step_of(panel)
    return np.stack([forecaster.forecast(panel.isel(time=np.flatnonzero((times <= issue) & (times > issue - history))),
                                         request.at(issue))[request.target].values[0] for issue in issues]
                    ).astype("float64")


def losses_on(forecaster: Forecaster, pairs: Pairs) -> np.ndarray:
    """Mean CRPS of each held-back issue in spreads of each node; NaN where no label came, empty without issues."""
    labels, width = pairs.labels(pairs.held), spreads(pairs)
    said = pairs.forecasts(forecaster, pairs.held)
    return np.array([loss_of(one[None], known[None], pairs.request.quantiles, width)
                     for one, known in zip(said, labels, strict=True)])


def in_blocks(values: np.ndarray, pairs: Pairs) -> np.ndarray:
    """Means of ``values`` (held-back issue,) over blocks of one horizon, for issues nearer than that share labels."""
    known = np.isfinite(values)
    span = pairs.request.horizon * pairs.request.step.astype("timedelta64[ns]")
    block = (pairs.held - pairs.held[0])[known] // span
    return np.array([values[known][block == one].mean() for one in np.unique(block)])


def loss_of(said: np.ndarray, labels: np.ndarray, quantiles: tuple[float, ...], width: np.ndarray) -> float:
    """Mean over all known cells of the CRPS of ``said`` (issue, lead, node, quantile) over ``width`` (node,).

    >>> loss_of(np.zeros((1, 1, 1, 1)), np.ones((1, 1, 1)), (0.5,), np.array([2.0]))
    0.5
    """
    cells = crps(said, labels, quantiles) / width
    known = np.isfinite(labels)
    return float(cells[known].mean()) if known.any() else float("nan")


def spreads(pairs: Pairs) -> np.ndarray:
    """Typical size (node,) of a node's deviation from its median, so that large nodes do not outvote small ones."""
    values = pairs.panel[pairs.request.target].transpose("time", "node").values.astype("float64")
    known = np.isfinite(values).any(0)
    filled = np.where(known, values, 0.0)
    width = np.nanmean(np.abs(filled - np.nanmedian(filled, axis=0)), axis=0)
    usual = float(np.median(width[width > 0])) if (width > 0).any() else 1.0
    return np.maximum(width, 0.05 * usual)
