"""What watches the backgrounds: the monitor; ADWIN and weekly chunks, on raw values or given neighbours; schedules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import pandas as pd
import xarray as xr
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

from terracast.adapt.data_faults.flag_tickets import FlagTickets
from terracast.adapt.data_faults.silence import ReportWatch
from terracast.adapt.monitoring.detection.bank.adwin import AdwinBank
from terracast.adapt.monitoring.detection.detector import DETECTORS, detector_named
from terracast.adapt.monitoring.monitor import Evidence, Monitor
from terracast.benchmarks.drift.backgrounds import DAY, WEEK, Segment
from terracast.streams.clock import span_text
from terracast.streams.quality import QualitySettings, judge, learn
from terracast.streams.quality.online import as_known

MONTH = np.timedelta64(30 * 24 + 12, "h")


@dataclass(frozen=True)
class BenchAlarm:
    """An alarm at ``row`` of the segment: at which nodes, and what type of change it says it is."""

    row: int
    nodes: frozenset[int]
    change_type: str = ""
    strength: float = 0.0


class Watch(Protocol):
    """A method fitted to the training of one segment."""

    def clean(self) -> list[BenchAlarm]:
        """Alarms of the whole test as it is."""
        ...

    def changed(self, values: np.ndarray) -> list[BenchAlarm]:
        """Alarms of the rows ``Segment.ahead``, with these values (row, node) instead, after a clean wait."""
        ...


class MonitorWatch:
    """The real monitor on the residuals of each node's own climatology, as it would act with this detector, beside the
    flags of the values."""

    def __init__(self, segment: Segment, detector: str = "scan") -> None:
        self._segment = segment
        nodes = segment.values.shape[1]
        self._names = names = tuple(str(node) for node in range(nodes))
        self._usual = learn(self._panel(slice(0, segment.cut), segment.values[:segment.cut]))
        per_month = segment.layout.rate * nodes * float(MONTH / WEEK)
        self._monitor = Monitor.fit(segment.crossed, segment.times[:segment.cut], per_month, seed=1, nodes=names,
                                    values=segment.values[:segment.cut], by_node=True, detector=detector)
        self._reports = ReportWatch.fit(names, segment.times[1] - segment.times[0],
                                        np.isfinite(segment.values[:segment.cut]),
                                        self._monitor.calibration.block)
        self._tickets = FlagTickets("background", "x", names)
        self._before = self._found(segment.cut, segment.values[segment.cut:segment.onset])
        self._state = self._monitor.state(), self._reports.state(), self._tickets.state()

    def clean(self) -> list[BenchAlarm]:
        self._restore()
        return self._before + self._found(self._segment.onset, self._segment.values[self._segment.onset:])

    def changed(self, values: np.ndarray) -> list[BenchAlarm]:
        self._restore()
        return self._found(self._segment.onset, values)

    def _restore(self) -> None:
        monitor, reports, tickets = self._state
        self._monitor, self._reports = Monitor.restore(monitor), ReportWatch.restore(reports)
        self._tickets = FlagTickets.restore(tickets)

    def _found(self, begin: int, values: np.ndarray) -> list[BenchAlarm]:
        """Day by day, as the loop does it: what is flagged by then is no residual."""
        times = self._segment.times[begin:begin + len(values)]
        residuals = self._segment.expectation.residuals(values, times)
        rows = slice(max(0, begin - QualitySettings().context_rows(times[1] - times[0])), begin + len(values))
        seen = np.concatenate([self._segment.values[rows.start:begin], values])
        flags = as_known(judge(self._panel(rows, seen), reference=self._usual, since=times[0]), times[-1])
        found: list[Evidence] = []
        days = times.astype("datetime64[D]")
        for day in np.unique(days):
            part = days == day
            now = times[part][-1]
            aside = flags.flagged("x", times[part], self._names, now)
            found += self._monitor.observe(times[part], np.where(aside, np.nan, residuals[part]))
            found += self._reports.update(times[part], np.isfinite(values[part]))
            found += self._tickets.update(now, {"background": flags}, ())
        return [_alarm(one, self._segment.times) for one in found]

    def _panel(self, rows: slice, values: np.ndarray) -> xr.Dataset:
        """The values as a panel of a quantity of which nothing is known."""
        times = self._segment.times[rows]
        step = span_text(pd.Timedelta(times[1] - times[0]))
        return xr.Dataset({"x": (("time", "node"), values, {"units": "unknown", "long_name": "x"})},
                          {"time": times, "node": list(self._names)},
                          {"domain": "background", "kind": "sensor", "step": step})


def _alarm(evidence: Evidence, times: np.ndarray) -> BenchAlarm:
    return BenchAlarm(int(np.searchsorted(times, evidence.time)), frozenset(map(int, evidence.nodes)),
                      evidence.ticket or evidence.change_type, evidence.strength)


class ScheduleWatch:
    """What no monitor at all does: an alarm at every node ``every`` so often, or never (None)."""

    def __init__(self, segment: Segment, every: np.timedelta64 | None) -> None:
        self._segment = segment
        step = segment.times[1] - segment.times[0]
        self._rows = len(segment.times) + 1 if every is None else max(1, int(every / step))

    def clean(self) -> list[BenchAlarm]:
        return self._found(self._segment.cut, len(self._segment.times))

    def changed(self, values: np.ndarray) -> list[BenchAlarm]:
        return self._found(self._segment.onset, self._segment.onset + len(values))

    def _found(self, begin: int, end: int) -> list[BenchAlarm]:
        rows = range(self._segment.cut + self._rows - 1, end, self._rows)
        return [BenchAlarm(row, frozenset({node})) for row in rows if row >= begin
                for node in range(self._segment.values.shape[1])]


class AdwinWatch:
    """One ADWIN a node on raw values (flags equal to river's); ``delta`` None: the loosest that keeps the rate in
    the training. ``neighbours``: instead, on what ridge regression on all other nodes at the same time leaves."""

    def __init__(self, segment: Segment, delta: float | None, neighbours: bool = False) -> None:
        self._segment, self._weights = segment, None
        training = _filled(segment.values[:segment.cut])
        if neighbours:
            self._weights = _given_others(training)
            training = _left(training, self._weights)
        step = segment.times[1] - segment.times[0]
        weeks = training.size * float(step / WEEK)
        if delta is None:
            tried = np.exp(-np.arange(2.0, 160.0, 6.0))
            delta = next((float(one) for one in tried if _adwin(training, float(one)).sum() / weeks
                          <= segment.layout.rate), float(tried[-1]))
        self._bank = AdwinBank(training.shape[1], delta=delta)
        self._bank.update_many(training)
        self._before = self._found(segment.cut, segment.values[segment.cut:segment.onset])
        self._state = self._bank.state()

    def clean(self) -> list[BenchAlarm]:
        self._bank = AdwinBank.restore(self._state)
        return self._before + self._found(self._segment.onset, self._segment.values[self._segment.onset:])

    def changed(self, values: np.ndarray) -> list[BenchAlarm]:
        self._bank = AdwinBank.restore(self._state)
        return self._found(self._segment.onset, values)

    def _found(self, begin: int, values: np.ndarray) -> list[BenchAlarm]:
        values = _filled(values) if self._weights is None else _left(_filled(values), self._weights)
        rows, nodes = np.nonzero(self._bank.update_many(values))
        return [BenchAlarm(begin + int(row), frozenset({int(node)})) for row, node in zip(rows, nodes, strict=True)]


def _adwin(values: np.ndarray, delta: float) -> np.ndarray:
    return AdwinBank(values.shape[1], delta=delta).update_many(values)


def _filled(values: np.ndarray) -> np.ndarray:
    """The last value where one is missing, as a user of river would do; NaN until the first."""
    last = np.where(np.isfinite(values), np.arange(len(values))[:, None], 0)
    return values[np.maximum.accumulate(last, axis=0), np.arange(values.shape[1])]


class ChunkWatch:
    """A test of one node's chunks against its whole training: ``flagged(reference, chunk)`` of two samples.

    ``make`` prepares a test from the chunks of a node's training. ``neighbours``: instead of raw values, what ridge
    regression on all other nodes at the same time leaves of them.
    """

    def __init__(self, segment: Segment, make: Callable[[list[np.ndarray]], Callable[[np.ndarray], bool]],
                 neighbours: bool = False) -> None:
        self._segment, self._weights = segment, None
        step = segment.times[1] - segment.times[0]
        self._size = int(min(WEEK / step, segment.horizon // 2))
        training = _filled(segment.values[:segment.cut])
        if neighbours:
            self._weights = _given_others(training)
            training = _left(training, self._weights)
        chunks = [training[at:at + self._size] for at in range(0, len(training) - self._size + 1, self._size)]
        self._tests = [make([_seen(chunk[:, node]) for chunk in chunks]) for node in range(training.shape[1])]

    def clean(self) -> list[BenchAlarm]:
        return self._found(self._segment.cut, self._segment.values[self._segment.cut:], range(len(self._tests)))

    def changed(self, values: np.ndarray) -> list[BenchAlarm]:
        moved = np.any(np.nan_to_num(values) != np.nan_to_num(self._segment.values[self._segment.ahead]), axis=0)
        return self._found(self._segment.onset, values, np.flatnonzero(moved).tolist())

    def _found(self, begin: int, values: np.ndarray, nodes: Iterable[int]) -> list[BenchAlarm]:
        values = _filled(values)
        if self._weights is not None:
            values = _left(values, self._weights)
        alarms = []
        for at in range(0, len(values) - self._size + 1, self._size):
            for node in nodes:
                chunk = _seen(values[at:at + self._size, node])
                if len(chunk) >= self._size / 2 and self._tests[node](chunk):
                    alarms.append(BenchAlarm(begin + at + self._size - 1, frozenset({node})))
        return alarms


def jensen_shannon(chunks: list[np.ndarray]) -> Callable[[np.ndarray], bool]:
    """As NannyML does it: distance of histograms (Doane's bins and one for what lies outside), base 2; a chunk is
    flagged above the mean and three deviations of the training chunks' own distances."""
    reference = np.concatenate(chunks)
    edges = np.histogram_bin_edges(reference, bins="doane")
    shares = np.append(np.histogram(reference, edges)[0] / len(reference), 0.0)

    def distance(chunk: np.ndarray) -> float:
        inside = np.histogram(chunk, edges)[0] / max(len(chunk), 1)
        return float(jensenshannon(shares, np.append(inside, max(0.0, 1.0 - inside.sum())), base=2))

    own = np.array([distance(chunk) for chunk in chunks if len(chunk)])
    limit = own.mean() + 3 * own.std()
    return lambda chunk: distance(chunk) > limit


def kolmogorov_smirnov(chunks: list[np.ndarray]) -> Callable[[np.ndarray], bool]:
    """Two-sample KS against the whole training at p < .05, as the libraries' defaults are."""
    reference = np.concatenate(chunks)
    return lambda chunk: bool(ks_2samp(reference, chunk, method="asymp").pvalue < 0.05)


def _seen(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _given_others(values: np.ndarray) -> np.ndarray:
    """Ridge weights (node + 1, node) of each node on all others and one."""
    rows = np.nan_to_num(np.column_stack([values, np.ones(len(values))]))
    gram = rows.T @ rows + np.diag([*np.full(values.shape[1], 10.0), 1e-6])
    weights = np.zeros((len(gram), values.shape[1]))
    for node in range(values.shape[1]):
        others = np.arange(len(gram)) != node
        weights[others, node] = np.linalg.solve(gram[np.ix_(others, others)], gram[others, node])
    return weights


def _left(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return values - np.nan_to_num(np.column_stack([values, np.ones(len(values))])) @ weights


def ours(detector: str) -> str:
    """The row of the monitor with this detector.

    >>> ours("scan"), ours("adwin")
    ('terracast', 'terracast-adwin')
    """
    return "terracast" if detector == "scan" else f"terracast-{detector}"


METHODS: dict[str, Callable[[Segment], Watch]] = {
    **{ours(name): partial(MonitorWatch, detector=name) for name in DETECTORS},
    "river-adwin": lambda segment: AdwinWatch(segment, 0.002),
    "river-adwin-calibrated": lambda segment: AdwinWatch(segment, None),
    "adwin-neighbours-calibrated": lambda segment: AdwinWatch(segment, None, neighbours=True),
    "js-weekly": lambda segment: ChunkWatch(segment, jensen_shannon),
    "js-weekly-neighbours": lambda segment: ChunkWatch(segment, jensen_shannon, neighbours=True),
    "ks-weekly": lambda segment: ChunkWatch(segment, kolmogorov_smirnov),
    "always": lambda segment: ScheduleWatch(segment, DAY),
    "weekly": lambda segment: ScheduleWatch(segment, WEEK),
    "never": lambda segment: ScheduleWatch(segment, None),
}


def watch(method: str, segment: Segment) -> Watch:
    """A method of the bench, fitted to a segment; ``terracast-`` may be followed by any detector (a user's own)."""
    made = METHODS.get(method)
    return MonitorWatch(segment, method.removeprefix("terracast-")) if made is None else made(segment)


def known(method: str) -> bool:
    """Whether there is such a method. Raises ``DetectorError`` where it names a detector that is none."""
    if method not in METHODS and method.startswith("terracast-"):
        detector_named(method.removeprefix("terracast-"))
        return True
    return method in METHODS
