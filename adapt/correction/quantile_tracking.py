"""Tracked quantile levels: corrects, online, how wide a base forecast is, and leaves its median alone.

Works behind any base (a black box with quantiles); learns only from labels that have matured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from terracast.adapt.evaluation.scores import level, spread_of
from terracast.streams.errors import TerracastError
from terracast.streams.stateful import Stateful

CLIP_SIGMA = 8.0  # deviations: no error counts for more


class CalibrationError(TerracastError):
    """Forecasts or labels of another shape than the calibration was made for."""


@dataclass(frozen=True)
class Rates(Stateful):
    """How fast the calibration learns; one issue with all its labels is one unit of experience.

    Attributes
    ----------
    interval
        Step of the quantile levels of a node, in deviations of the base. Chosen on the first year of Beijing's PM2.5
        and O3.
    common
        Step of what all nodes share, against the mean miss of all labels. With it, a month in which the whole network
        is missed is caught up with ten times sooner than node by node. Chosen on SO2, CO and Irish wind.
    """

    interval: float = 0.05
    common: float = 0.0


class QuantileTracker(Stateful):
    """Online correction of quantile forecasts, one offset for each node, group of leads and quantile.

    Every offset is in units of the base's own deviation, so no units enter. Each quantile is tracked so that labels
    fall below it as often as it says, by a step of its own and one that all nodes share (Gibbs and Candès 2021;
    Angelopoulos, Candès and Tibshirani 2023, the integral step of conformal PID). Late labels only delay it. The
    median belongs to whatever corrected the location before: tracking it too was measured to cost MAE.

    Parameters
    ----------
    nodes, horizon, quantiles
        Shape of the forecasts: (lead, node, quantile).
    rates
        How fast it learns.

    Notes
    -----
    An update costs O(leads with labels × nodes × quantiles), whatever came before.

    Examples
    --------
    >>> draws = np.random.default_rng(0)
    >>> calibration = QuantileTracker(nodes=1, horizon=2, quantiles=(0.1, 0.5, 0.9))
    >>> base = np.tile([-1.28, 0.0, 1.28], (2, 1, 1))
    >>> for day in range(300):  # the world is twice as wide as the base says
    ...     served = calibration.apply(base)
    ...     calibration.learn(base, 2 * draws.normal(size=(2, 1)))
    >>> bool(abs(served[0, 0, 2] - 2.56) < 0.6), float(served[0, 0, 1])
    (True, 0.0)
    """

    NOT_KEPT = frozenset({"_levels", "_median", "_group", "_leads"})

    def __init__(self, nodes: int, horizon: int, quantiles: Sequence[float], rates: Rates | None = None) -> None:
        self.nodes, self.horizon = nodes, horizon
        self.quantiles = tuple(float(quantile) for quantile in quantiles)
        self.rates = Rates() if rates is None else rates
        self.restored()
        self._offsets = np.zeros((len(self._leads), nodes, len(self._levels)))
        self._common = np.zeros((len(self._leads), 1, len(self._levels)))

    def restored(self) -> None:
        """Quantiles and groups of leads as arrays."""
        self._levels = np.array(self.quantiles)
        self._median = np.isclose(self._levels, 0.5)
        self._group = lead_groups(self.horizon)
        self._leads = np.bincount(self._group).astype(float)

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Corrected quantiles (lead, node, quantile) of a base forecast of that shape; never crossing."""
        values = self._checked(values)
        offsets = (self._offsets + self._common)[self._group]
        return self._uncrossed(values + self._scale(values)[..., None] * offsets)

    def learn(self, values: np.ndarray, labels: np.ndarray) -> None:
        """Learn from labels (lead, node) that have newly matured for the base forecast ``values``.

        NaN: not matured, or matured before; give each label once, in any order of issues.
        """
        values, labels = self._checked(values), np.asarray(labels, float)
        if labels.shape != values.shape[:2]:
            raise CalibrationError(f"labels of shape {labels.shape}", where="calibration",
                                   expected=f"(lead, node) = {values.shape[:2]}", remedy="give NaN where none came")
        rows = np.flatnonzero(np.isfinite(labels).any(axis=1))
        if not len(rows):
            return
        scale = self._scale(values)[rows]
        values, labels = values[rows], labels[rows]
        there = np.isfinite(labels)
        median = level(values, self.quantiles, 0.5)
        error = np.where(there, np.clip((labels - median) / scale, -CLIP_SIGMA, CLIP_SIGMA), 0.0)
        quantiles = (values - median[..., None]) / scale[..., None] + (self._offsets + self._common)[self._group[rows]]
        missed = np.where(there[..., None], self._levels - (error[..., None] <= quantiles), 0.0)
        whole = self._per_issue(np.where(self._median, 0.0, missed), rows)
        self._offsets += self.rates.interval * whole
        if self.rates.common:
            number = self._per_issue(there.astype(float), rows)
            share = np.max(number, axis=1, initial=0.0)  # of an issue: late and single labels move little
            mean = whole.sum(axis=1) / np.maximum(number.sum(axis=1), 1e-12)[:, None]
            self._common[:, 0] += self.rates.common * share[:, None] * mean

    def _uncrossed(self, values: np.ndarray) -> np.ndarray:
        """Rising quantiles; the median stays where it is, for its error is not this stage's to spend."""
        middle = int(np.argmin(np.abs(self._levels - 0.5)))
        if abs(self._levels[middle] - 0.5) > 1e-9:
            return np.sort(values, axis=-1)
        below = np.minimum.accumulate(values[..., middle::-1], axis=-1)[..., ::-1]
        return np.concatenate([below, np.maximum.accumulate(values[..., middle:], axis=-1)[..., 1:]], axis=-1)

    def _scale(self, values: np.ndarray) -> np.ndarray:
        """The base's own deviation (lead, node)."""
        width = spread_of(values, self.quantiles)
        return np.maximum(width, 1e-3 * float(np.median(width)) + 1e-9)

    def _per_issue(self, cells: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Sums of (lead of ``rows``, node, …) over each lead group, as shares of a whole issue: (group, node, …)."""
        group = self._group[rows]
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        whole = np.zeros((len(self._leads), *cells.shape[1:]))
        size = self._leads[group[starts]].reshape(-1, *[1] * (cells.ndim - 1))
        whole[group[starts]] = np.add.reduceat(cells, starts, axis=0) / size
        return whole

    def _checked(self, values: np.ndarray) -> np.ndarray:
        wanted = (self.horizon, self.nodes, len(self.quantiles))
        if np.shape(values) != wanted:
            raise CalibrationError(f"forecast of shape {np.shape(values)}", where="calibration",
                                   expected=f"(lead, node, quantile) = {wanted}",
                                   remedy="make a calibration of its own")
        return np.asarray(values, float)


def lead_groups(horizon: int) -> np.ndarray:
    """The group of each lead, doubling in length: 1, 2, 3–4, 5–8, 9–16, …

    >>> lead_groups(9).tolist()
    [0, 1, 2, 2, 3, 3, 3, 3, 4]
    """
    return np.ceil(np.log2(np.arange(1, horizon + 1))).astype(int)
