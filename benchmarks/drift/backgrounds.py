"""Real backgrounds to plant changes into: training, test, onset and horizon of ``engines.md`` 2b, for any file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from terracast.benchmarks.base.files import panel_of
from terracast.benchmarks.drift.expectation import Expectation
from terracast.streams.errors import TerracastError

WEEK = np.timedelta64(7, "D")
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class BackgroundLayout:
    """How long a segment trains, tests, waits before the change and may take to find it; ``every``: between starts.

    ``rate``: stated false alarms of a sensor a week; ``chosen``: nodes that get a change of their own, per segment.
    """

    variable: str
    logarithm: bool
    training: np.timedelta64
    test: np.timedelta64
    wait: np.timedelta64
    horizon: np.timedelta64
    every: np.timedelta64
    rate: float
    chosen: int
    since: str | None = None


AIR = BackgroundLayout("PM25", True, 26 * WEEK, 6 * WEEK, 2 * WEEK, 2 * WEEK, 54 * DAY, 0.05, 12)
LAYOUTS = {
    "beijing_air_quality": AIR,
    "los_loop": BackgroundLayout("speed", False, 3 * DAY, 4 * DAY, 2 * DAY, 1 * DAY, 7 * DAY, 0.35, 36),
    "metro_i94": BackgroundLayout("traffic_volume", False, 26 * WEEK, 6 * WEEK, 2 * WEEK, 2 * WEEK, 6 * WEEK, 0.05, 1),
    "danube_west": BackgroundLayout("discharge", True, 5 * 52 * WEEK, 52 * WEEK, 16 * WEEK, 16 * WEEK, 52 * WEEK,
                                    0.05, 6,
                                    "1960"),
}


@dataclass(frozen=True)
class Segment:
    """One stretch of a background: values (time, node) of training and of test, and what the past says of them."""

    times: np.ndarray
    values: np.ndarray
    cut: int  # rows of training
    onset: int  # row of the change
    horizon: int  # rows from the onset in which it may be found
    expectation: Expectation
    crossed: np.ndarray  # residuals of the training, cross-fitted
    deviation: np.ndarray
    order: np.ndarray
    chosen: np.ndarray
    layout: BackgroundLayout

    @property
    def ahead(self) -> slice:
        """The rows in which a change counts as found."""
        return slice(self.onset, self.onset + self.horizon)

    @property
    def sensor_weeks(self) -> float:
        """How long the test lasts, in weeks of one sensor, where it reports."""
        step = self.times[1] - self.times[0]
        return float(np.isfinite(self.values[self.cut:]).sum() * (step / WEEK))


@dataclass(frozen=True)
class Background:
    """A file and the segments cut from it."""

    name: str
    layout: BackgroundLayout
    times: np.ndarray
    values: np.ndarray
    where: np.ndarray | None

    def segments(self, most: int) -> Iterator[Segment]:
        """At most ``most`` segments, evenly spread; those in which half the test is missing are left out."""
        step = self.times[1] - self.times[0]
        rows = {name: int(getattr(self.layout, name) / step) for name in ("training", "test", "wait", "horizon",
                                                                         "every")}
        starts = np.arange(0, len(self.times) - rows["training"] - rows["test"] + 1, rows["every"])
        if len(starts) > most:
            starts = starts[np.linspace(0, len(starts) - 1, most).round().astype(int)]
        for number, start in enumerate(starts.tolist()):
            cut = rows["training"]
            values = self.values[start:start + cut + rows["test"]]
            enough = np.isfinite(values[:cut]).mean(axis=0) > 0.7
            enough &= np.isfinite(values[cut:]).mean(axis=0) > 0.7
            if enough.sum() >= max(1, 0.6 * len(enough)):
                yield self._segment(self.times[start:start + len(values)], values[:, enough], cut, rows, enough, number)

    def _segment(self, times: np.ndarray, values: np.ndarray, cut: int, rows: dict[str, int], enough: np.ndarray,
                 number: int) -> Segment:
        expectation = Expectation.fit(values[:cut], times[:cut])
        crossed = Expectation.crossed(values[:cut], times[:cut], 3 if self.layout.training < WEEK else 5)
        alike = np.nan_to_num(-np.corrcoef(np.nan_to_num(crossed).T).reshape(len(values[0]), -1))
        if self.where is not None:
            where = self.where[enough]
            alike = ((where[:, None] - where[None]) ** 2).sum(axis=2)
        np.fill_diagonal(alike, -np.inf)
        nodes = values.shape[1]
        chosen = np.random.default_rng(number).permutation(nodes)[:self.layout.chosen]
        return Segment(times, values, cut, cut + rows["wait"], rows["horizon"], expectation, crossed,
                       np.nanstd(values[:cut], axis=0), np.argsort(alike, axis=1, kind="stable"), np.sort(chosen),
                       self.layout)


def background_of(path: Path) -> Background:
    """The file's first variable (or the one the protocol names) with its layout.

    A file that has no layout is laid out as air is when it is sampled several times a day and has 40 weeks, and
    otherwise in the same shares of its own length. Raises ``TerracastError`` where it is too short.
    """
    panel = panel_of(path)
    layout = LAYOUTS.get(path.stem) or _layout(panel, path)
    panel = panel.sel(time=slice(layout.since, None))
    values = np.asarray(panel[layout.variable].transpose("time", "node").values, float)
    if layout.logarithm:
        values = np.log(np.maximum(values, 1.0))
    where = None
    if {"lat", "lon"} <= set(panel.coords) and panel["lat"].dims == ("node",):
        lat, lon = panel["lat"].values.astype(float), panel["lon"].values.astype(float)
        where = np.stack([lat, lon * np.cos(np.deg2rad(np.nanmean(lat)))], axis=1)
        where = where if np.isfinite(where).all() else None
    return Background(path.stem, layout, panel["time"].values.astype("datetime64[ns]"), values, where)


def _layout(panel: xr.Dataset, path: Path) -> BackgroundLayout:
    times = panel["time"].values.astype("datetime64[ns]")
    length, step = times[-1] - times[0], times[1] - times[0]
    if len(times) < 200:
        raise TerracastError(f"{len(times)} rows", where=path.name, expected="200 and more", remedy="give more data")
    name = str(next(iter(panel.data_vars)))
    if step <= np.timedelta64(6, "h") and length >= 40 * WEEK:
        return BackgroundLayout(name, False, 26 * WEEK, 6 * WEEK, 2 * WEEK, 2 * WEEK, 6 * WEEK, 0.05, 12)
    rows = len(times)
    training, part = rows // 2 * step, rows // 8 * step
    return BackgroundLayout(name, False, training, 3 * part, part, part, 3 * part, 0.05, 12)
