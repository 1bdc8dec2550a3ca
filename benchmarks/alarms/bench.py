"""The bench of alarms: changes planted into a real stream, judged by what the loop in service says of them.

The default loop runs over the stream once as it is; every drift episode of that run counts as false, true or not. Its
state at seeded onsets is taken, and from each the loop runs on over a history in which a change was planted. A change
is told by an episode that the clean run does not have, or by one that says that it began since the onset. Acts are not
carried out: the base that is watched stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from terracast.adapt.clock import clock
from terracast.adapt.loop import Loop
from terracast.adapt.monitoring.episodes.episodes import Episode
from terracast.adapt.promotion.policy import Never, Policy
from terracast.adapt.task import ForecastTask
from terracast.benchmarks.alarms.changes import CHANGES, PLACES, PlantedChange
from terracast.benchmarks.alarms.planted import with_change
from terracast.benchmarks.loop import LoopBench
from terracast.streams.bitemporal import InMemoryHistory
from terracast.streams.quality.online import QualityControl, Screened

DAY = np.timedelta64(1, "D")
MONTH = 30.44  # days
EARLY, LATE = 45, 21  # blocks that the clean run leaves before the first onset and after the last
GRACE = 2  # blocks by which a told beginning may lie before the onset
HALF = 0.5  # of the values before and after an onset that a place must have reported
TRIES = 1000  # to find an onset at which something can change
OPEN_AFTER = 5  # blocks after a first change at which a second one is planted


@dataclass(frozen=True)
class Detection:
    """What was said of a planted change: how many blocks after the onset, and the last word on it."""

    delay: float
    episode: Episode


@dataclass(frozen=True)
class AlarmBench:
    """One stream: its ``history``, how ``service`` begins with it, and under which ``policy``; ``stop`` of the clean
    run; ``watch``: blocks that the loop runs on after an onset."""

    history: InMemoryHistory
    service: LoopBench
    policy: Policy
    stop: np.datetime64
    watch: int = 14

    @property
    def watched(self) -> ForecastTask:
        """What is forecast."""
        return self.service.watched

    @property
    def start(self) -> np.datetime64:
        """Of the clean run."""
        return self.service.start

    @property
    def watchful(self) -> Policy:
        """The policy, but nothing is carried out."""
        return replace(self.policy, trigger=Never())

    @property
    def block(self) -> np.timedelta64:
        """A day, or a step of coarser data."""
        return max(DAY.astype("timedelta64[ns]"), self.watched.request.step.astype("timedelta64[ns]"))

    def rows(self, changes: Sequence[PlantedChange], repeats: int, progress: Callable[[int], None]
             ) -> list[dict[str, Any]]:
        """A row for each planted change, and one for the clean run, first."""
        draws = np.random.default_rng(self.service.seed)
        first, last = EARLY, int((self.stop - self.start) / self.block) - LATE
        plan = [(change, PLACES[number % len(PLACES)] if len(self.watched.nodes) > 2 else "all",
                 self._onset(first, max(first + 1, last), draws), number % 4 == 3)
                for number, change in enumerate([*changes] * repeats)]
        plan = [one for one in plan if first < last]
        clean, states = self._clean({at for _, _, at, _ in plan}, progress)
        months = float((self.stop - self.start) / DAY) / MONTH
        drift = [one for one in clean.values() if one.change_type != "health"]
        rows: list[dict[str, Any]] = [{
            "change": "none", "months": months, "stated": months * self.service.false_alarms_per_month,
            "episodes": len(drift), "alarms": [f"{one.alarm.what} {one.alarm.where}" for one in drift]}]
        for number, (change, place, at, second) in enumerate(plan):
            nodes = self._nodes(place, at, draws)
            rows.append(self._row(change, place, nodes, at, second, self._planted(
                change, nodes, at, second, states[at], clean, number), clean))
            progress(1)
        return rows

    def _clean(self, onsets: set[np.datetime64], progress: Callable[[int], None]
               ) -> tuple[dict[str, Episode], dict[np.datetime64, tuple[Mapping[str, Any], Mapping[str, Any]]]]:
        screened = Screened(self.history, QualityControl())
        loop = self.service.service(self.watchful)
        states: dict[np.datetime64, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
        for moment in clock(screened, self.start, self.stop, self.watched.cadence):
            if moment.now in onsets:
                states[moment.now] = loop.state(), screened.control.state()
            screened.advance(moment.now)
            loop.tick(moment)
            progress(0)
        return dict(loop.episodes_by_id), states

    def _planted(self, change: PlantedChange, nodes: tuple[str, ...], at: np.datetime64, second: bool,
                 state: tuple[Mapping[str, Any], Mapping[str, Any]], clean: Mapping[str, Episode], seed: int
                 ) -> Detection | None:
        """Run on from the state at ``at`` over the changed history; ``second``: while another change is still open."""
        domain, target = self.watched.domain, self.watched.request.target
        history, onset = self.history, at
        if second:
            history = with_change(history, domain, target, self.watched.nodes, CHANGES["x 1.25"], at, seed)
            onset = at + OPEN_AFTER * self.block
        history = with_change(history, domain, target, nodes, change, onset, seed)
        loop = Loop.resume(state[0], self.watched, self.watchful, lambda version: self.service.beginning.base)
        screened = Screened(history, QualityControl.restore(state[1]))
        first: float | None = None
        last: Episode | None = None
        for moment in clock(screened, at, onset + self.watch * self.block, self.watched.cadence):
            screened.advance(moment.now)
            for one in loop.tick(moment).episodes:
                if moment.now > onset and self._is_detected(one, change, onset, clean):
                    first = float((moment.now - onset) / self.block) if first is None else first
                    last = one
        return None if first is None or last is None else Detection(first, last)

    def _is_detected(self, episode: Episode, change: PlantedChange, onset: np.datetime64,
                     clean: Mapping[str, Episode]) -> bool:
        if ("health" in change.said) != (episode.change_type == "health"):
            return False
        known = clean.get(episode.id)
        return (known is None or known.since != episode.since) and bool(episode.since >= onset - GRACE * self.block)

    def _onset(self, first: int, last: int, draws: np.random.Generator) -> np.datetime64:
        """Of a block from ``first`` to ``last``, around which some node reports: in a gap nothing can change."""
        for _ in range(TRIES):
            at = self.start + int(draws.integers(first, last)) * self.block
            if self._living(at):
                break
        return at

    def _living(self, at: np.datetime64) -> tuple[str, ...]:
        """Nodes of which most is reported before and after: at a dead one nothing can change."""
        target = self.history.recorded(self.watched.domain).panel[self.watched.request.target].sel(
            node=list(self.watched.nodes)).transpose("time", "node")
        spans = (at - EARLY * self.block, at), (at, at + self.watch * self.block)
        known = [np.isfinite(target.sel(time=slice(*span)).values) for span in spans]
        living = np.all([one.sum(axis=0) > HALF * max(len(one), 1) for one in known], axis=0)
        return tuple(np.array(self.watched.nodes)[living].tolist()) if living.any() else ()

    def _nodes(self, place: str, at: np.datetime64, draws: np.random.Generator) -> tuple[str, ...]:
        every = self._living(at) or self.watched.nodes
        count = {"one": 1, "region": max(2, len(every) // 3), "all": len(every)}[place]
        chosen = draws.choice(len(every), min(count, len(every)), replace=False)
        return tuple(every[number] for number in sorted(chosen))

    def _row(self, change: PlantedChange, place: str, nodes: tuple[str, ...], at: np.datetime64, second: bool,
             told: Detection | None, clean: Mapping[str, Episode]) -> dict[str, Any]:
        onset = at + (OPEN_AFTER * self.block if second else np.timedelta64(0, "ns"))
        row: dict[str, Any] = {"change": change.name, "place": place, "onset": str(np.datetime_as_string(onset, "h")),
                               "during_open": second, "delay": None}
        if told is None:
            return row
        one = told.episode
        effect = one.by_type[one.change_type].strongest.effect
        percent = None if effect is None or effect.percent is None else effect.percent[0]
        named, true = set(one.nodes), set(nodes)
        return row | {
            "delay": told.delay, "change_type": one.change_type, "type_right": one.change_type in change.said,
            "onset_error": abs(float((one.since - onset) / self.block)), "percent": percent,
            "effect_error": None if percent is None or change.percent is None else abs(percent / change.percent - 1),
            "jaccard": len(named & true) / len(named | true), "alarm": f"{one.alarm.what} {one.alarm.where}"}


def summary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """By change: how many were planted and told in time, and how right what was said was."""
    planted = [row for row in rows if row["change"] != "none"]
    groups = {name: [row for row in planted if row["change"] == name] for name in
              dict.fromkeys(str(row["change"]) for row in planted)}
    groups |= {"during an open episode": [row for row in planted if row["during_open"]], "all": planted}
    return [{"change": name, **_counts(group)} for name, group in groups.items() if group]


def _counts(group: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    told = [row for row in group if row["delay"] is not None]

    def middle(name: str) -> float | None:
        held = [row[name] for row in told if row[name] is not None]
        return float(np.median(held)) if held else None

    within = {f"within_{blocks}": sum(row["delay"] <= blocks for row in told) / len(group) for blocks in (2, 7, 14)}
    right = sum(row["type_right"] for row in told) / len(told) if told else None
    return {"planted": len(group), **within, "median_delay": middle("delay"), "type_right": right,
            "onset_error": middle("onset_error"), "effect_error": middle("effect_error"), "jaccard": middle("jaccard")}
