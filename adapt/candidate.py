"""A contender: one model version with its own calibration and the forecasts of it whose labels are still to come.

Champion and challenger are both contenders and are treated alike: they issue at every tick, labels mature one by
one, and each forecast is scored once, when all its labels are known or the patience for late ones is over.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from terracast.adapt.correction.experts.streaming import StreamingExperts
from terracast.adapt.correction.mixture import Mixture
from terracast.adapt.correction.no_harm_guard import NoHarmGuard
from terracast.adapt.correction.quantile_tracking import QuantileTracker
from terracast.adapt.correction.residual_ridge import ResidualRidge
from terracast.adapt.evaluation.scores import crps, inside, level
from terracast.stfm.forecaster import Forecaster, Request
from terracast.stfm.wall_clock import forecast_by_clock
from terracast.streams.kinds.counts import as_counts, is_counted
from terracast.streams.quality.limits import possible
from terracast.streams.stateful import Stateful


@dataclass
class PendingForecast(Stateful):
    """A forecast that still waits for labels; arrays (lead, node, quantile), labels (lead, node).

    ``raw`` is the model's, ``moved`` what stacking and mixture made of it, ``served`` what calibration made of that;
    ``features`` (node, feature) are what stacking learns from. ``shadow``: made to be compared, not served. ``counts``:
    the target counts, so whole numbers were told (``issued``).
    """

    issue_time: np.datetime64
    version: str
    shadow: bool
    raw: np.ndarray
    moved: np.ndarray
    served: np.ndarray
    labels: np.ndarray
    features: np.ndarray
    counts: bool = False

    @property
    def issued(self) -> np.ndarray:
        """What was handed out; corrections learn from ``served``, which is finer where counts are rounded."""
        return as_counts(self.served) if self.counts else self.served


@dataclass(frozen=True)
class Score:
    """What one closed forecast was worth, per node: means over the leads whose label came (NaN: none did).

    ``labels`` counts them; ``hits`` is the share of labels inside the served 80 % interval, ``last_hit`` the same
    at the last lead alone.
    """

    issue_time: np.datetime64
    version: str
    shadow: bool
    absolute_error: np.ndarray
    crps: np.ndarray
    hits: np.ndarray
    last_hit: np.ndarray
    labels: np.ndarray


@dataclass
class Candidate(Stateful):
    """A model that serves or is compared. Without ``residual_ridge``, ``mixture`` and ``calibration`` its own quantiles
    are served; with ``guard`` what they make of them is served only as far as it has earned it, node by node."""

    version: str
    model: Forecaster
    calibration: QuantileTracker | None
    request: Request
    residual_ridge: ResidualRidge | None = None
    mixture: Mixture | None = None
    guard: NoHarmGuard | None = None
    open: list[PendingForecast] = field(default_factory=list)
    NOT_KEPT = frozenset({"model", "request"})

    def successor(self, version: str, model: Forecaster) -> Candidate:
        """Another model with copies of these corrections as they stand, the same experts, and no open forecasts."""
        made = Candidate.restore({**self.state(), "version": version, "open": []})
        made.equipped(model, self.request, None if self.mixture is None else self.mixture.stream)
        made.guard = None if self.guard is None else self.guard.successor()
        return made

    def equipped(self, model: Forecaster, request: Request, stream: StreamingExperts | None) -> Candidate:
        """The same, handed what a state does not keep: the ``model`` of this version, the ``request``, and the experts
        of the ``stream``."""
        self.model, self.request = model, request
        if self.mixture is not None and stream is not None:
            self.mixture.reading(stream)
        return self

    def grow(self, known: xr.DataArray, stream: StreamingExperts) -> None:
        """Go on with experts begun anew on all that is ``known`` (time, node); see ``Mixture.grown``. The ridge, too,
        where its scale was far off."""
        if self.mixture is not None:
            self.mixture = self.mixture.grown(stream)
        fresh = None if self.residual_ridge is None else self.residual_ridge.outgrown(known.values)
        if fresh is not None:
            self.residual_ridge = fresh
            for one in self.open:  # what was read on the old scale teaches nothing
                one.features = np.full_like(one.features, np.nan)

    def issue(self, context: xr.Dataset, issue_time: np.datetime64, *, shadow: bool,
              beside: xr.DataArray | None = None) -> xr.Dataset:
        """Forecast, calibrate, remember for scoring; returns the calibrated forecast. ``beside`` (time, variable,
        node): the company that the mixture began with, on the same clock."""
        forecast = forecast_by_clock(self.model, context, self.request.at(issue_time))
        raw = forecast[self.request.target].values[0].astype("float64")
        counts = is_counted(context[self.request.target])
        low, high = bounds(context[self.request.target], self.request.step)  # what cannot be is not told
        raw = np.clip(raw, low, high)
        moved, features = raw, np.empty((raw.shape[1], 0))
        if self.residual_ridge is not None:
            median = level(raw, self.request.quantiles, 0.5)
            features = self.residual_ridge.features(context, self.request.at(issue_time), median)
            moved = self.residual_ridge.apply(raw, median, features)
        if self.mixture is not None:
            moved = self.mixture.apply(context[self.request.target], self.request.at(issue_time), moved, beside)
        moved = _single(np.clip(moved, low, high))
        served = np.clip(moved if self.calibration is None else self.calibration.apply(moved), low, high)
        if self.guard is not None:
            served = self.guard.serve(raw, served)
        served = _single(served)
        labels = np.full(raw.shape[:2], np.nan)
        made = PendingForecast(issue_time, self.version, shadow, raw, moved, served, labels, features, counts)
        self.open.append(made)
        told = {self.request.target: made.issued[None].astype("float32")}
        return forecast.copy(data={name: told.get(str(name), one.values) for name, one in forecast.data_vars.items()})

    def match_labels(self, now: np.datetime64, labels: xr.DataArray, label_timeout: np.timedelta64) -> list[Score]:
        """Take in labels (time, node) as known now; the first value seen of a label counts.

        Learns the calibration from newly matured labels and returns the scores of forecasts that closed.
        O(open forecasts × leads × nodes).
        """
        for one in self.open:
            valid = self.request.at(one.issue_time).valid_times
            known = rows_at(labels, valid)
            fresh = np.isnan(one.labels) & np.isfinite(known)
            if fresh.any():
                one.labels = np.where(fresh, known, one.labels)
                if self.mixture is not None:
                    self.mixture.learn(one.issue_time, np.where(fresh, known, np.nan))
                if self.calibration is not None:
                    self.calibration.learn(one.moved, np.where(fresh, known, np.nan))
                if self.guard is not None:
                    self.guard.settle(one.raw, one.served, np.where(fresh, known, np.nan), fresh)
        closed = [one for one in self.open if self._over(one, now, label_timeout)]
        self.open = [one for one in self.open if not self._over(one, now, label_timeout)]
        self._no_longer_open(closed)
        if self.residual_ridge is not None:
            for one in closed:
                self.residual_ridge.learn(one.features, level(one.raw, self.request.quantiles, 0.5), one.labels)
        return [self._score(one) for one in closed]

    def drop_shadows(self) -> None:
        """Forecasts that were made to be compared are not waited for any more."""
        self._no_longer_open([one for one in self.open if one.shadow])
        self.open = [one for one in self.open if not one.shadow]

    def _no_longer_open(self, forecasts: list[PendingForecast]) -> None:
        for one in forecasts:
            if self.mixture is not None:
                self.mixture.close(one.issue_time)
            if self.guard is not None:
                none = np.full(one.labels.shape, np.nan)
                self.guard.settle(one.raw, one.served, none, np.isnan(one.labels))

    def _over(self, one: PendingForecast, now: np.datetime64, label_timeout: np.timedelta64) -> bool:
        last = self.request.at(one.issue_time).valid_times[-1]
        return bool(np.isfinite(one.labels).all()) or now >= last + label_timeout

    def _score(self, one: PendingForecast) -> Score:
        quantiles, told = self.request.quantiles, one.issued
        error = np.abs(one.labels - level(told, quantiles, 0.5))
        hits = inside(told, one.labels, quantiles)
        return Score(one.issue_time, one.version, one.shadow, _mean(error),
                     _mean(crps(told, one.labels, quantiles)), _mean(hits), hits[-1],
                     np.isfinite(one.labels).sum(axis=0))


def bounds(target: xr.DataArray, step: np.timedelta64) -> tuple[float, float]:
    """The least and the most that a forecast may say: what the ``target`` (time, node) can be by its name and units,
    and in any case what was observed."""
    low, high = possible(target, step)
    low = max(low, 0.0) if is_counted(target) else low
    seen = target.values[np.isfinite(target.values)]
    return (min(low, float(seen.min())), max(high, float(seen.max()))) if len(seen) else (low, high)


def rows_at(labels: xr.DataArray, valid: np.ndarray) -> np.ndarray:
    """Rows of ``labels`` at the stamps ``valid``; NaN rows where the panel has none. Its clock is sorted."""
    time, values = labels["time"].values, labels.values
    rows = np.full((len(valid), values.shape[1]), np.nan)
    if len(time):
        at = np.minimum(np.searchsorted(time, valid), len(time) - 1)
        there = time[at] == valid
        rows[there] = values[at[there]]
    return rows


def _single(values: np.ndarray) -> np.ndarray:
    """Values as they are handed out, in single precision, so that they are scored as served and kept in half the
    room."""
    return values.astype("float32").astype("float64")


def _mean(cells: np.ndarray) -> np.ndarray:
    """Mean over leads of the cells that are known, NaN where none is."""
    known = np.isfinite(cells)
    return np.where(known.any(axis=0), np.where(known, cells, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1),
                    np.nan)
