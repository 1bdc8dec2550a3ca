"""The rung that serves: a base's quantiles mixed online with closed-form experts, never far behind the base.

A stage after the base and its calibration, with the same two verbs: ``apply`` at an issue, ``learn`` as labels
mature. The experts are about the stream alone, so the mixtures of all versions read the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from terracast.adapt.correction.experts.streaming import StreamingExperts, stamp
from terracast.adapt.correction.loss_budget import LossBudget
from terracast.adapt.correction.no_harm_guard import gaps, losses
from terracast.adapt.correction.quantile_aggregation import Aggregated, QuantileAggregation
from terracast.stfm.forecaster import Request
from terracast.streams.errors import TerracastError
from terracast.streams.stateful import Stateful

MOST_OPEN = 64  # issues beyond two horizons that wait for labels; what is later still is not waited for


class MixtureError(TerracastError):
    """A mixture asked for another network or horizon."""


@dataclass(frozen=True)
class _Issued(Stateful):
    """One issue: what was aggregated, the weight (node,) with which it was served, the labels (lead, node) that have
    come, and for which cells none has."""

    aggregated: Aggregated
    weight: np.ndarray
    labels: np.ndarray
    waiting: np.ndarray

    @property
    def served(self) -> np.ndarray:
        """Quantiles (lead, node, quantile)."""
        base = self.aggregated.base
        return np.asarray(base + self.weight[:, None] * (self.aggregated.mixed - base))


class Mixture(Stateful):
    """Base quantiles and experts of one stream, mixed for each (lead, node) and served as far as earned.

    The experts of the stream give points, a ``QuantileAggregation`` mixes them with the base's quantiles, and a
    ``LossBudget`` lets what is served depart from the base only as far as it has earned, node by node: no node's CRPS
    or absolute error is ever above the base's by more than the budget's share. Start it with ``begin``; ``per_issue``
    is the number of rows between two issues. A state has no experts: hand them back with ``reading``.

    >>> stamps = np.datetime64("2020-01-01", "ns") + np.arange(24 * 30) * np.timedelta64(1, "h")
    >>> wave = np.sin(np.arange(24 * 30) * 2 * np.pi / 24)[:, None] + [0.0, 5.0]
    >>> known = xr.DataArray(wave, dims=("time", "node"), coords={"time": stamps, "node": ["a", "b"]})
    >>> request = Request("x", stamps[-1], 6, np.timedelta64(1, "h"), (0.1, 0.5, 0.9))
    >>> mixture = Mixture.begin(known, request, per_issue=6)
    >>> base = np.array([-1.0, 0.0, 1.0]) + np.zeros((6, 2, 1))
    >>> mixture.apply(known, request, base).shape
    (6, 2, 3)
    """

    NOT_KEPT = frozenset({"stream"})

    def __init__(self, stream: StreamingExperts, quantiles: tuple[float, ...], *, per_issue: int) -> None:
        self.stream, self.quantiles, self.per_issue = stream, quantiles, per_issue
        self.nodes = len(stream.experts.history.centre)
        self.aggregation = QuantileAggregation(stream.experts, stream.reads[1], quantiles, per_issue)
        self.budget = LossBudget(2, self.nodes)
        self._open: dict[int, _Issued] = {}

    @classmethod
    def begin(cls, known: xr.DataArray, request: Request, *, per_issue: int, beside: xr.DataArray | None = None,
              rows: int | None = None) -> Mixture:
        """Learn the experts from all that is known (time, node) at ``request.issue_time``, and two or so more from
        ``beside`` (time, variable, node), the target's covariates as ``covariates_of`` gives them. They are chosen for
        a past of so many ``rows`` (default: what is known)."""
        return cls(StreamingExperts.begin(known, request, beside, rows), tuple(request.quantiles), per_issue=per_issue)

    def reading(self, stream: StreamingExperts) -> Mixture:
        """The same, handed its experts."""
        self.stream = stream
        return self

    def grown(self, stream: StreamingExperts) -> Mixture:
        """The same with experts that were begun anew on all that is known now. Where they read the same variables, what
        was learned of their worth stays; else how much the base, and widths, were worth."""
        fresh = Mixture(stream, self.quantiles, per_issue=self.per_issue)
        if stream.reads == self.stream.reads:
            fresh.aggregation, fresh._open = self.aggregation, self._open
        else:
            for at in sorted(self._open):
                self._close(at)
            fresh.aggregation.carry_over(self.aggregation)
        fresh.budget = self.budget
        return fresh

    def apply(self, known: xr.DataArray, request: Request, base: np.ndarray,
              beside: xr.DataArray | None = None) -> np.ndarray:
        """Quantiles (lead, node, quantile) to serve for the base's of that shape, and the target as known now.

        ``known`` and ``beside``: see ``StreamingExperts.catch_up``.
        """
        wanted = (self.stream.experts.horizon, self.nodes, len(self.quantiles))
        if np.shape(base) != wanted:
            raise MixtureError(f"base of shape {np.shape(base)}", where="mixture",
                               expected=f"(lead, node, quantile) = {wanted}", remedy="begin a mixture of its own")
        self.stream.catch_up(known, request.issue_time, beside)
        aggregated = self.aggregation.mix(self.stream.experts, self.stream.rows_ahead(request), base)
        self.close(request.issue_time)
        weight = self.budget.spend(gaps(base, aggregated.mixed, self.quantiles).sum(axis=1))
        issued = _Issued(aggregated, weight, np.full(base.shape[:2], np.nan), np.ones(base.shape[:2], bool))
        self._open[stamp(request.issue_time)] = issued
        while len(self._open) > 2 * wanted[0] + MOST_OPEN:
            self._close(min(self._open))
        return np.maximum.accumulate(issued.served, axis=-1)  # rounding must not cross

    def learn(self, issue_time: np.datetime64, labels: np.ndarray) -> None:
        """Learn from labels (lead, node) newly matured for what was served at ``issue_time``; NaN: not now."""
        at, come = stamp(issue_time), np.isfinite(labels)
        if at not in self._open or not come.any():
            return
        issued = self._open[at]
        self.aggregation.learn(self.stream.experts, issued.aggregated, labels)
        self._settle(issued, labels, come)
        self._open[at] = replace(issued, waiting=issued.waiting & ~come, labels=np.where(come, labels, issued.labels))

    def close(self, issue_time: np.datetime64) -> None:
        """No more labels are waited for."""
        self._close(stamp(issue_time))

    def enter_service(self, known: xr.DataArray, issue_time: np.datetime64, beside: xr.DataArray | None) -> None:
        """After a rehearsal: read what is known at ``issue_time``; no issue is open, and nothing gained may be lost."""
        self.stream.catch_up(known, issue_time, beside)
        self.stream.experts.make_checkpoint()  # of now: the first one in service is days away
        self._open, self.budget = {}, LossBudget(2, self.nodes)

    def weights(self) -> dict[str, float]:
        """Mean weight of each candidate, and how far the mixture was trusted at the newest issue, for the receipt."""
        trusted = float(self._open[max(self._open)].weight.mean()) if self._open else 0.0
        return self.aggregation.weights() | {"trusted": trusted}

    def _close(self, at: int) -> None:
        if at in self._open:
            issued = self._open.pop(at)
            self.aggregation.close(self.stream.experts, issued.aggregated, issued.labels)
            self._settle(issued, np.full(issued.waiting.shape, np.nan), issued.waiting)

    def _settle(self, issued: _Issued, labels: np.ndarray, ended: np.ndarray) -> None:
        """Tell the budget what came of the cells (lead, node) that wait no longer; NaN labels lost nothing."""
        base, served = issued.aggregated.base, issued.served
        stake = np.where(ended, issued.weight * gaps(base, issued.aggregated.mixed, self.quantiles), 0.0).sum(axis=1)
        self.budget.settle(losses(base, labels, self.quantiles), losses(served, labels, self.quantiles), stake)
