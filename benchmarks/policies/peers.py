"""The plain peers: rules and models that anybody can write in an hour, each as good as that hour allows."""

from __future__ import annotations

import time as stopwatch
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from terracast.adapt.correction.experts.residual_quantiles import ResidualQuantiles
from terracast.benchmarks.base.ridge import RidgePeer, RidgePeerError
from terracast.benchmarks.policies.live import LiveStream
from terracast.benchmarks.policies.served import Served
from terracast.stfm.best_season import BestSeason, candidates
from terracast.stfm.forecaster import QUANTILES, Forecaster, ForecastError
from terracast.stfm.seasonal_naive import SeasonalNaive

MONTH = pd.Timedelta("28D")
MOST_ROWS = 200_000  # that trees are fitted on
WARM = 120  # issues before the start from which a point forecaster's widths are learned
LAGS = (0, 1, 2, 5)


def peers_of(live: LiveStream) -> dict[str, Served]:
    """What each plain peer says at the issues of a stream, by name."""
    found = {}
    for name, peer in PEERS.items():
        begun = stopwatch.process_time()
        try:
            found[name] = Served(peer(live), stopwatch.process_time() - begun)
        except (RidgePeerError, ForecastError):  # too short a past for it
            continue
    return found


def best_season(live: LiveStream) -> np.ndarray:
    """Each node's better season, chosen by what came before the start."""
    rule = BestSeason.chosen(live.target.isel(time=slice(0, live.start + 1)), live.request())
    return _asked(rule, live, int(rule.past(live.request()) / live.step))


def usual_season(live: LiveStream) -> np.ndarray:
    """The season that the step has by default: a day of hours."""
    return _asked(SeasonalNaive(), live, 30 * SeasonalNaive().period(live.step) + live.stream.horizon)


def last_value(live: LiveStream) -> np.ndarray:
    """The last known value."""
    return _asked(SeasonalNaive(pd.Timedelta(live.step)), live, 200)


def ridge(live: LiveStream) -> np.ndarray:
    """One linear map from lags to leads, refitted monthly on all that is known."""
    season = SeasonalNaive().period(live.step)
    said, fitted = [], None
    for row in map(int, live.issues):
        if fitted is None or row - fitted >= MONTH / pd.Timedelta(live.step):
            model = RidgePeer.fit(live.values[:row + 1], season, live.stream.horizon, QUANTILES, seed=0)
            fitted = row
        said.append(model.forecast(live.values[:row + 1], np.array([row]))[0])
    return np.stack(said)


def boosted_trees(live: LiveStream) -> np.ndarray:
    """scikit-learn's boosted trees on lags, seasons and calendar, one model for all nodes and leads, refitted monthly;
    the widths from its own matured errors."""
    columns = _Columns(live)
    warm = live.hindcasts[-WARM:]
    past = np.arange(columns.first, live.stop - live.stream.horizon, live.stream.every)
    widths, model, fitted = None, None, 0
    said: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for row in map(int, [*warm, *live.issues]):
        if model is None or row - fitted >= MONTH / pd.Timedelta(live.step):
            known = past[past + live.stream.horizon <= row]
            if len(known) < WARM // 4:
                continue
            model, fitted = _fitted(columns, known), row
        if widths is None:
            widths = ResidualQuantiles(live.stream.horizon, live.values.shape[1], QUANTILES, columns.usual_error(row),
                                       delays=np.ceil(np.arange(1, live.stream.horizon + 1) / live.stream.every))
        points = model.predict(columns.of(row)).reshape(-1, live.values.shape[1]) * columns.width + columns.centre
        for before in [one for one in said if one < row]:
            fresh = (before + 1 + np.arange(live.stream.horizon)) <= row
            fresh &= (before + 1 + np.arange(live.stream.horizon)) > row - live.stream.every
            labels = np.where(fresh[:, None], live.labels_of(np.array([before]))[0], np.nan)
            if before + live.stream.horizon > row - live.stream.every:
                widths.learn(labels, *said[before])
        said[row] = points, widths.around(points)
    if any(int(row) not in said for row in live.issues):
        raise ForecastError("too short a past", where="boosted trees", expected="some dozens of issues before",
                            remedy="leave it out")
    return np.stack([said[int(row)][1] for row in live.issues])


def _asked(model: Forecaster, live: LiveStream, rows: int) -> np.ndarray:
    target, request = live.target.to_dataset(name=live.stream.target), live.request()
    times = target["time"].values
    said = [model.forecast(target.isel(time=slice(max(0, row + 1 - rows), row + 1)), request.at(times[row]))
            for row in map(int, live.issues)]
    return np.concatenate([one[live.stream.target].values for one in said]).astype("float64")


def _fitted(columns: _Columns, rows: np.ndarray) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor  # a second that only a fit needs

    keep = max(1, MOST_ROWS // columns.cells)
    picked = rows[np.unique(np.linspace(0, len(rows) - 1, min(keep, len(rows))).astype(int))]
    x, y = np.concatenate([columns.of(int(row)) for row in picked]), columns.labels(picked)
    there = np.isfinite(y)
    model = HistGradientBoostingRegressor(loss="absolute_error", max_iter=200, learning_rate=0.08, max_leaf_nodes=31,
                                          random_state=0)
    return model.fit(x[there], y[there])


class _Columns:
    """What the trees read of each (lead, node) at an issue, in units of the node's deviation before the start."""

    def __init__(self, live: LiveStream) -> None:
        self.live, self.cells = live, live.stream.horizon * live.values.shape[1]
        past = live.values[:live.start + 1]
        self.centre, width = np.nanmean(past, axis=0), np.nanstd(past, axis=0)
        self.width = np.where(width > 0, width, 1.0)
        self.scaled = (live.values - self.centre) / self.width
        step = pd.Timedelta(live.step)
        longest = (live.start * step - 28 * live.stream.horizon * step) / 2
        self.seasons = [round(one / step) for one in candidates(step) if one <= max(longest, candidates(step)[0])]
        self.first = min(self.seasons[-1] + live.stream.horizon, live.start // 2)
        self.held = pd.DataFrame(self.scaled).ffill(limit=self.seasons[0]).to_numpy()
        known = np.isfinite(self.scaled)
        self.sums = np.cumsum(np.where(known, self.scaled, 0.0), axis=0)
        self.counts = np.cumsum(known, axis=0)

    def of(self, row: int) -> np.ndarray:
        """(lead × node, column) as known at an issue row."""
        leads, nodes = np.arange(1, self.live.stream.horizon + 1), self.held.shape[1]
        due = row + leads
        ahead = self._calendar(due)
        network = np.nanmean(self.held[row]) if np.isfinite(self.held[row]).any() else np.nan
        parts = [leads[:, None], *(column[:, None] for column in ahead.T), np.arange(nodes)[None],
                 np.array([[network]])]
        parts += [self.held[max(row - lag, 0)][None] for lag in LAGS]
        for season in self.seasons:
            back = due - season * -(-leads // season)
            parts += [self.held[np.maximum(back, 0)], self._mean(row, season)[None]]
        return np.stack([np.broadcast_to(one, (len(leads), nodes)) for one in parts], -1).reshape(-1, len(parts))

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Scaled labels of the cells of these issues, in the same order."""
        return np.asarray(((self.live.labels_of(rows) - self.centre) / self.width).ravel())

    def usual_error(self, row: int) -> np.ndarray:
        """Mean absolute step over a horizon (1, node): where widths begin."""
        past = self.live.values[:row + 1]
        far = np.nanmean(np.abs(past[self.live.stream.horizon:] - past[:-self.live.stream.horizon]), axis=0)
        return np.nan_to_num(far, nan=1.0)[None] / 2

    def _calendar(self, due: np.ndarray) -> np.ndarray:
        stamps = pd.DatetimeIndex(self.live.panel["time"].values[0] + due * self.live.step)
        return np.stack([stamps.hour + stamps.minute / 60, stamps.day_of_week, stamps.day_of_year], axis=1)

    def _mean(self, row: int, rows: int) -> np.ndarray:
        """Mean of the newest so many rows (node,)."""
        before = max(row - rows, 0)
        return np.asarray((self.sums[row] - self.sums[before]) / np.maximum(self.counts[row] - self.counts[before], 1))


PEERS: Mapping[str, Callable[[LiveStream], np.ndarray]] = {
    "seasonal-naive": best_season, "seasonal-naive-usual": usual_season, "last-value": last_value, "ridge": ridge,
    "boosted-trees": boosted_trees}
