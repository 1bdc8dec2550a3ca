"""What comes in beside the errors: drivers that stop arriving or stand still, and sensors that are wired differently.

All of it is a data ticket. A forecaster goes on without a driver, worse, and no training mends that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from adapt.monitoring.evidence import Evidence
from adapt.monitoring.health import Stuck
from adapt.monitoring.wiring import Wiring
from streams.instant import nanoseconds

DAY = np.timedelta64(1, "D")
LEARNED = 28  # days from which the wiring is learned
MOST_NODES = 2000  # pairs are compared up to so many
SHORTEST = 4  # a driver is lost after at least so many steps, and a day


@dataclass
class Driver:
    """One driver: ``patience``, how much later than usual its newest value may be; ``stuck``, how long the mean of its
    nodes may repeat itself; ``newest``, the stamp of its last value."""

    patience: np.timedelta64
    stuck: Stuck
    newest: np.datetime64
    usual: np.timedelta64 | None = None  # the least age of the newest value that was seen at a tick
    lost: bool = False

    def hear(self, now: np.datetime64, times: np.ndarray, values: np.ndarray) -> str:
        """What is wrong from now on, from its mean ``values`` (time,) as known now; nothing: the empty string."""
        new = (times > self.newest) & np.isfinite(values)
        told = [bool(self.stuck.hear(np.array([value]))[0]) for value in values[new]]  # each of them must be heard
        if new.any():
            self.newest = times[new][-1]
        age = now - self.newest
        self.usual = age if self.usual is None or age < self.usual else self.usual
        before, self.lost = self.lost, bool(age - self.usual >= self.patience)
        if self.lost and not before:
            return "no longer arrives"
        return "repeats one value everywhere" if any(told) else ""


@dataclass
class Feeds:
    """Watches the panel that the forecaster sees: ``drivers`` by name, and the wiring of each variable (in whole days
    of several steps). Made by ``fit``; ``hear`` is called at each tick.

    >>> times = np.datetime64("2020-01-01", "ns") + np.arange(24 * 40) * np.timedelta64(1, "h")
    >>> draws = np.random.default_rng(0).normal(size=(2, len(times), 2))
    >>> panel = xr.Dataset({"x": (("time", "node"), draws[0]), "wind": (("time", "node"), draws[1])},
    ...                    {"time": times, "node": ["a", "b"]})
    >>> feeds = Feeds.fit(panel.isel(time=slice(0, 24 * 30)), "x")
    >>> panel["wind"][24 * 35:] = np.nan
    >>> heard = [feeds.hear(times[row], panel.isel(time=slice(0, row))) for row in range(24 * 30, 24 * 40, 6)]
    >>> [one.words[:35] for told in heard for one in told]
    ['the driver wind no longer arrives: ']
    """

    nodes: tuple[str, ...]
    drivers: dict[str, Driver] = field(default_factory=dict)
    wirings: dict[str, Wiring] = field(default_factory=dict)
    heard: np.datetime64 = field(default_factory=lambda: np.datetime64("NaT", "ns"))  # days before this were compared

    @classmethod
    def fit(cls, panel: xr.Dataset, target: str) -> Feeds:
        """From the reference ``panel`` of (time, node) variables: all but ``target`` are drivers."""
        times, nodes = panel["time"].values.astype("datetime64[ns]"), tuple(str(one) for one in panel["node"].values)
        feeds = cls(nodes, heard=_next_day(times[-1]))
        step = np.median(np.diff(times).astype(np.int64)).astype("timedelta64[ns]")
        for name in map(str, panel.data_vars):
            values = panel[name].transpose("time", "node").values.astype(float)
            means = _mean(values)
            seen = times[np.isfinite(means)]
            if name != target and len(seen) >= 2:
                gap = np.max(np.diff(seen))
                feeds.drivers[name] = Driver(max(DAY, SHORTEST * step, 2 * gap), Stuck.fit(means[:, None]), seen[-1])
            if 1 < len(nodes) <= MOST_NODES and step < DAY:
                last = times >= times[-1] - LEARNED * DAY
                days = times[last].astype("datetime64[D]")
                feeds.wirings[name] = Wiring.fit([values[last][days == day] for day in np.unique(days)], nodes)
        return feeds

    def hear(self, now: np.datetime64, panel: xr.Dataset) -> list[Evidence]:
        """Data tickets at ``now`` from what is known of the last days, ``panel`` of (time, node) variables."""
        times, found = panel["time"].values.astype("datetime64[ns]"), []
        for name, driver in self.drivers.items():
            if name in panel:
                recent = times > driver.newest
                means = _mean(panel[name].transpose("time", "node").values[recent].astype(float))
                if wrong := driver.hear(now, times[recent], means):
                    words = f"the driver {name} {wrong}: a fault of the data, and forecasts do without what it told"
                    found.append(Evidence(now, driver.newest, self.nodes, "health", "none", 0.0, words, "lost driver"))
        while self.wirings and self.heard + 2 * DAY <= now:
            found += self._compared(self.heard, times, panel)
            self.heard = self.heard + DAY
        return found

    def _compared(self, day: np.datetime64, times: np.ndarray, panel: xr.Dataset) -> list[Evidence]:
        """Tickets of the wiring of one day; none where the panel does not reach back to its beginning."""
        rows = (times >= day) & (times < day + DAY)
        if not rows.any() or times[0] > day:
            return []
        return [one for name, wiring in self.wirings.items() if name in panel
                for one in wiring.hear(day, panel[name].transpose("time", "node").values[rows].astype(float))]

    def state(self) -> dict[str, object]:
        """What was learned and heard."""
        drivers = [{"name": name, "patience": nanoseconds(one.patience), "stuck": one.stuck.state(),
                    "newest": int(one.newest.astype(np.int64)), "lost": one.lost,
                    "usual": None if one.usual is None else nanoseconds(one.usual)}
                   for name, one in self.drivers.items()]
        return {"nodes": list(self.nodes), "heard": int(self.heard.astype(np.int64)), "drivers": drivers,
                "wirings": [{"name": name, "wiring": one.state()} for name, one in self.wirings.items()]}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Feeds:
        """What ``state`` described."""
        drivers = {one["name"]: Driver(np.timedelta64(int(one["patience"]), "ns"), Stuck.restore(one["stuck"]),
                                       np.datetime64(int(one["newest"]), "ns"),
                                       None if one["usual"] is None else np.timedelta64(int(one["usual"]), "ns"),
                                       bool(one["lost"])) for one in state["drivers"]}
        wirings = {one["name"]: Wiring.restore(one["wiring"]) for one in state["wirings"]}
        return cls(tuple(state["nodes"]), drivers, wirings, np.datetime64(int(state["heard"]), "ns"))


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the nodes that report (time, node) -> (time,); NaN where none does."""
    seen = np.isfinite(values)
    count = seen.sum(axis=1)
    return np.where(count > 0, np.where(seen, values, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _next_day(time: np.datetime64) -> np.datetime64:
    return (time.astype("datetime64[D]") + 1).astype("datetime64[ns]")
