"""Bench of the detector banks: time, memory and flags, beside a loop over river's own detectors in the same run.

``python -m benchmarks.drift.detector_bank`` prints it as JSON; ``--nodes``, ``--steps`` and ``--million`` change
its size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from terracast.adapt.monitoring.detection.bank.adwin import AdwinBank
from terracast.adapt.monitoring.detection.bank.page_hinkley import PageHinkleyBank

Clock = Callable[[], float]  # seconds; of the processor rather than of the wall, for machines that are shared
MILLION = 1_000_000


@dataclass(frozen=True)
class BankBench:
    """``steps`` steps of ``nodes`` standardised values; after ``filled`` steps the windows are long enough to measure.

    ``block``: steps given at once in the rows ``terracast, blocks``, and after which bank and river's loop take turns
    (the first step of a turn finds the other's data in the processor's cache). ``million``: also a million nodes.
    """

    nodes: int = 10_000
    steps: int = 320
    filled: int = 1024
    block: int = 16
    million: bool = True
    seed: int = 0

    def values(self) -> np.ndarray:
        """Noise (step, node); in every second node a jump of two deviations somewhere, in every fifth gaps."""
        draws = np.random.default_rng(self.seed)
        values = draws.normal(size=(self.filled + self.steps, self.nodes))
        jumps = draws.integers(0, len(values), self.nodes)
        values[:, ::2] += 2.0 * (np.arange(len(values))[:, None] >= jumps[::2])
        values[:, ::5][draws.random(values[:, ::5].shape) < 0.02] = np.nan
        return values

    def rows(self, clock: Clock, progress: Callable[[int], None] = lambda done: None) -> list[dict[str, Any]]:
        """One row for each detector and way of running it."""
        values, rows = self.values(), []
        for name, make, river in DETECTORS:
            rows += self._compared(name, make, river, values, clock)
            progress(1)
        if self.million:
            few = replace(self, nodes=MILLION // 100)
            rows += [few._enlarged(name, make, clock) for name, make, _ in DETECTORS]
        return rows

    def _compared(self, name: str, make: Callable[[int], Any], river: str, values: np.ndarray,
                  clock: Clock) -> list[dict[str, Any]]:
        """The bank by steps and by blocks, and river's loop, in turns."""
        bank, blocks = make(self.nodes), make(self.nodes)
        peer = _RiverLoop(river, self.nodes)
        for row in values[:self.filled]:
            peer.update(row)
        for one in (bank, blocks):
            one.update_many(values[:self.filled])
            one.update(np.full(self.nodes, np.nan))  # no call is the first one
        spent: dict[str, list[float]] = {"bank": [], "peer": [], "blocks": []}
        differing = alarms = 0
        for begin in range(self.filled, self.filled + self.steps, self.block):
            part = values[begin:begin + self.block]
            flags = [_timed(clock, spent["bank"], bank.update, row) for row in part]
            ready = [peer.ready(row) for row in part]  # river's loop is not charged for making Python numbers
            expected = [_timed(clock, spent["peer"], peer.feed, row) for row in ready]
            differing += int((np.array(flags) != np.array(expected)).sum())
            alarms += int(np.sum(flags))
            _timed(clock, spent["blocks"], blocks.update_many, part)
        by_steps, by_peer, by_blocks = (sum(spent[way]) / self.steps for way in ("bank", "peer", "blocks"))
        peer_name = f"river-{name.replace('_', '-')}"
        return [{"method": "terracast", "detector": name, "nodes": self.nodes, "ms_per_step": 1e3 * by_steps,
                 "worst_ms": 1e3 * max(spent["bank"]), "times_faster": by_peer / by_steps,
                 "bytes_per_node": bank.bytes_per_node, "differing_flags": differing, "alarms": alarms},
                {"method": "terracast, blocks", "detector": name, "nodes": self.nodes, "ms_per_step": 1e3 * by_blocks,
                 "times_faster": by_peer / by_blocks},
                {"method": peer_name, "detector": name, "nodes": self.nodes, "ms_per_step": 1e3 * by_peer}]

    def _enlarged(self, name: str, make: Callable[[int], Any], clock: Clock) -> dict[str, Any]:
        """A hundred times as many nodes, each with a full window: what one step of them costs."""
        values = self.values()
        small = make(self.nodes)
        small.update_many(values[:self.filled])
        bank = type(small).restore(_repeated(small.state(), self.nodes, 100))
        spent: list[float] = []
        for row in values[self.filled:self.filled + 64]:
            wide = np.tile(row, 100)
            _timed(clock, spent, bank.update, wide)
        return {"method": "terracast", "detector": name, "nodes": bank.nodes, "ms_per_step": 1e3 * sum(spent) / 64,
                "worst_ms": 1e3 * max(spent), "bytes_per_node": bank.bytes_per_node}

    def answer(self, rows: list[dict[str, Any]], command: str) -> dict[str, Any]:
        """The bench's one form; the summary holds what is promised, against what was measured."""
        ours = {row["detector"]: row for row in rows if row["method"] == "terracast" and row["nodes"] != MILLION}
        summary: dict[str, Any] = {"differing_flags": sum(row["differing_flags"] for row in ours.values())}
        for name, row in ours.items():
            summary[f"{name}_times_faster"], summary[f"{name}_bytes"] = row["times_faster"], row["bytes_per_node"]
        for row in rows:
            if row["nodes"] == MILLION:
                summary[f"{row['detector']}_million_worst_seconds"] = row["worst_ms"] / 1e3
        protocol = {"nodes": self.nodes, "steps": self.steps, "filled": self.filled, "block": self.block,
                    "seed": self.seed, "settings": "river's defaults", "threads": 1, "compiling": "not counted"}
        return {"bench": "detector-bank", "data": "noise with jumps and gaps", "protocol": protocol, "rows": rows,
                "summary": summary, "command": command}


class _RiverLoop:
    """What a user of river does for many nodes."""

    def __init__(self, name: str, nodes: int) -> None:
        from river import drift  # a second that only this bench needs

        self._detectors = [getattr(drift, name)() for _ in range(nodes)]

    def ready(self, row: np.ndarray) -> list[float]:
        return list(row.tolist())

    def feed(self, ready: Iterable[float]) -> list[bool]:
        return list(self._flags(ready))

    def _flags(self, ready: Iterable[float]) -> Iterator[bool]:
        for detector, value in zip(self._detectors, ready, strict=True):
            if value == value:
                detector.update(value)
                yield detector.drift_detected
            else:
                yield False

    def update(self, row: np.ndarray) -> None:
        self.feed(self.ready(row))


DETECTORS: tuple[tuple[str, Callable[[int], Any], str], ...] = (  # and river's own, by name
    ("page_hinkley", PageHinkleyBank, "PageHinkley"),
    ("adwin", AdwinBank, "ADWIN"),
)


def _timed(clock: Clock, spent: list[float], work: Callable[[Any], Any], given: Any) -> Any:
    begun = clock()
    done = work(given)
    spent.append(clock() - begun)
    return done


def _repeated(state: Mapping[str, Any], nodes: int, times: int) -> dict[str, Any]:
    """The state of a bank of so many times the nodes: each array repeated along its axis of nodes."""
    larger = {name: np.concatenate([value] * times, axis=value.shape.index(nodes))
              if isinstance(value, np.ndarray) else value for name, value in state.items()}
    return {**larger, "nodes": nodes * times}
