"""The rung that serves: a base's quantiles mixed online with closed-form experts, never far behind the base.

A stage after the base and its calibration, with the same two verbs: ``apply`` at an issue, ``learn`` as labels
mature. The experts are about the stream alone, so one mixture serves whatever base is champion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from terracast.adapt.correction.experts.aggregation import RegretBoundedMixture, crps_gradient
from terracast.adapt.correction.experts.experts import TREES, ExpertConfig, Experts
from terracast.adapt.correction.experts.network_residual import NetworkResidual, network_residual_width, reading
from terracast.adapt.correction.experts.residual_quantiles import ResidualQuantiles
from terracast.adapt.correction.experts.stacked_experts import Stacked, StackedExperts
from terracast.adapt.correction.hindcasts import Hindcasts
from terracast.adapt.correction.loss_budget import LossBudget
from terracast.adapt.correction.no_harm_guard import gaps, losses
from terracast.adapt.evaluation.scores import level, spread_of
from terracast.stfm.forecaster import Request
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.streams.errors import TerracastError
from terracast.streams.instant import nanoseconds
from terracast.streams.stateful import Stateful

MEMORY = 0.9995  # discount of an expert's losses for each row of the clock
BLEND_PRIORS = (0.4, 0.4, 0.04, 0.16)  # the stack of all, the corrector, the base, the trees
PRIORS = (0.2, 0.4, 0.4)  # base, base moved to the blend, blend with widths of its own
FULL = 4 * 14  # seasons from which on the experts read as far back as they ever do
MOST_LATE = 6  # rows before the issue that may be missing before gaps are filled instead
SKEWED = 1.0  # skewness of a network's values above which experts learn on a squashed scale
NANOSECONDS = "timedelta64[ns]"


class MixtureError(TerracastError):
    """A mixture asked for another network, horizon or an issue of the past."""


@dataclass(frozen=True)
class _Issued(Stateful):
    """What was said at one issue: the blend, what the corrector read and the middle it went from, the candidates (3,
    lead, node, quantile), their mixture, the weight (node,) with which it was served, the labels (lead, node) that
    have come, and for which cells none has."""

    said: Stacked
    read: np.ndarray
    middle: np.ndarray
    candidates: np.ndarray
    mixed: np.ndarray
    weight: np.ndarray
    labels: np.ndarray
    waiting: np.ndarray

    @property
    def served(self) -> np.ndarray:
        """Quantiles (lead, node, quantile), of which the base's are those of the first candidate."""
        return np.asarray(self.candidates[0] + self.weight[:, None] * (self.mixed - self.candidates[0]))


class Mixture(Stateful):
    """Base quantiles and experts of one stream, mixed for each (lead, node).

    First a ``StackedExperts`` of points (ridges, the base's median as the anchor, a ``NetworkResidual``; absolute
    error), then a ``RegretBoundedMixture`` on CRPS of three candidates: the base as it is, the base moved to the
    blend's point, and the blend with its own matured errors' quantiles in units of the base's width. Quantile by
    quantile a convex combination, so never crossing, and in the long run never worse than the base by more than the
    mixture's bound. Last a ``LossBudget``: what is served departs from the base only as far as it has earned, node by
    node, so that no node's CRPS or absolute error is ever above the base's by more than the budget's share. Start it
    with ``begin``; ``per_issue`` is the number of rows between two issues.

    >>> stamps = np.datetime64("2020-01-01", "ns") + np.arange(24 * 30) * np.timedelta64(1, "h")
    >>> wave = np.sin(np.arange(24 * 30) * 2 * np.pi / 24)[:, None] + [0.0, 5.0]
    >>> known = xr.DataArray(wave, dims=("time", "node"), coords={"time": stamps, "node": ["a", "b"]})
    >>> request = Request("x", stamps[-1], 6, np.timedelta64(1, "h"), (0.1, 0.5, 0.9))
    >>> mixture = Mixture.begin(known, request, per_issue=6)
    >>> base = np.array([-1.0, 0.0, 1.0]) + np.zeros((6, 2, 1))
    >>> mixture.apply(known, request, base).shape
    (6, 2, 3)
    """

    def __init__(self, experts: Experts, quantiles: tuple[float, ...], step: np.timedelta64, *, per_issue: int) -> None:
        horizon, nodes = experts.horizon, len(experts.tape.centre)
        number, delay = len(experts.names), -(-horizon // per_issue)
        ridges = experts.learned
        self.experts, self.quantiles, self.step = experts, quantiles, step.astype(NANOSECONDS)
        self.per_issue = per_issue
        self.corrector = NetworkResidual(horizon, network_residual_width(ridges, horizon, self._reads[1]))
        self.blend = StackedExperts(horizon, nodes, stacked=[*range(ridges), number, number + 1], averaged=[number + 1],
                                    anchor=number, priors=BLEND_PRIORS, alone=[experts.names.index(TREES)],
                                    delay=delay, loss="absolute", memory=MEMORY**per_issue)
        self.sure = RegretBoundedMixture(horizon, nodes, PRIORS, delay)
        self.widths = ResidualQuantiles(horizon, nodes, quantiles, 1.0,
                                        delays=np.ceil(np.arange(1, horizon + 1) / per_issue))
        self.budget = LossBudget(2, nodes)
        self._open: dict[int, _Issued] = {}
        self.outgrown_at: int | None = None  # of the row at which experts of a short past begin anew

    @classmethod
    def begin(cls, known: xr.DataArray, request: Request, *, per_issue: int, beside: xr.DataArray | None = None,
              hindcasts: Hindcasts | None = None, rows: int | None = None) -> Mixture:
        """Learn the experts from all that is known (time, node) at ``request.issue_time``, and two or so more from
        ``beside`` (time, variable, node), the target's company as ``covariates_of`` gives it; and their weights from
        ``hindcasts`` of the base, where there are any. They are chosen for a past of so many ``rows`` (default: what is
        known)."""
        if hindcasts is not None and known.sizes["time"]:
            rehearsed = hindcasts.since(known["time"].values[0].astype("datetime64[ns]"), request.issue_time)
            if len(rehearsed.times):
                made = cls.begin(known, request.at(rehearsed.times[0]), per_issue=per_issue,
                                 beside=None if beside is None else _between(beside, 0, _stamp(rehearsed.times[0])),
                                 rows=len(_on_clock(known, request.step.astype(NANOSECONDS), request.issue_time)[0]))
                made._rehearse(known, request, rehearsed, beside)
                return made
        step = request.step.astype(NANOSECONDS)
        values, first = _on_clock(known, step, request.issue_time)
        season, rows = SeasonalNaive().period(request.step), rows or len(values)
        recipe = ExpertConfig.usual(season, request.horizon, rows, values.shape[1], MOST_LATE,
                                    squash=_skewness(values) > SKEWED, covariates=beside is not None,
                                    trees=nanoseconds(step))
        others = None if beside is None else _covariate_rows(beside, step, first, len(values))
        experts = Experts.begin(values, first, request.horizon, recipe, others)
        made = cls(experts, tuple(request.quantiles), step, per_issue=per_issue)
        made.outgrown_at = first + min(2 * rows, FULL * season) if rows < FULL * season else None
        return made

    @property
    def has_outgrown(self) -> bool:
        """Whether twice the rows that the experts began with have come, and more would change what they read."""
        return self.outgrown_at is not None and self.experts.newest >= self.outgrown_at

    def grown(self, known: xr.DataArray, request: Request, beside: xr.DataArray | None) -> Mixture:
        """The same with experts begun anew on all that is known now; see ``begin``. Where they read the same variables,
        what was learned of their worth stays; else how much the base, and widths, were worth."""
        fresh = Mixture.begin(known, request, per_issue=self.per_issue, beside=beside)
        fresh.sure, fresh.widths = self.sure, self.widths
        if fresh._reads == self._reads:
            fresh.corrector, fresh.blend, fresh._open = self.corrector, self.blend, self._open
        else:
            for stamp in sorted(self._open):
                self._forget(stamp)
        fresh.budget = self.budget
        return fresh

    @property
    def _reads(self) -> tuple[tuple[str, ...], int]:
        """The names of the experts, and how many columns of covariates they read."""
        covariates = self.experts.covariates
        return self.experts.names, 0 if covariates is None else covariates.columns

    def apply(self, known: xr.DataArray, request: Request, base: np.ndarray,
              beside: xr.DataArray | None = None) -> np.ndarray:
        """Quantiles (lead, node, quantile) to serve for the base's of that shape, and the target as known now.

        ``known`` (time, node) must reach back to the last issue; older rows tell what came late. ``beside`` (time,
        variable, node): the company's rows since the last issue, where the mixture began with one.
        """
        wanted = (self.experts.horizon, len(self.experts.tape.centre), len(self.quantiles))
        if np.shape(base) != wanted:
            raise MixtureError(f"base of shape {np.shape(base)}", where="mixture",
                               expected=f"(lead, node, quantile) = {wanted}", remedy="begin a mixture of its own")
        ahead = self._catch_up(known, request.issue_time, beside)
        median = level(base, self.quantiles, 0.5)
        points = self.experts.points(ahead)
        read, middle = self._read(points, base)
        corrected = self.experts.tape.unscaled(self.corrector.predict(read, middle))
        said = self.blend.mix(np.concatenate([points, median[None], corrected[None]]))
        width = _width(base, self.quantiles, self.experts.tape.width)
        own = said.served[..., None] + width[..., None] * self.widths.around(np.zeros_like(median))
        candidates = np.stack([base, base + (said.served - median)[..., None], own])
        mixed = (self.sure.weights()[..., None] * candidates).sum(axis=0)
        self._forget(_stamp(request.issue_time))
        weight = self.budget.spend(gaps(base, mixed, self.quantiles).sum(axis=1))
        issued = _Issued(said, read, middle, candidates, mixed, weight, np.full(median.shape, np.nan),
                         np.ones(median.shape, bool))
        self._open[_stamp(request.issue_time)] = issued
        while len(self._open) > 2 * wanted[0] + 64:  # labels that late are not waited for
            self._forget(min(self._open))
        return np.maximum.accumulate(issued.served, axis=-1)  # rounding must not cross

    def learn(self, issue_time: np.datetime64, labels: np.ndarray) -> None:
        """Learn from labels (lead, node) newly matured for what was served at ``issue_time``; NaN: not now."""
        stamp = _stamp(issue_time)
        if stamp not in self._open or not np.isfinite(labels).any():
            return
        issued = self._open[stamp]
        said, base, mixed = issued.said, issued.candidates[0], issued.mixed
        self.blend.learn(said, labels)
        self.sure.learn(crps_gradient(mixed, issued.candidates, labels, self.quantiles))
        width = _width(base, self.quantiles, self.experts.tape.width)
        self.widths.learn(labels / width, said.served / width, issued.candidates[2] / width[..., None])
        self._settle(issued, labels, np.isfinite(labels))
        self._open[stamp] = replace(issued, waiting=issued.waiting & ~np.isfinite(labels),
                                    labels=np.where(np.isfinite(labels), labels, issued.labels))

    def close(self, issue_time: np.datetime64) -> None:
        """No more labels are waited for."""
        self._forget(_stamp(issue_time))

    def weights(self) -> dict[str, float]:
        """Mean weight of each candidate, and how far the mixture was trusted at the newest issue, for the receipt."""
        means = self.sure.weights().mean(axis=(1, 2))
        trusted = float(self._open[max(self._open)].weight.mean()) if self._open else 0.0
        return dict(zip(("base", "moved-base", "experts"), map(float, means), strict=True)) | {"trusted": trusted}

    def _rehearse(self, known: xr.DataArray, request: Request, hindcasts: Hindcasts,
                  beside: xr.DataArray | None) -> None:
        """Go through hindcasts as if live, then stand at ``request.issue_time``; what was gained there is not spent."""
        values, first = _on_clock(known, self.step, request.issue_time)
        clock, leads = nanoseconds(self.step), np.arange(1, self.experts.horizon + 1)
        before = _stamp(hindcasts.times[0]) // clock
        for time, base in zip(hindcasts.times, hindcasts.quantiles, strict=True):
            now = _stamp(time) // clock
            for stamp in sorted(self._open):
                due = stamp // clock + leads
                fresh = (due > before) & (due <= now)
                fresh &= due < first + len(values)
                rows = values[np.where(fresh, due - first, 0)]
                self.learn(np.datetime64(stamp, "ns"), np.where(fresh[:, None], rows, np.nan))
                if due[-1] <= now:
                    self._forget(stamp)
            others = None if beside is None else _between(beside, before * clock, _stamp(time))
            self.apply(_between(known, before * clock, _stamp(time)), request.at(time), base, others)
            before = now
        self._catch_up(known, request.issue_time, beside)
        self.experts.make_checkpoint()  # of now: the first one in service is days away
        self._open, self.budget = {}, LossBudget(2, values.shape[1])

    def _catch_up(self, known: xr.DataArray, issue_time: np.datetime64, beside: xr.DataArray | None) -> int:
        """Feed the rows that have come since; returns how many rows before the issue the newest fed one lies."""
        issue = _stamp(issue_time) // nanoseconds(self.step)
        values, first = _on_clock(known, self.step, issue_time)
        newest = self.experts.newest
        if issue < newest:
            raise MixtureError(f"issue time {issue_time} lies before the newest row learned", where="mixture",
                               expected="rising issue times", remedy="restore an older state")
        seen = np.isfinite(values).mean(axis=1)
        told = np.flatnonzero(seen >= 0.5 * min(1.0, 2 * float(seen.max(initial=0.0))))
        told = told[seen[told] > 0]
        last = max(first + int(told[-1]) if len(told) else newest, issue - self.experts.recipe.slack, newest)
        overlap = values[:max(0, newest + 1 - first)]
        self.experts.correct(overlap)
        silent = np.full(values.shape[1], np.nan)
        others = None if beside is None else _covariate_rows(beside, self.step, newest + 1, last - newest)
        for number, row in enumerate(range(newest + 1, last + 1)):
            self.experts.observe(values[row - first] if 0 <= row - first < len(values) else silent,
                                 None if others is None else others[number])
        return issue - last

    def _read(self, points: np.ndarray, base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the corrector reads of the experts' points and the base, and the middle between them."""
        experts, tape = self.experts, self.experts.tape
        ridges = points[:experts.learned]
        three = np.stack([level(base, self.quantiles, one) for one in (0.1, 0.5, 0.9)])
        covariates = None if experts.covariates is None else experts.covariates.features()
        return reading(tape.rescaled(ridges), tape.rescaled(three), tape.scaled[-2:], covariates)

    def _forget(self, stamp: int) -> None:
        if stamp in self._open:
            issued = self._open.pop(stamp)
            self.corrector.learn(issued.read, issued.middle, self.experts.tape.rescaled(issued.labels))
            self._settle(issued, np.full(issued.waiting.shape, np.nan), issued.waiting)

    def _settle(self, issued: _Issued, labels: np.ndarray, ended: np.ndarray) -> None:
        """Tell the budget what came of the cells (lead, node) that wait no longer; NaN labels lost nothing."""
        base = issued.candidates[0]
        stake = np.where(ended, issued.weight * gaps(base, issued.mixed, self.quantiles), 0.0).sum(axis=1)
        self.budget.settle(losses(base, labels, self.quantiles), losses(issued.served, labels, self.quantiles), stake)



def _skewness(values: np.ndarray) -> float:
    """Median over nodes of the skewness of what is known; 0 where nothing moves."""
    centred = values - np.nanmean(values, axis=0) if len(values) else values
    with np.errstate(all="ignore"):
        skew = np.nanmean(centred**3, axis=0) / np.nanmean(centred**2, axis=0) ** 1.5
    return float(np.median(skew[np.isfinite(skew)])) if np.isfinite(skew).any() else 0.0


def _on_clock(known: xr.DataArray, step: np.timedelta64, until: np.datetime64) -> tuple[np.ndarray, int]:
    """Rows (row, node) up to ``until`` on the step's clock, NaN in holes, and the first row's number on it."""
    numbers = known["time"].values.astype("datetime64[ns]").astype(np.int64) // nanoseconds(step)
    past = numbers <= _stamp(until) // nanoseconds(step)
    values = known.transpose("time", "node").values[past].astype("float64")
    if not len(values):
        return np.full((0, known.sizes["node"]), np.nan), _stamp(until) // nanoseconds(step) + 1
    numbers = numbers[past]
    rows = np.full((int(numbers[-1] - numbers[0]) + 1, values.shape[1]), np.nan)
    rows[numbers - numbers[0]] = np.where(np.isfinite(values), values, np.nan)
    return rows, int(numbers[0])


def _between(held: xr.DataArray, first: int, last: int) -> xr.DataArray:
    """Rows (time, …) from the stamp ``first`` to ``last``, both included."""
    stamps = held["time"].values.astype("datetime64[ns]").astype(np.int64)
    begin, end = np.searchsorted(stamps, first), np.searchsorted(stamps, last, side="right")
    return held.isel(time=slice(int(begin), int(end)))


def _covariate_rows(beside: xr.DataArray, step: np.timedelta64, first: int, rows: int) -> np.ndarray:
    """The company (row, variable, node) of so many rows of the clock from ``first`` on, NaN in holes."""
    numbers = beside["time"].values.astype("datetime64[ns]").astype(np.int64) // nanoseconds(step) - first
    found = np.full((rows, beside.sizes["variable"], beside.sizes["node"]), np.nan)
    within = (numbers >= 0) & (numbers < rows)
    found[numbers[within]] = beside.transpose("time", "variable", "node").values[within]
    return found


def _stamp(time: np.datetime64) -> int:
    return int(time.astype("datetime64[ns]").astype(np.int64))


def _width(base: np.ndarray, quantiles: tuple[float, ...], usual: np.ndarray) -> np.ndarray:
    """A base's own deviation (lead, node), never nothing beside the ``usual`` one (node,) of the stream."""
    return np.asarray(np.maximum(spread_of(base, quantiles), 0.02 * usual))
