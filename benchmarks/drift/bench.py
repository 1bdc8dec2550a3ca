"""``bench drift``: planted changes on real backgrounds, thresholds from training data only, beside peers.

The protocol is that of Terracast's own measurements: per segment a training stretch, a clean test for false alarms,
and the same test again for each planted change, which begins after a wait and may be found within a horizon.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from terracast.benchmarks.drift.backgrounds import DAY, WEEK, Background, Segment, background_of
from terracast.benchmarks.drift.methods import METHODS, BenchAlarm, Watch, watch
from terracast.benchmarks.drift.planted import CALLED, CHANGE_TYPES, FACTOR, Plant, plants

HOUR = np.timedelta64(1, "h")
TICKETS = ("stuck", "silent", "outage", "unit", "lost driver", "wiring", "clock")
COUNTED = ("shift", "variance", "freeze", "ramp")  # the mean detection is over these


@dataclass
class DriftTally:
    """What one method did on one background."""

    method: str
    alarms: int = 0
    stated: float = 0.0
    trials: dict[str, list[float]] = field(default_factory=dict)  # per type: hours of delay, inf where not found
    chance: list[bool] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)
    called: dict[str, list[bool]] = field(default_factory=dict)

    def row(self, data: str) -> dict[str, Any]:
        """The row of the bench's table."""
        found = {change_type: float(np.mean(np.isfinite(delays))) for change_type, delays in self.trials.items()}
        counted = [found[change_type] for change_type in COUNTED if change_type in found]
        delays = np.concatenate([np.asarray(one) for one in self.trials.values()]) if self.trials else np.zeros(0)
        said = [right for change_type in self.called for right in self.called[change_type]]
        return {"data": data, "method": self.method,
                "false_alarm_ratio": self.alarms / self.stated if self.stated else None,
                "false_alarms": self.alarms, **{f"detection_{name}": share for name, share in found.items()},
                "detection": float(np.mean(counted)) if counted else None,
                "chance": float(np.mean(self.chance)) if self.chance else None,
                "median_delay": _median(delays[np.isfinite(delays)]),
                "jaccard": _median(np.asarray(self.overlaps)),
                "sort_accuracy": float(np.mean([np.mean(one) for one in self.called.values()])) if said else None,
                "sort_by_sort": {name: float(np.mean(one)) for name, one in self.called.items()} if said else None}


@dataclass(frozen=True)
class DriftBench:
    """The changes in ``inject``, of ``size`` deviations, in at most ``segments`` segments of each of ``data``."""

    data: tuple[Path, ...]
    inject: tuple[str, ...] = CHANGE_TYPES
    size: float = 1.0
    segments: int = 8
    methods: tuple[str, ...] = tuple(METHODS)

    def backgrounds(self) -> list[Background]:
        """The files, read."""
        return [background_of(path) for path in self.data]

    def rows(self, background: Background, progress: Callable[[int], None] = lambda done: None) -> list[dict[str, Any]]:
        """A row for each method."""
        tallies = [DriftTally(method) for method in self.methods]
        for segment in background.segments(self.segments):
            for tally in tallies:
                self._judge(segment, watch(tally.method, segment), tally)
            progress(1)
        return [tally.row(background.name) for tally in tallies]

    def _judge(self, segment: Segment, watch: Watch, tally: DriftTally) -> None:
        clean = watch.clean()
        tally.alarms += count(clean, segment)
        tally.stated += segment.layout.rate * segment.sensor_weeks
        ahead = [one for one in clean if one.row in range(*segment.ahead.indices(len(segment.times)))]
        # An outage that the background has anyway is told rightly, and names no change.
        own = {(one.row, one.change_type) for one in ahead if one.change_type in TICKETS}
        tally.chance += [_named(ahead, Plant("shift", (int(node),)), segment) != [] for node in segment.chosen]
        times = segment.times[segment.ahead]
        expected, later = segment.expectation.mean(times), segment.expectation.mean(times + 6 * HOUR)
        step = segment.times[1] - segment.times[0]
        daily = "day" in segment.expectation.parts
        wanted = tuple(one for one in self.inject if one != "phase" or daily)
        for plant in plants(wanted, segment.order, segment.chosen, self.size):
            changed = plant.into(segment.values[segment.ahead], expected, later, segment.deviation)
            alarms = watch.changed(changed)
            hits = _named(alarms, plant, segment)
            rows = [one.row - segment.onset + 1 for one in hits]
            tally.trials.setdefault(plant.change_type, []).append(min(rows) * float(step / HOUR) if rows else np.inf)
            if plant.change_type == "region":
                tally.overlaps.append(overlap(hits, plant, segment))
            # A daily cycle is what the days have in common: within one day, none can be named.
            nameable = plant.change_type != "phase" or segment.layout.horizon >= 2 * DAY
            named = [one for one in hits if (one.row, one.change_type) not in own]
            if nameable and (said := _episode_type(named, plant, segment)):
                tally.called.setdefault(plant.change_type, []).append(said in CALLED[plant.change_type])

    def answer(self, backgrounds: Sequence[Background], command: str,
               progress: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
        """The bench's one form; the summary holds our row's figures for each file."""
        rows = [row for one in backgrounds for row in self.rows(one, progress)]
        summary = {f"{row['data']}_{name}": row[name] for row in rows if row["method"] == "terracast"
                   for name in ("false_alarm_ratio", "detection", "jaccard", "sort_accuracy")}
        return {"bench": "drift", "data": ", ".join(one.name for one in backgrounds),
                "protocol": {"size": self.size, "segments": self.segments, "inject": list(self.inject),
                             "thresholds": "training data only",
                             "ramp": "to full size by the middle of the horizon",
                             "detection": "mean of " + ", ".join(COUNTED),
                             "variance": f"× {FACTOR}; spread: deviations × {FACTOR}",
                             "jaccard": "of the strongest alarm that found the region",
                             "chance": "share of clean segments with an alarm at the node within the horizon",
                             "layouts": {one.name: {name: str(value) for name, value in vars(one.layout).items()}
                                         for one in backgrounds}},
                "rows": rows, "summary": summary, "command": command}


def count(alarms: Sequence[BenchAlarm], segment: Segment) -> int:
    """False alarms as a person counts them: an alarm at nodes that were named within the last week (a day, where the
    step is below an hour) is the same one; so is another for most of the network."""
    step = segment.times[1] - segment.times[0]
    cooldown = int((WEEK if step >= HOUR else WEEK / 7) / step)
    told: list[BenchAlarm] = []
    for one in sorted(alarms, key=lambda alarm: alarm.row):
        if not any(one.row - other.row < cooldown and _wide(one, segment) == _wide(other, segment)
                   and one.nodes & other.nodes for other in told):
            told.append(one)
    return len(told)


def overlap(hits: Sequence[BenchAlarm], plant: Plant, segment: Segment) -> float:
    """Jaccard index of the changed nodes and the region that is reported: the nodes of the alarm with the most
    evidence in all (strength² × nodes), of those that found the change, for less than the whole network; data tickets
    aside. Alarms elsewhere are false alarms, counted as such. 0 where the change was not found."""
    regions = [one for one in hits if not _wide(one, segment) and one.change_type not in TICKETS]
    named = max(regions, key=lambda one: one.strength**2 * len(one.nodes)).nodes if regions else frozenset()
    return len(named & set(plant.nodes)) / len(named | set(plant.nodes))


def _named(alarms: Sequence[BenchAlarm], plant: Plant, segment: Segment) -> list[BenchAlarm]:
    """The alarms that name a changed node; one for the whole network counts only where the whole network changed."""
    everywhere = plant.change_type == "all" or segment.values.shape[1] == 1
    return [one for one in alarms if one.nodes & set(plant.nodes) and (everywhere or not _wide(one, segment))]


def _episode_type(hits: Sequence[BenchAlarm], plant: Plant, segment: Segment) -> str:
    """The type an episode of these alarms would have: a data ticket where half the nodes have one (whoever has it
    looks at the sensors), else the type with the most evidence (strength²), of the alarms for the whole network where
    there are any."""
    tickets = [one for one in hits if one.change_type in TICKETS]
    if tickets and 2 * len(frozenset().union(*(one.nodes for one in tickets)) & set(plant.nodes)) >= len(plant.nodes):
        return tickets[0].change_type
    drifts = [one for one in hits if one.change_type not in TICKETS]
    wide = [one for one in drifts if _wide(one, segment)]
    votes: dict[str, float] = {}
    for one in wide or drifts:
        votes[one.change_type] = votes.get(one.change_type, 0.0) + one.strength**2
    return max(votes, key=lambda change_type: votes[change_type]) if votes else ""


def _wide(alarm: BenchAlarm, segment: Segment) -> bool:
    return 2 * len(alarm.nodes) > max(segment.values.shape[1], 2)


def _median(values: np.ndarray) -> float | None:
    return float(np.median(values)) if len(values) else None
