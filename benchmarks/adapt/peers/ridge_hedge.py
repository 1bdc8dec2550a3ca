"""A plain hedge of ten online ridges and two rules: the peer that closed-form experts have to beat.

Ridges learn what the last value leaves, from windows of 24 to 720 values, shared by all series or one for each, with
three memories; weights fall exponentially with each expert's discounted squared error beside the best one's (Herbster
and Warmuth 1998). Nearest publications: MELO (2026), SearchCast (2026).
"""

from __future__ import annotations

import time as stopwatch
from dataclasses import dataclass

import numpy as np

from terracast.benchmarks.adapt.cell import AdaptCell, CellTally

# (lookback in seasons, shared by all series, forgetting for each row)
RIDGES = ((1, True, 0.999), (4, True, 1.0), (4, True, 0.999), (4, False, 1.0), (7, False, 1.0), (14, True, 1.0),
          (14, False, 1.0), (14, False, 0.9995), (30, True, 1.0), (30, False, 1.0))
DISCOUNT, RATE = 0.9995, 8.0
PULL = 1e-3  # of the mean diagonal of the training part's sums
REFIT = 24  # rows between two solutions
WEEK = 7  # seasons that the profile is a mean of


@dataclass
class WindowRidge:
    """Discounted sums of x xᵀ and x yᵀ, x a window less its last value and 1, y the labels less it."""

    lookback: int
    horizon: int
    series: int
    shared: bool
    forgetting: float

    def __post_init__(self) -> None:
        width, kept = self.lookback + 1, 1 if self.shared else self.series
        self.gram: np.ndarray = np.zeros((kept, width, width))
        self.cross: np.ndarray = np.zeros((kept, width, self.horizon))
        self.solved: np.ndarray = np.zeros((kept, width, self.horizon))
        self.pull = np.zeros(kept)

    def learn(self, values: np.ndarray, origins: np.ndarray) -> None:
        """Pairs of these origins, all of whose labels have come, in order of time; those with a gap are left out."""
        if not len(origins):
            return
        ages = self.forgetting ** np.arange(len(origins) - 1, -1, -1)
        labels = np.stack([values[one:one + self.horizon] for one in origins])  # (origin, lead, series)
        x, last = self._read(values, origins)
        y = labels - last[:, None]
        there = np.isfinite(y).all(axis=1) & np.isfinite(x).all(axis=-1)
        self.gram *= self.forgetting ** len(origins)
        self.cross *= self.forgetting ** len(origins)
        for number in range(self.series):
            kept = there[:, number]
            rows = x[kept, number] * ages[kept, None]
            place = 0 if self.shared else number
            self.gram[place] += rows.T @ x[kept, number]
            self.cross[place] += rows.T @ y[kept, :, number]

    def solve(self) -> None:
        """Coefficients from what was learned."""
        if not self.pull.any():
            self.pull = PULL * np.trace(self.gram, axis1=1, axis2=2) / self.gram.shape[1] + 1e-9
        whole = self.gram + self.pull[:, None, None] * np.eye(self.gram.shape[1])
        self.solved = np.linalg.solve(whole, self.cross)

    def points(self, values: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """(origin, lead, series)."""
        x, last = self._read(values, origins)
        solved = np.broadcast_to(self.solved, (self.series, *self.solved.shape[1:]))
        return np.einsum("onw,nwh->ohn", np.nan_to_num(x), solved) + last[:, None]

    def _read(self, values: np.ndarray, origins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        windows = np.stack([values[one - self.lookback:one] for one in origins]).transpose(0, 2, 1)
        last = windows[..., -1]
        return np.concatenate([windows - last[..., None], np.ones((*last.shape, 1))], axis=-1), last


def run_hedge(cell: AdaptCell) -> CellTally:
    """The tally of the hedge on a cell, from the end of the training part on; gaps hold the last value."""
    begun, horizon = stopwatch.process_time(), cell.horizon
    values, season = _held(cell.values), cell.season
    first, last = cell.trained, len(values) - horizon + 1
    ridges = [WindowRidge(length, horizon, values.shape[1], shared, forgetting) for length, shared, forgetting in
              ((seasons * season, shared, forgetting) for seasons, shared, forgetting in RIDGES)
              if 2 * (length + horizon) <= first]
    learned = [ridge.lookback for ridge in ridges]
    losses = np.zeros((len(ridges) + 2, horizon, values.shape[1]))
    tally = CellTally("ridge-hedge", cell)
    said: dict[int, np.ndarray] = {}
    for origin in range(first, last, REFIT):
        origins = np.arange(origin, min(origin + REFIT, last))
        for number, ridge in enumerate(ridges):
            newest = origin - horizon + 1  # origins below it have all their labels
            ridge.learn(values, np.arange(learned[number], newest))
            learned[number] = max(learned[number], newest)
            ridge.solve()
        points = np.stack([*(ridge.points(values, origins) for ridge in ridges),
                           *_rules(values, origins, season, horizon)])
        for place, one in enumerate(origins):
            losses *= DISCOUNT
            for lead in range(horizon):
                issued = int(one) - 1 - lead
                if issued >= first:
                    losses[:, lead] += np.nan_to_num((said[issued][:, lead] - cell.values[one - 1]) ** 2)
            said[int(one)] = points[:, place]
            said.pop(int(one) - horizon - 1, None)
            least = losses.min(axis=0) + 1e-9
            weights = np.exp(-RATE * (losses / least - 1))
            tally.score(int(one), ((weights / weights.sum(axis=0)) * points[:, place]).sum(axis=0)[None])
    tally.seconds, tally.steps = stopwatch.process_time() - begun, last - first
    return tally


def _rules(values: np.ndarray, origins: np.ndarray, season: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """The last value, and the mean season of a week moved to the level of the newest one: (origin, lead, series)."""
    leads = np.arange(horizon) % season
    last = np.repeat(values[origins - 1][:, None], horizon, axis=1)
    rows = origins[:, None, None] - season * np.arange(1, WEEK + 1)[:, None] + leads
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    week = (sums[origins] - sums[origins - WEEK * season]) / (WEEK * season)
    newest = (sums[origins] - sums[origins - season]) / season
    return last, values[rows].mean(axis=1) + (newest - week)[:, None]


def _held(values: np.ndarray) -> np.ndarray:
    """Gaps take the last value before them, or 0, the training part's mean."""
    rows = np.maximum.accumulate(np.where(np.isfinite(values), np.arange(len(values))[:, None], 0), axis=0)
    return np.nan_to_num(np.take_along_axis(values, rows, axis=0))
