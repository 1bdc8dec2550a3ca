"""Stationary networks over a year: how many alarms are raised where nothing changes, beside how many were stated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.signal import lfilter

from terracast.adapt.monitoring.detection.alarm_threshold import COOLDOWN_BLOCKS, count_episodes
from terracast.adapt.monitoring.monitor import Evidence, Monitor
from terracast.adapt.monitoring.statistics.node_statistics import NodeStatistics
from terracast.adapt.monitoring.statistics.reference_period import BlockClock, ReferencePeriod
from terracast.benchmarks.drift.bulk_replay import bulk_replay
from terracast.benchmarks.drift.methods import ours

HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
START = np.datetime64("2019-01-01", "ns")
RATES = (1.0, 4.0, 30.0)  # a month, over the whole network
FOLDED = 2.0  # a month: alarms of a week being one there can be four at most, and near that nothing is counted


@dataclass(frozen=True)
class StationaryWorld:
    """A network whose errors are autocorrelated (``memory`` of an hour), partly common, with seasons in their size,
    gaps and Student tails."""

    name: str
    memory: float = 0.8
    seasons: float = 0.0
    gaps: float = 0.0
    freedom: float = np.inf

    def residuals(self, nodes: int, days: int, draws: np.random.Generator) -> np.ndarray:
        """Residuals (hour, node) of so many days; stationary but for the seasons of their size."""
        hours = 24 * days
        shape = (hours, nodes + 1)
        shocks = draws.normal(size=shape) if np.isinf(self.freedom) else draws.standard_t(self.freedom, size=shape)
        shocks[1:] *= (1 - self.memory**2) ** 0.5
        shocks = lfilter([1.0], [1.0, -self.memory], shocks, axis=0)
        made = 0.7 * shocks[:, :1] + 0.7 * shocks[:, 1:]
        if self.seasons:
            hour = np.arange(hours)
            made *= (1 + self.seasons * np.sin(2 * np.pi * hour / 8766) + self.seasons * np.sin(hour * np.pi / 12)
                     )[:, None]
        if self.gaps:
            for node in range(nodes):
                for begin in np.flatnonzero(draws.random(hours) < self.gaps):
                    made[begin:begin + int(draws.integers(1, 36)), node] = np.nan
        return np.asarray(made)


WORLDS = (StationaryWorld("autoregressive"), StationaryWorld("long memory", memory=0.97),
          StationaryWorld("seasons", seasons=0.3),
          StationaryWorld("gaps", gaps=0.002), StationaryWorld("heavy tails", freedom=3.0))


@dataclass(frozen=True)
class ReplayBench:
    """Each world ``seeds`` times: ``reference`` days to calibrate on, then ``days`` in which alarms are counted."""

    nodes: int = 20
    seeds: int = 2
    reference: int = 365
    days: int = 365
    worlds: tuple[StationaryWorld, ...] = WORLDS
    rates: tuple[float, ...] = RATES
    detectors: tuple[str, ...] = ("scan",)

    @property
    def count(self) -> int:
        """How many replays there are."""
        return len(self.worlds) * self.seeds

    def answer(self, command: str, progress: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
        """Realised and stated alarms, a row for each world, detector and rate; the summary pools the worlds."""
        rows: list[dict[str, Any]] = []
        months = self.days * self.seeds / 30.5
        for world in self.worlds:
            found = np.zeros((len(self.detectors), len(self.rates)))
            for seed in range(self.seeds):
                found += self._alarms(world, seed)
                progress(1)
            rows += [{"data": world.name, "method": ours(detector), "stated_per_month": rate, "nodes": self.nodes,
                      "alarms": int(alarms), "false_alarm_ratio": alarms / (rate * months)}
                     for detector, each in zip(self.detectors, found, strict=True)
                     for rate, alarms in zip(self.rates, each.tolist(), strict=True)]
        summary = {f"{'' if detector == 'scan' else detector + '_'}ratio_at_{rate:g}_a_month":
                   float(np.mean([row["false_alarm_ratio"] for row in rows
                                  if row["stated_per_month"] == rate and row["method"] == ours(detector)]))
                   for detector in self.detectors for rate in self.rates}
        return {"bench": "drift", "data": "stationary replays", "rows": rows, "summary": summary, "command": command,
                "protocol": {"nodes": self.nodes, "seeds": self.seeds, "reference_days": self.reference,
                             "days": self.days, "counted": "alarms within a week are one; above 2 a month those of "
                             "different nodes are counted each"}}

    def _alarms(self, world: StationaryWorld, seed: int) -> np.ndarray:
        """How many alarms each detector and rate gave in one replay, (detector, rate)."""
        draws = np.random.default_rng([seed, WORLDS.index(world) if world in WORLDS else 99])
        residuals = world.residuals(self.nodes, self.reference + self.days, draws)
        times = START + np.arange(len(residuals)) * HOUR
        cut, names = 24 * self.reference, tuple(map(str, range(self.nodes)))
        block, steps = np.arange(cut) // 24, np.arange(cut) % 24
        views = NodeStatistics.fit(residuals[:cut], (block, steps, 24))
        blocks = NodeStatistics.crossed(residuals[:cut], block, steps, 24, daily=True)
        period = ReferencePeriod(names, BlockClock(HOUR, 24), views, blocks)
        found = np.zeros((len(self.detectors), len(self.rates)))
        for at, rate in np.ndindex(found.shape):
            monitor = Monitor.on(period, self.rates[rate], seed=seed, by_node=self.rates[rate] > FOLDED,
                                 detector=self.detectors[at])
            found[at, rate] = self._alarm_count(bulk_replay(monitor, times[cut:], residuals[cut:]), times[cut],
                                                by_node=self.rates[rate] > FOLDED)
        return found

    def _alarm_count(self, found: Sequence[Evidence], begun: np.datetime64, *, by_node: bool) -> int:
        """Alarms as they are counted: those of a week being one, of different nodes each or not."""
        alarms = np.zeros((self.days + 1, self.nodes + 1), bool)
        for one in found:
            wide = 2 * len(one.nodes) > self.nodes
            alarms[int((one.time - begun) / DAY), self.nodes if wide else [int(node) for node in one.nodes]] = True
        told = alarms if by_node else np.any(alarms, axis=1)[:, None]
        return sum(count_episodes(told[:, at], COOLDOWN_BLOCKS) for at in range(told.shape[1]))
