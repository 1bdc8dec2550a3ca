"""The monitor: forecast residuals in, evidence of change out, at a stated number of false alarms a month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adapt.monitoring.e_detector import Sureness
from adapt.monitoring.evidence import Evidence, with_windows
from adapt.monitoring.false_alarms import COOLDOWN_BLOCKS, by_place, threshold
from adapt.monitoring.news import News
from adapt.monitoring.shares import rates_of
from adapt.monitoring.surroundings import Contexts
from adapt.monitoring.views import KINDS, Blocks, Views
from adapt.monitoring.window_scan import REACH, WindowScan
from adapt.monitoring.windows import Span
from adapt.monitoring.witnesses import Record, Witnesses, share_of
from streams.errors import TerracastError

__all__ = ["Calibration", "Evidence", "Monitor", "MonitorError"]

MONTH = np.timedelta64(30 * 24 + 12, "h")
DAY = np.timedelta64(1, "D")
FEWEST_BLOCKS = 14


class MonitorError(TerracastError):
    """A monitor that cannot be calibrated, or was fed rows it cannot read."""


@dataclass(frozen=True)
class Calibration:
    """What ``Monitor.fit`` froze: names, clock and promise, the views, the limits of their streams, the threshold, and
    the span of the reference (None: not known)."""

    nodes: tuple[str, ...]
    step: np.timedelta64
    block: int
    false_alarms_per_month: float
    threshold: float
    views: Views
    scan: WindowScan
    sure: Sureness
    reference: Span | None = None

    @property
    def span(self) -> np.timedelta64:
        """How long a block is."""
        return self.step * self.block

    @property
    def daily(self) -> bool:
        """Whether a block is a day of several steps, so that the daily cycle can be watched."""
        return self.span == DAY and self.block >= 4

    def places(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The block of each of ``times``, and which of its steps it is."""
        return _places(times, self.step, self.block)


class Monitor:
    """Watches standardised forecast residuals of one variable; made by ``Monitor.fit``.

    Hourly residuals are too dependent for a detector, so it sees a few numbers a day: level and scale of each node by
    itself, given its neighbours, and of the whole network, how far a node swings with its neighbours, and its daily
    cycle (``views``). Each is compared, over one to fourteen days, with the weeks before (``window_scan``);
    the limits come from the reference, cross-fitted, and one threshold on all of them from the promise
    (``false_alarms``). What passes is put down to the few nodes that explain it and given a sort
    (``news``). While a change lasts, each block says so again, until the weeks before are as changed as it.
    Where it was fitted with them, it watches the context of the forecasts and their intervals beside the errors
    (``witnesses``), within the same promise.

    >>> draws = np.random.default_rng(0)
    >>> times = np.datetime64("2020-01-01", "ns") + np.arange(24 * 110) * np.timedelta64(1, "h")
    >>> residuals = draws.normal(size=(len(times), 3))
    >>> residuals[24 * 95:, 1] += 2
    >>> monitor = Monitor.fit(residuals[:24 * 80], times[:24 * 80], nodes=("a", "b", "c"), seed=1)
    >>> found = monitor.observe(times[24 * 80:], residuals[24 * 80:])
    >>> strongest = max(found, key=lambda one: one.strength)
    >>> strongest.nodes, strongest.sort, strongest.direction
    (('b',), 'level', 'up')
    """

    def __init__(self, calibration: Calibration, witnesses: Witnesses | None = None) -> None:
        self.calibration, self._witnesses = calibration, witnesses
        self._news = News(calibration.nodes, calibration.views, calibration.scan, calibration.threshold,
                          calibration.sure)
        self._times: list[np.datetime64] = []
        self._rows: list[np.ndarray] = []
        self._last: np.datetime64 | None = None
        self._before: tuple[np.datetime64, np.ndarray] | None = None
        self._past = np.zeros((0, len(calibration.views.kinds[0])))
        self._moments = np.zeros((0, 7, len(calibration.nodes)))

    @classmethod
    def fit(cls, residuals: np.ndarray, times: np.ndarray, false_alarms_per_month: float = 1.0, *, seed: int,
            nodes: Sequence[str] | None = None, block: np.timedelta64 | None = None,
            values: np.ndarray | None = None, by_node: bool = False, inputs: Contexts | None = None,
            pits: np.ndarray | None = None) -> Monitor:
        """Freeze what is normal and set the one threshold, from a reference period in which nothing changed.

        ``residuals`` (time, node): (label - median) / spread of short leads, at rising ``times`` (time,), gaps
        allowed; they must be out of sample (cross-fitted), else every threshold is too tight: that is the caller's
        job. ``block`` defaults to a day, or the longest part of one that gives 14 blocks. ``values`` (time, node):
        the observations themselves, by which nodes that never vary are known.
        ``by_node``: the promise counts the alarms of each node; else all alarms within a week are one. ``inputs``: the
        contexts of those forecasts, and ``pits`` (time, node): where in them the labels fell (``adapt.scores.pit``);
        without them neither kind is watched. Raises ``MonitorError`` when the period is short.
        """
        residuals, times = np.asarray(residuals, float), np.asarray(times, "datetime64[ns]")
        names = tuple(str(node) for node in (range(residuals.shape[1]) if nodes is None else nodes))
        if residuals.shape != (len(times), len(names)) or len(times) < 2 or false_alarms_per_month <= 0:
            raise MonitorError(f"residuals of shape {residuals.shape}", where="monitor reference",
                               expected=f"({len(times)}, {len(names)}) and a positive number of false alarms",
                               remedy="give one row a time and one column a node")
        step = np.median(np.diff(times).astype(np.int64)).astype("timedelta64[ns]")
        size = _block_size(times, step) if block is None else max(1, int(block / step))
        number, at = _places(times, step, size)
        count = len(np.unique(number))
        if count < FEWEST_BLOCKS:
            raise MonitorError(f"{count} blocks of {size} steps", where="monitor reference",
                               expected=f"at least {FEWEST_BLOCKS}",
                               remedy="give a longer reference or a shorter block")
        blocks = Views.crossed(residuals, number, at, size, step * size == DAY and size >= 4)
        views = Views.fit(residuals, (number, at, size))
        records = [] if inputs is None else [
            Record.of_contexts(inputs, _places(inputs.times, step, size)[0], blocks.numbers)]
        if pits is not None:
            told = np.where(_varies(residuals if values is None else np.asarray(values, float)), pits, np.nan)
            records.append(Record.of_pits(told, number, blocks.numbers, size))
        return cls.on(views, blocks, false_alarms_per_month, nodes=names, step=step, block=size,
                      seed=seed, by_node=by_node, records=tuple(records), reference=(times[0], times[-1] + step))

    @classmethod
    def on(cls, views: Views, blocks: Blocks, false_alarms_per_month: float, *, nodes: tuple[str, ...],
           step: np.timedelta64, block: int, seed: int, by_node: bool, records: tuple[Record, ...] = (),
           reference: Span | None = None) -> Monitor:
        """The part of ``fit`` that the promise decides, on a reference that was read already: ``views`` fitted to it
        and its cross-fitted ``blocks`` of so many steps, and the ``records`` of what is watched beside the errors."""
        kinds, places = views.kinds
        per_month = float(MONTH / (step * block))
        promised = false_alarms_per_month / per_month
        rates = rates_of(promised * (1.0 - share_of(records)), blocks.streams, kinds)
        scan = WindowScan.fit(blocks.streams, kinds, rates)
        crossed = WindowScan.crossed(blocks.streams, kinds, rates)
        witnesses, beside = (None, None) if not records else Witnesses.fit(records, promised)

        def scores(rows: np.ndarray) -> np.ndarray:
            own = by_place(crossed.scores(rows), places)
            return own if beside is None else np.maximum(own, by_place(
                beside.scores(rows), np.tile(np.arange(len(nodes) + 1), len(records))))

        limit = threshold(scores, blocks.streams, per_month, false_alarms_per_month, COOLDOWN_BLOCKS, seed,
                          by_node=by_node)
        monitor = cls(Calibration(nodes, step, block, false_alarms_per_month, limit, views, scan,
                                  Sureness.fit(blocks.streams, kinds), reference), witnesses)
        monitor._past, monitor._moments = blocks.streams[-REACH:], blocks.moments[-REACH:]
        return monitor

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which kinds of evidence are watched, data tickets aside."""
        return ("error", *(() if self._witnesses is None else self._witnesses.kinds))

    @property
    def standing(self) -> dict[str, str]:
        """A sentence for each kind that is watched beside errors: how it stands, change or not."""
        return {} if self._witnesses is None else self._witnesses.standing()

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables by whose features the context is known (``surroundings.features``); none: not watched."""
        return () if self._witnesses is None else self._witnesses.variables

    def observe(self, times: np.ndarray, residuals: np.ndarray, pits: np.ndarray | None = None,
                context: np.ndarray | None = None) -> tuple[Evidence, ...]:
        """Take in newly matured rows ``residuals`` (k, node) at rising ``times`` (k,); NaN: the label did not come, or
        was set aside. Where the times of one call fall, a ticket says so.

        ``pits`` (k, node) and ``context`` (feature, node): of the issue that the rows are of, where those are watched.
        Rows not later than the last one seen are ignored (each time counts once). O(k × node).
        """
        found: list[Evidence] = []
        residuals = np.asarray(residuals, float)
        placed = [None] * len(residuals) if pits is None else list(np.asarray(pits, float))
        times = np.asarray(times, "datetime64[ns]")
        if (back := np.flatnonzero(np.diff(times.astype(np.int64)) < 0)).size:
            now = np.max(times) if self._last is None else max(np.max(times), self._last)
            found.append(Evidence(now, times[back[0] + 1], self.calibration.nodes, "health", "none", 0.0, "the clock "
                                  "went back: rows that are not later than the last one are left out", "clock"))
        for time, row, fell in zip(times, residuals, placed, strict=True):
            if self._last is not None and time <= self._last:
                continue
            if self._times and self._block_of(time) != self._block_of(self._times[0]):
                found += self._close()
            self._times.append(time)
            self._rows.append(row)
            self._last = time
            if self._witnesses is not None:
                self._witnesses.hear(fell, context)
                context = None  # the rows of an issue share it
            if self._block_of(time + self.calibration.step) != self._block_of(time):
                found += self._close()
        return tuple(found)

    def replay(self, times: np.ndarray, residuals: np.ndarray) -> tuple[Evidence, ...]:
        """What ``observe`` would say of errors in whole blocks that follow what was seen; takes nothing in.

        All blocks are compared at once, and only those with news are put into words: a year of a thousand nodes in
        seconds. Rows as for ``observe``, gaps allowed inside blocks.
        """
        frozen = self.calibration
        times = np.asarray(times, "datetime64[ns]")
        number, _ = frozen.places(times)
        made = self._made(times, np.asarray(residuals, float))
        streams = np.concatenate([self._past, made.streams])
        moments = np.concatenate([self._moments, made.moments])
        first, none = len(self._past), np.zeros(len(frozen.nodes), bool)
        loud = np.flatnonzero(frozen.scan.scores(streams).max(axis=1) > frozen.threshold)
        ends = times[np.searchsorted(number, made.numbers, side="right") - 1]
        found: list[Evidence] = []
        for row in loud[loud >= first].tolist():
            past = slice(max(0, row + 1 - REACH), row + 1)
            found += self._errors(ends[row - first], streams[past], moments[past], none)
        return tuple(found)

    def restart(self) -> None:
        """Forget what was seen, keep what is normal and the threshold: for a new champion."""
        self._times, self._rows, self._before = [], [], None
        self._past, self._moments = self._past[:0], self._moments[:0]
        if self._witnesses is not None:
            self._witnesses.serve_anew()

    def _block_of(self, time: np.datetime64) -> int:
        return int(time.astype(np.int64) // self.calibration.span.astype(np.int64))

    def _close(self) -> list[Evidence]:
        """End the block: add its streams to the past, compare, and put what passes into words."""
        frozen, time, rows = self.calibration, self._times[-1], np.stack(self._rows)
        unseen = ~np.isfinite(rows).any(axis=0)
        made = self._made(np.array(self._times), rows)
        self._before, self._times, self._rows = (time, rows[-1]), [], []
        self._past = np.concatenate([self._past, made.streams])[-REACH:]
        self._moments = np.concatenate([self._moments, made.moments])[-REACH:]
        found = self._errors(time, self._past, self._moments, unseen)
        if self._witnesses is not None:
            found += self._witnesses.close(time, time + frozen.step, frozen, unseen)
        return self._of_what_varies(found)

    def _of_what_varies(self, found: list[Evidence]) -> list[Evidence]:
        """What the whole network shows is said of the nodes that vary: one that only ever says what was expected of it,
        such as a district without a case, did not change."""
        nodes = self.calibration.nodes
        own = np.nan_to_num(self._past[:, :len(nodes)])
        varied = tuple(name for name, moves in zip(nodes, np.ptp(own, axis=0) > 0, strict=True) if moves)
        return [replace(one, nodes=varied) if varied and one.nodes == nodes else one for one in found]

    def _errors(self, time: np.datetime64, past: np.ndarray, moments: np.ndarray, ill: np.ndarray) -> list[Evidence]:
        """What errors say at the end of a block, with the windows that it is about."""
        frozen = self.calibration
        found = self._news.of(time, frozen.span, past, moments, ill)
        if not found or frozen.reference is None:
            return found
        scores, _ = frozen.scan.latest(past)
        return with_windows(found, scores, frozen.nodes, time + frozen.step, frozen.span, len(past), frozen.reference)

    def _made(self, times: np.ndarray, rows: np.ndarray) -> Blocks:
        """The blocks of ``rows``, with the last row of the block before them at hand for what jumps between the two."""
        frozen = self.calibration
        led = [] if self._before is None else [self._before]
        number, at = frozen.places(np.array([time for time, _ in led] + list(times), "datetime64[ns]"))
        made = frozen.views.blocks(np.concatenate([*(row[None] for _, row in led), rows]), number, at, frozen.block,
                                   frozen.daily)
        return Blocks(made.numbers[len(led):], made.streams[len(led):], made.moments[len(led):])

    def state(self) -> dict[str, object]:
        """Everything needed to go on to the bit: what was frozen, the past blocks, the open block, the counts."""
        frozen = self.calibration
        return {"kinds": list(KINDS), "nodes": list(frozen.nodes),
                "step": int(frozen.step.astype(np.int64)), "block": frozen.block,
                "false_alarms_per_month": frozen.false_alarms_per_month, "threshold": frozen.threshold,
                "views": frozen.views.state(), "scan": frozen.scan.state(),
                "sure": frozen.sure.state(),
                "witnesses": None if self._witnesses is None else self._witnesses.state(),
                "reference": None if frozen.reference is None else [
                    int(at.astype(np.int64)) for at in frozen.reference],
                "past": self._past.copy(), "moments": self._moments.copy(),
                "times": np.array(self._times, "datetime64[ns]").astype(np.int64),
                "rows": np.array(self._rows, float).reshape(-1, len(frozen.nodes)),
                "before": None if self._before is None else
                {"time": int(self._before[0].astype(np.int64)), "row": self._before[1].copy()},
                "last": None if self._last is None else int(self._last.astype(np.int64))}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Monitor:
        """A monitor that goes on where ``state`` was taken; one saved before there were witnesses has none. Raises
        ``MonitorError`` for one that watched other streams than this version does."""
        if list(state.get("kinds", ())) != list(KINDS):
            raise MonitorError("a monitor that was saved by another version", where="saved loop",
                               expected="the streams " + ", ".join(KINDS),
                               remedy="begin service anew on all that is known: terracast retrain")
        reference = state.get("reference")
        witnesses = state.get("witnesses")
        frozen = Calibration(tuple(state["nodes"]), np.timedelta64(int(state["step"]), "ns"), int(state["block"]),
                             float(state["false_alarms_per_month"]), float(state["threshold"]),
                             Views.restore(state["views"]), WindowScan.restore(state["scan"]),
                             Sureness.restore(state["sure"]), None if reference is None else (
                                 np.datetime64(int(reference[0]), "ns"), np.datetime64(int(reference[1]), "ns")))
        monitor = cls(frozen, None if witnesses is None else Witnesses.restore(witnesses))
        monitor._times = [np.datetime64(int(time), "ns") for time in state["times"]]
        monitor._rows = [np.array(row, float) for row in state["rows"]]
        monitor._last = None if state["last"] is None else np.datetime64(int(state["last"]), "ns")
        if state["before"] is not None:
            monitor._before = (np.datetime64(int(state["before"]["time"]), "ns"),
                               np.array(state["before"]["row"], float))
        monitor._past, monitor._moments = np.array(state["past"], float), np.array(state["moments"], float)
        return monitor


def _places(times: np.ndarray, step: np.timedelta64, size: int) -> tuple[np.ndarray, np.ndarray]:
    steps = times.astype("datetime64[ns]").astype(np.int64) // step.astype("timedelta64[ns]").astype(np.int64)
    return steps // size, steps % size


def _varies(values: np.ndarray) -> np.ndarray:
    """Which nodes of ``values`` (time, node) ever vary, (node,): of one that never did, intervals of no width say
    nothing."""
    seen = np.isfinite(values)
    return np.asarray(np.where(seen, values, -np.inf).max(axis=0) > np.where(seen, values, np.inf).min(axis=0))


def _block_size(times: np.ndarray, step: np.timedelta64) -> int:
    """Steps in a block: a day, or the longest part of a day of which the period holds enough; at least one."""
    for hours in (24, 12, 6, 3, 1):
        size = int(np.timedelta64(hours, "h") / step)
        if size >= 1 and len(times) // size >= FEWEST_BLOCKS:
            return size
    return 1
