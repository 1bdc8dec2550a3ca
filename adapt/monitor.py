"""The monitor: forecast residuals in, evidence of change out, at a stated number of false alarms a month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adapt.bank import AdwinBank
from adapt.changes import change_in, steady_change
from adapt.false_alarms import calibrate, watch_bank
from adapt.health import Silence
from adapt.reference import Reference
from adapt.views import Views, block_streams
from streams.errors import TerracastError

MONTH = np.timedelta64(30 * 24 + 12, "h")
# ADWIN's bound has one term in raw units; streams three deviations wide make it small beside the one that scales.
GAIN = 3.0
FEWEST_BLOCKS = 14
COOLDOWN_BLOCKS = 7  # false alarms this close are one episode, as for a person who was just told
SILENT_BLOCKS = 3
SMALLEST = 1.0  # deviations of a normal block: a change that is sure but smaller is not worth waking anyone
HISTORY = 42  # blocks kept to say since when, which way and how much


class MonitorError(TerracastError):
    """A monitor that cannot be calibrated, or was fed rows it cannot read."""


@dataclass(frozen=True)
class Evidence:
    """One sign of change: found at ``time``, going on ``since``, at ``nodes``.

    ``sort`` guesses ``level`` (errors moved one way: ``up`` or ``down``), ``scale`` (errors grew or shrank) or says
    ``health`` (nothing was reported). ``strength``: size in deviations of a normal block; for health 0.
    """

    time: np.datetime64
    since: np.datetime64
    nodes: tuple[str, ...]
    sort: str
    direction: str
    strength: float
    words: str


@dataclass(frozen=True)
class Calibration:
    """What ``Monitor.fit`` froze: names, clock and promise, the views and the normal scale of their block streams."""

    nodes: tuple[str, ...]
    step: np.timedelta64
    block: int
    false_alarms_per_month: float
    log_delta: float
    views: Views
    normal: Reference


class Monitor:
    """Watches standardised forecast residuals of one variable; made by ``Monitor.fit``.

    Hourly residuals are too dependent for a detector, so it sees block streams: the mean and the log scale over a day
    of each node, each node against its neighbours, and the common mode (``adapt.views``), each with an ADWIN.
    On Beijing PM2.5, one alarm a month promised, days found one-deviation drifts of one station as well as raw hours
    did (share found .98 against .94), shifts 80 h sooner, at a twentieth of the cost. With the neighbour view, half
    of a deviation as shift or ramp was found in .7–.8 of the trials, without it in .2–.35 (with more alarms, too: 1.25
    a month against .9). The blind spots: what is slower than a few weeks, and errors that grow by less than a half.
    ``sort`` on PM2.5, NO2 and SO2 there, thresholds from one year, first evidence at the changed station: shifts and
    ramps called a level in .96, errors × 1.3–1.75 called a scale in .79 (.67 by the strongest stream alone), stuck
    sensors (narrower) in .83 (.59).

    >>> draws = np.random.default_rng(0)
    >>> times = np.datetime64("2020-01-01", "ns") + np.arange(24 * 110) * np.timedelta64(1, "h")
    >>> residuals = draws.normal(size=(len(times), 3))
    >>> residuals[24 * 95:, 1] += 2
    >>> monitor = Monitor.fit(residuals[:24 * 80], times[:24 * 80], nodes=("a", "b", "c"), seed=1)
    >>> found = monitor.observe(times[24 * 80:], residuals[24 * 80:])
    >>> found[0].nodes, found[0].sort, found[0].direction
    (('b',), 'level', 'up')
    """

    def __init__(self, calibration: Calibration, bank: AdwinBank, silence: Silence) -> None:
        self.calibration, self._bank, self._silence = calibration, bank, silence
        self._times: list[np.datetime64] = []
        self._rows: list[np.ndarray] = []
        self._last: np.datetime64 | None = None
        self._past = np.zeros((0, bank.nodes))

    @classmethod
    def fit(cls, residuals: np.ndarray, times: np.ndarray, false_alarms_per_month: float = 1.0, *, seed: int,
            nodes: Sequence[str] | None = None, block: np.timedelta64 | None = None) -> Monitor:
        """Freeze what is normal and set the one threshold, from a reference period in which nothing changed.

        ``residuals`` (time, node): (label - median) / spread of short leads, at rising ``times`` (time,), gaps
        allowed; they must be out of sample (cross-fitted), else every threshold is too tight: that is the caller's
        job. ``block`` defaults to a day, or the longest part of one that gives 14 blocks. Cost: seconds for tens of
        nodes. Raises ``MonitorError`` when the period is too short.
        """
        residuals, times = np.asarray(residuals, float), np.asarray(times, "datetime64[ns]")
        names = tuple(str(node) for node in (range(residuals.shape[1]) if nodes is None else nodes))
        if residuals.shape != (len(times), len(names)) or len(times) < 2 or false_alarms_per_month <= 0:
            raise MonitorError(f"residuals of shape {residuals.shape}", where="monitor reference",
                               expected=f"({len(times)}, {len(names)}) and a positive number of false alarms",
                               remedy="give one row a time and one column a node")
        step = np.median(np.diff(times).astype(np.int64)).astype("timedelta64[ns]")
        size = _block_size(times, step) if block is None else max(1, int(block / step))
        views = Views.fit(residuals)
        blocks = _blocks(views.of(residuals), times, step * size, size)
        if len(blocks) < FEWEST_BLOCKS:
            raise MonitorError(f"{len(blocks)} blocks of {size} steps", where="monitor reference",
                               expected=f"at least {FEWEST_BLOCKS}",
                               remedy="give a longer reference or a shorter block")
        normal = Reference.fit(blocks)
        streams = GAIN * normal.standardise(blocks)
        log_delta = calibrate(streams, float(MONTH / (step * size)), false_alarms_per_month, COOLDOWN_BLOCKS, seed)
        bank = watch_bank(streams.shape[1], log_delta)
        bank.update_many(streams)
        expected = np.isfinite(residuals).mean(axis=0) >= 0.5
        silence = Silence(expected, outage_after=max(2, size // 4), silent_after=SILENT_BLOCKS * size)
        monitor = cls(Calibration(names, step, size, false_alarms_per_month, log_delta, views, normal), bank, silence)
        monitor._past = streams[-HISTORY:] / GAIN
        return monitor

    def observe(self, times: np.ndarray, residuals: np.ndarray) -> tuple[Evidence, ...]:
        """Take in newly matured rows ``residuals`` (k, node) at rising ``times`` (k,); NaN: the label did not come.

        Rows not later than the last one seen are ignored (each time counts once). Rows that never come at all are
        noticed at the next one; to learn of an outage while it lasts, feed NaN rows. O(k × node).
        """
        found: list[Evidence] = []
        for time, row in zip(np.asarray(times, "datetime64[ns]"), np.asarray(residuals, float), strict=True):
            if self._last is not None and time <= self._last:
                continue
            found += self._health(time, np.isfinite(row))
            if self._times and self._block_of(time) != self._block_of(self._times[0]):
                found += self._close()
            self._times.append(time)
            self._rows.append(row)
            self._last = time
            if self._block_of(time + self.calibration.step) != self._block_of(time):
                found += self._close()
        return tuple(found)

    def restart(self) -> None:
        """Forget what was seen, keep what is normal and the threshold: for a new champion."""
        self._bank.reset()
        self._times, self._rows = [], []
        self._past = np.zeros((0, self._bank.nodes))

    def _block_of(self, time: np.datetime64) -> int:
        return int(time.astype(np.int64) // (self.calibration.step * self.calibration.block).astype(np.int64))

    def _health(self, time: np.datetime64, reported: np.ndarray) -> list[Evidence]:
        frozen = self.calibration
        missed = 0 if self._last is None else int((time - self._last) / frozen.step) - 1
        told = [self._silence.hear(np.zeros(len(reported), bool), missed)] if missed > 0 else []
        told.append(self._silence.hear(reported))
        found = []
        if any(outage for outage, _ in told):
            since = time - self._silence.outage_after * frozen.step
            found.append(Evidence(time, since, frozen.nodes, "health", "none", 0.0,
                                  "most sensors report nothing: an outage of the data, not a drift of the world"))
        for node in np.flatnonzero(np.any([alone for _, alone in told], axis=0)):
            name, since = frozen.nodes[node], time - self._silence.silent_after * frozen.step
            found.append(Evidence(time, since, (name,), "health", "none", 0.0, f"{name} reports nothing"))
        return found

    def _close(self) -> list[Evidence]:
        """End the block: feed its streams to the detectors and put the flags into words."""
        frozen, time = self.calibration, self._times[-1]
        rows = frozen.views.of(np.stack(self._rows))
        self._times, self._rows = [], []
        streams = frozen.normal.standardise(block_streams(rows, frozen.block))
        flags = self._bank.update(GAIN * streams)
        self._past = np.concatenate([self._past, streams[None]])[-HISTORY:]
        changes: dict[int, tuple[float, int, int]] = {}  # the strongest flagged stream of each place
        for stream in np.flatnonzero(flags).tolist():
            moved, age = change_in(self._past[:, stream])
            if abs(moved) < SMALLEST:
                continue
            place = self._place(stream)
            if place not in changes or abs(moved) > abs(changes[place][0]):
                changes[place] = (moved, age, stream)
        span = frozen.step * frozen.block
        return [self._evidence(time, time - age * span, place, *self._sorted(place, stream, moved, age))
                for place, (moved, age, stream) in sorted(changes.items())]

    def _sorted(self, place: int, stream: int, moved: float, age: int) -> tuple[int, float]:
        """The stream that says what sort of change this is, and its step: where errors grow, slow swings grow as well
        and make the level streams alarm, so the steadiest change among all views of the place decides the sort."""
        nodes, half = len(self.calibration.nodes), self._bank.nodes // 2
        views = (2 * nodes,) if place == nodes else (place, nodes + place)
        changes = {view + side: steady_change(self._past[:, view + side], age) for view in views for side in (0, half)}
        steadiest = max(changes, key=lambda one: abs(changes[one][1]))
        same_sort = (steadiest < half) == (stream < half)
        return (stream, moved) if same_sort else (steadiest, changes[steadiest][0])

    def _place(self, stream: int) -> int:
        """The node of a stream, or the number of nodes for the common mode."""
        nodes = len(self.calibration.nodes)
        view = stream % (2 * nodes + 1)
        return nodes if view == 2 * nodes else view % nodes

    def _evidence(self, time: np.datetime64, since: np.datetime64, place: int, stream: int, moved: float) -> Evidence:
        names = self.calibration.nodes
        level = stream < self._bank.nodes // 2
        where = f"at {names[place]}" if place < len(names) else "across the whole network"
        if level:
            direction = "up" if moved > 0 else "down"
            words = f"observations {where} run {'above' if moved > 0 else 'below'} the forecast"
        else:
            direction = "wider" if moved > 0 else "narrower"
            words = f"forecast errors {where} became {'larger' if moved > 0 else 'smaller'}"
        words += f" by {abs(moved):.1f} deviations of a normal {_span(self.calibration.step * self.calibration.block)}"
        return Evidence(time, since, (names[place],) if place < len(names) else names,
                        "level" if level else "scale", direction, abs(moved), words)

    def state(self) -> dict[str, object]:
        """Everything needed to go on to the bit: what was frozen, the detectors, the open block, the counts."""
        frozen = self.calibration
        return {"nodes": list(frozen.nodes), "step": int(frozen.step.astype(np.int64)), "block": frozen.block,
                "false_alarms_per_month": frozen.false_alarms_per_month, "log_delta": frozen.log_delta,
                "views": frozen.views.state(), "normal": frozen.normal.state(), "bank": self._bank.state(),
                "silence": self._silence.state(), "past": self._past.copy(),
                "times": np.array(self._times, "datetime64[ns]").astype(np.int64),
                "rows": np.array(self._rows, float).reshape(-1, len(frozen.nodes)),
                "last": None if self._last is None else int(self._last.astype(np.int64))}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Monitor:
        """A monitor that goes on where ``state`` was taken."""
        frozen = Calibration(tuple(state["nodes"]), np.timedelta64(int(state["step"]), "ns"), int(state["block"]),
                             float(state["false_alarms_per_month"]), float(state["log_delta"]),
                             Views.restore(state["views"]), Reference.restore(state["normal"]))
        monitor = cls(frozen, AdwinBank.restore(state["bank"]), Silence.restore(state["silence"]))
        monitor._times = [np.datetime64(int(time), "ns") for time in state["times"]]
        monitor._rows = [np.array(row, float) for row in state["rows"]]
        monitor._last = None if state["last"] is None else np.datetime64(int(state["last"]), "ns")
        monitor._past = np.array(state["past"], float)
        return monitor


def _blocks(views: np.ndarray, times: np.ndarray, span: np.timedelta64, size: int) -> np.ndarray:
    """Block streams (block, 2 × view) of rows in rising time; a block with less than half its rows is left out."""
    block = times.astype(np.int64) // span.astype("timedelta64[ns]").astype(np.int64)
    parts = np.split(views, np.flatnonzero(np.diff(block)) + 1)
    kept = [block_streams(part, size) for part in parts if 2 * len(part) >= size]
    return np.array(kept).reshape(len(kept), 2 * views.shape[1])


def _block_size(times: np.ndarray, step: np.timedelta64) -> int:
    """Steps in a block: a day, or the longest part of a day of which the period holds enough; at least one."""
    for hours in (24, 12, 6, 3, 1):
        size = int(np.timedelta64(hours, "h") / step)
        if size >= 1 and len(times) // size >= FEWEST_BLOCKS:
            return size
    return 1


def _span(span: np.timedelta64) -> str:
    hours = float(span / np.timedelta64(1, "h"))
    return "day" if hours == 24 else f"{hours:g} h"
