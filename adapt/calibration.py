"""Rung 1: correct what a base says without touching it: its location and its quantile levels, online and guarded.

Works behind any base (a black box with quantiles); learns only from labels that have matured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from adapt.scores import level
from streams.errors import TerracastError

SPREAD = 2.563  # standard deviations between the 10 % and the 90 % quantile of a normal law
USUAL_LOSS = 0.25  # about the CRPS of a good forecast, in its own deviations
FEATURES = 5  # one, anomaly of the median, recent level error, and the hour of the day as sine and cosine
FARTHEST = 3.0  # deviations: no correction is larger, and no error counts for more
USUAL_MEMORY = 2000.0  # labels that the usual level of a cell remembers
HOUR = np.timedelta64(1, "h")
DAY = np.timedelta64(1, "D").astype("timedelta64[ns]").astype(np.int64)


class CalibrationError(TerracastError):
    """Forecasts or labels of another shape than the calibration was made for."""


@dataclass(frozen=True)
class Rates:
    """How fast the calibration learns; one issue with all its labels is one unit of experience.

    ``half_lives``: memory of each location expert, in issues. ``ridge``: how many issues the identity is worth.
    ``recent``: weight of the newest errors in the recent level error. ``eagerness``, ``guard_half_life`` (issues) and
    ``guard_prior`` (issues of equal loss to begin with): the hedge between base and experts. ``interval``: step of
    the quantile levels of a node, in deviations; ``common``: of what all nodes share, against the mean miss of all
    labels (a month in which the whole network is missed is caught up with ten times sooner than node by node). Chosen
    on the first year of Beijing PM2.5 and O3, ``common`` on SO2, CO and Irish wind.
    """

    half_lives: tuple[float, ...] = (60.0, 400.0)
    ridge: float = 40.0
    recent: float = 0.4
    eagerness: float = 10.0
    guard_half_life: float = 200.0
    guard_prior: float = 40.0
    interval: float = 0.05
    common: float = 0.0


class OutputCalibration:
    """Online correction of quantile forecasts, one set of numbers for each node and group of leads.

    Every number is in units of the base's own deviation, so no units enter. (a) Location: recursive least squares of
    the error on [1, anomaly of the base's median, recent level error, hour of day], shrunk to no correction, one
    for each half-life, mixed with the uncorrected base by exponential weights on discounted CRPS. The mixture is
    convex, so its loss is never above the weighted loss of its parts. (b) Levels: each quantile is tracked so that
    labels fall below it as often as it says, by a step of its own and one that all nodes share (Gibbs and Candès
    2021; Angelopoulos, Candès and Tibshirani 2023, the integral step of conformal PID); late labels only delay it.

    ``step``: time between leads. An update costs O(leads with labels × nodes × quantiles), whatever came before.

    >>> draws = np.random.default_rng(0)
    >>> calibration = OutputCalibration(nodes=1, horizon=2, quantiles=(0.1, 0.5, 0.9))
    >>> base = np.tile([-1.28, 0.0, 1.28], (2, 1, 1))
    >>> for day in range(300):  # the world lies 1 above what the base says
    ...     issued = np.datetime64("2020-01-01") + np.timedelta64(day, "D")
    ...     served = calibration.apply(base, issued)
    ...     calibration.learn(issued, base, 1 + draws.normal(size=(2, 1)))
    >>> bool(abs(served[0, 0, 1] - 1) < 0.3)
    True
    """

    def __init__(self, nodes: int, horizon: int, quantiles: Sequence[float], rates: Rates | None = None,
                 step: np.timedelta64 = HOUR) -> None:
        self.nodes, self.horizon, self.step = nodes, horizon, step.astype("timedelta64[ns]")
        self.quantiles = tuple(float(quantile) for quantile in quantiles)
        self.rates = Rates() if rates is None else rates
        self._levels = np.array(self.quantiles)
        self._group = lead_groups(horizon)
        self._leads = np.bincount(self._group).astype(float)
        experts, cells = len(self.rates.half_lives), (len(self._leads), nodes)
        # Learned numbers, by name: this dictionary is the state.
        self._learned: dict[str, np.ndarray] = {
            "gram": np.tile(self.rates.ridge * np.eye(FEATURES), (experts, *cells, 1, 1)),
            "moment": np.zeros((experts, *cells, FEATURES)),
            "weights": np.zeros((experts, *cells, FEATURES)),
            "losses": np.full((experts + 1, *cells), USUAL_LOSS * self.rates.guard_prior),
            "offsets": np.zeros((*cells, len(self._levels))),
            "common": np.zeros((len(self._leads), 1, len(self._levels))),
            "error": np.zeros(nodes),
            "usual": np.zeros((2, *cells)),
            "seen": np.zeros(cells),
        }
        self._issued: dict[int, np.ndarray] = {}

    def apply(self, values: np.ndarray, issue_time: np.datetime64) -> np.ndarray:
        """Corrected quantiles (lead, node, quantile) of a base forecast of that shape; never crossing.

        Remembers the recent level error at this issue, because ``learn`` must see what was known then; applying
        twice gives the same.
        """
        values = self._checked(values)
        stamp = _stamp(issue_time)
        self._issued.setdefault(stamp, self._learned["error"].copy())
        while len(self._issued) > 2 * self.horizon + 64:  # labels that late are not waited for
            self._issued.pop(min(self._issued))
        rows = np.arange(self.horizon)
        scale = self._scale(values)
        shift = self._mixed(self._shifts(self._features(values, scale, stamp, rows), rows), rows)
        offsets = (self._learned["offsets"] + self._learned["common"])[self._group]
        return self._uncrossed(values + scale[..., None] * (shift[..., None] + offsets))

    def learn(self, issue_time: np.datetime64, values: np.ndarray, labels: np.ndarray) -> None:
        """Learn from labels (lead, node) that have newly matured for the base forecast ``values`` of ``issue_time``.

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
        features = self._features(values, scale, _stamp(issue_time), rows)
        error = np.where(there, np.clip((labels - median) / scale, -8.0, 8.0), 0.0)
        spread = (values - median[..., None]) / scale[..., None]
        shifts = self._shifts(features, rows)
        self._learn_levels(error, spread, self._mixed(shifts, rows), there, rows)
        self._learn_guard(error, spread, shifts, there, rows)
        self._learn_location(features, np.clip(error, -FARTHEST, FARTHEST), there, rows)
        self._learn_usual(median, error, there, rows)

    def _learn_levels(self, error: np.ndarray, spread: np.ndarray, shift: np.ndarray, there: np.ndarray,
                      rows: np.ndarray) -> None:
        offsets = self._learned["offsets"] + self._learned["common"]
        quantiles = spread + shift[..., None] + offsets[self._group[rows]]
        missed = np.where(there[..., None], self._levels - (error[..., None] <= quantiles), 0.0)
        if not self.rates.half_lives:  # no location experts: the median is somebody else's, and tracking it costs MAE
            missed = np.where(np.isclose(self._levels, 0.5), 0.0, missed)
        whole = self._per_issue(missed, rows)
        self._learned["offsets"] += self.rates.interval * whole
        if self.rates.common:
            number = self._per_issue(there.astype(float), rows)
            share = np.max(number, axis=1, initial=0.0)  # of an issue: late and single labels move little
            mean = whole.sum(axis=1) / np.maximum(number.sum(axis=1), 1e-12)[:, None]
            self._learned["common"][:, 0] += self.rates.common * share[:, None] * mean

    def _learn_guard(self, error: np.ndarray, spread: np.ndarray, shifts: np.ndarray, there: np.ndarray,
                     rows: np.ndarray) -> None:
        keep = 0.5 ** (self._per_issue(there.astype(float), rows) / self.rates.guard_half_life)
        for expert, losses in enumerate(self._learned["losses"]):
            left = error if expert == 0 else error - shifts[expert - 1]
            over = left[..., None] - spread
            crps = 2 * (np.maximum(over, 0.0) - (1 - self._levels) * over).mean(axis=-1) * there
            losses *= keep
            losses += self._per_issue(crps, rows)

    def _learn_location(self, features: np.ndarray, error: np.ndarray, there: np.ndarray, rows: np.ndarray) -> None:
        weighted = features * there[..., None]
        gram = self._per_issue(weighted[..., :, None] * features[..., None, :], rows)
        moment = self._per_issue(weighted * error[..., None], rows)
        experience, identity = self._per_issue(there.astype(float), rows), self.rates.ridge * np.eye(FEATURES)
        for expert, half_life in enumerate(self.rates.half_lives):
            keep = 0.5 ** (experience / half_life)[..., None]
            old = self._learned["gram"][expert] - identity  # the pull to no correction is never forgotten
            self._learned["gram"][expert] = identity + keep[..., None] * old + gram
            self._learned["moment"][expert] = keep * self._learned["moment"][expert] + moment
        learned = np.unique(self._group[rows])
        moments = self._learned["moment"][:, learned, :, :, None]
        self._learned["weights"][:, learned] = np.linalg.solve(self._learned["gram"][:, learned], moments)[..., 0]

    def _learn_usual(self, median: np.ndarray, error: np.ndarray, there: np.ndarray, rows: np.ndarray) -> None:
        """The usual level of each cell, and the recent level error of each node."""
        count = self._per_issue(there.astype(float), rows) * self._leads[:, None]
        usual, seen = self._learned["usual"], self._learned["seen"]
        seen += count
        rate = np.maximum(count / np.maximum(seen, 1.0), count / (count + USUAL_MEMORY))
        for power, moment in enumerate(usual, start=1):
            sums = self._per_issue(np.where(there, median, 0.0) ** power, rows) * self._leads[:, None]
            moment += rate * (sums / np.maximum(count, 1.0) - moment)
        number = there.sum(axis=0)
        newest = np.clip(error.sum(axis=0) / np.maximum(number, 1), -FARTHEST, FARTHEST)
        recent = self._learned["error"]
        recent += np.where(number > 0, self.rates.recent * (newest - recent), 0.0)

    def _features(self, values: np.ndarray, scale: np.ndarray, stamp: int, rows: np.ndarray) -> np.ndarray:
        """(lead, node, feature) as known at the issue; ``values`` and ``scale`` hold the leads ``rows``."""
        group = self._group[rows]
        mean, square = self._learned["usual"][:, group]
        deviation = np.sqrt(np.maximum(square - mean**2, 1e-12))
        median = level(values, self.quantiles, 0.5)
        anomaly = np.where(self._learned["seen"][group] > 30, np.clip((median - mean) / deviation, -4.0, 4.0), 0.0)
        valid = stamp + (rows + 1) * self.step.astype(np.int64)
        angle = 2 * np.pi * (valid % DAY) / DAY
        features = np.ones((*scale.shape, FEATURES))
        features[..., 1] = anomaly
        features[..., 2] = self._issued.get(stamp, self._learned["error"])
        features[..., 3], features[..., 4] = np.sin(angle)[:, None], np.cos(angle)[:, None]
        return features

    def _uncrossed(self, values: np.ndarray) -> np.ndarray:
        """Rising quantiles; the median stays where it is, for its error is not this rung's to spend."""
        middle = int(np.argmin(np.abs(self._levels - 0.5)))
        if abs(self._levels[middle] - 0.5) > 1e-9:
            return np.sort(values, axis=-1)
        below = np.minimum.accumulate(values[..., middle::-1], axis=-1)[..., ::-1]
        return np.concatenate([below, np.maximum.accumulate(values[..., middle:], axis=-1)[..., 1:]], axis=-1)

    def _scale(self, values: np.ndarray) -> np.ndarray:
        """The base's own deviation (lead, node)."""
        width = (level(values, self.quantiles, 0.9) - level(values, self.quantiles, 0.1)) / SPREAD
        return np.maximum(width, 1e-3 * float(np.median(width)) + 1e-9)

    def _shifts(self, features: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """What each expert would add (expert, lead, node), in deviations."""
        shifts = (features * self._learned["weights"][:, self._group[rows]]).sum(axis=-1)
        return np.clip(shifts, -FARTHEST, FARTHEST)

    def _mixed(self, shifts: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The hedge's shift (lead, node): weights fall with the loss relative to the best; the base shifts by 0."""
        losses = self._learned["losses"]
        weights = np.exp(-self.rates.eagerness * (losses / losses.min(axis=0) - 1))
        weights /= weights.sum(axis=0)
        mixed: np.ndarray = (weights[1:, self._group[rows]] * shifts).sum(axis=0)
        return mixed

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

    def state(self) -> dict[str, object]:
        """Settings and all that was learned; ``restore`` goes on to the bit."""
        issued = sorted(self._issued)
        return {"nodes": self.nodes, "horizon": self.horizon, "quantiles": list(self.quantiles),
                "step": int(self.step.astype(np.int64)), "rates": asdict(self.rates) | {
                    "half_lives": list(self.rates.half_lives)},
                "learned": {name: values.copy() for name, values in self._learned.items()},
                "issued": np.array(issued, np.int64),
                "issued_error": np.array([self._issued[stamp] for stamp in issued]).reshape(-1, self.nodes)}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> OutputCalibration:
        """A calibration that goes on where ``state`` was taken."""
        rates = Rates(**{**state["rates"], "half_lives": tuple(state["rates"]["half_lives"])})
        calibration = cls(int(state["nodes"]), int(state["horizon"]), state["quantiles"], rates,
                          np.timedelta64(int(state["step"]), "ns"))
        calibration._learned |= {name: np.array(values, float) for name, values in state["learned"].items()}
        calibration._issued = {int(stamp): np.array(error, float) for stamp, error
                               in zip(state["issued"], state["issued_error"], strict=True)}
        return calibration


def lead_groups(horizon: int) -> np.ndarray:
    """The group of each lead, doubling in length: 1, 2, 3–4, 5–8, 9–16, …

    >>> lead_groups(9).tolist()
    [0, 1, 2, 2, 3, 3, 3, 3, 4]
    """
    return np.ceil(np.log2(np.arange(1, horizon + 1))).astype(int)


def _stamp(time: np.datetime64) -> int:
    return int(time.astype("datetime64[ns]").astype(np.int64))
