"""Channels beside the errors: context (input), intervals (calibration) and level, compared by the same scan.

Each gives a number a block for each node and one for all together, which are compared with the weeks before as the
streams of the errors are; their scores join one threshold, so that the promise holds for all kinds together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from terracast.adapt.monitoring.channels.covariate_shift import Contexts, CovariateShift, mean_seen
from terracast.adapt.monitoring.channels.interval_calibration import IntervalCalibration
from terracast.adapt.monitoring.channels.observed_level import ObservedLevel
from terracast.adapt.monitoring.detection.detector import ReferenceStatistics
from terracast.adapt.monitoring.detection.glr_scan import (
    HISTORY,
    MEANS,
    MEDIANS,
    REACH,
    WEIGHTS,
    WINDOWS,
    Crossed,
    WindowScan,
)
from terracast.adapt.monitoring.diagnosis.change_types import Began, began
from terracast.adapt.monitoring.diagnosis.compared_windows import Span, windows_at
from terracast.adapt.monitoring.diagnosis.effect import Effect
from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.streams.stateful import Stateful

# Which share of the promised false alarms each kind may raise, at the nodes and of all of them together; errors have
# what is left.
SHARES = {"input": (0.03, 0.02), "calibration": (0.03, 0.02), "level": (0.15, 0.25)}
# Of the level's, which share each window may raise: a new level is to be told in days, and single strange days are
# none. Where few blocks are known, nobody can say how far two days may go together: means do as well.
OF_MEDIANS = tuple(float(row >= len(MEANS)) / len(MEDIANS) for row in range(len(WINDOWS)))
OF_MEANS = tuple(float(row < len(MEANS)) / len(MEANS) for row in range(len(WINDOWS)))
LONG = 224  # blocks of a reference from which on medians keep their promise as means do
LATELY = 7  # blocks
Watched = CovariateShift | IntervalCalibration | ObservedLevel
HALF = 0.5  # of how far a place moved beside all others that it moved itself, at least
RANKS = np.linspace(0.0, 1.0, 201)


@dataclass(frozen=True)
class Record:
    """What a reference says of one kind: block means (block, statistic, node), and how far off its blocks were,
    cross-fitted, at each node and for all (block, node + 1)."""

    channel: Watched
    means: np.ndarray
    distances: np.ndarray

    @classmethod
    def of_contexts(cls, contexts: Contexts, block: np.ndarray, numbers: np.ndarray) -> Record:
        """From contexts in these blocks (issue,), laid out along the blocks ``numbers`` of the errors."""
        means = _block_means(contexts.features, block, numbers, 1)
        seen = np.isfinite(means).any(axis=(1, 2))
        distances = np.full((len(means), means.shape[2]), np.nan)
        if seen.sum() > 1:
            distances[seen] = CovariateShift.crossed(means[seen], contexts.variables)
        return cls(CovariateShift.fit(means, contexts.variables), means, with_common(distances))

    @classmethod
    def of_pits(cls, pits: np.ndarray, block: np.ndarray, numbers: np.ndarray, size: int) -> Record:
        """From ``pits`` (time, node) in these blocks (time,) of ``size`` steps."""
        channel = IntervalCalibration()
        means = _block_means(IntervalCalibration.rows(pits), block, numbers, channel.enough(size))
        return cls(channel, means, with_common(channel.distances(means)))

    @classmethod
    def of_levels(cls, levels: np.ndarray, block: np.ndarray, numbers: np.ndarray, size: int) -> Record:
        """From ``levels`` (time, statistic, node) in these blocks (time,) of ``size`` steps."""
        rows = ObservedLevel.rows(levels)
        means = _block_means(rows, block, numbers, -(-size // 2))
        return cls(ObservedLevel.fit(means), means, with_common(ObservedLevel.crossed(means)))


def share_of(records: tuple[Record, ...]) -> float:
    """Which share of the promise they have all together."""
    return sum(sum(SHARES[one.channel.kind]) for one in records)


class FrozenMonitor(Protocol):
    """What a monitor has frozen of blocks, names and limits."""

    @property
    def nodes(self) -> tuple[str, ...]: ...
    @property
    def span(self) -> np.timedelta64: ...
    @property
    def block(self) -> int: ...
    @property
    def threshold(self) -> float: ...
    @property
    def reference(self) -> Span | None: ...


@dataclass
class Channels(Stateful):
    """Several kinds of evidence, watched side by side; made by ``fit``.

    ``usual``: of each kind what is told in the reference (statistic, node + 1) on average, and the quantiles of its
    distances (of nodes, of all); ``past``: the latest block means of each.
    """

    channels: tuple[Watched, ...]
    scan: WindowScan
    usual: tuple[tuple[np.ndarray, np.ndarray], ...]
    past: list[np.ndarray]
    _open: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    @classmethod
    def fit(cls, records: tuple[Record, ...], promised: float) -> tuple[Channels, Crossed]:
        """From what the reference says; ``promised``: false alarms a block, of all kinds of evidence. Answers also the
        scan of the reference's own blocks, out of sample, for the common threshold.

        What was served in the reference is not known, only cross-fitted forecasts are: intervals are compared with
        what is served from now on.
        """
        streams = np.concatenate([compared(one.channel, one.distances) for one in records], axis=1)
        nodes = records[0].means.shape[2]
        rates = np.array([[promised * share * part for part in _window_shares(one.channel.kind, len(streams))]
                          for one in records
                          for share in _shares(one.channel.kind, int(np.isfinite(one.distances[:, :nodes]).any(
                              axis=0).sum()))])
        kinds = np.concatenate([np.append(np.full(nodes, 2 * at), 2 * at + 1) for at in range(len(records))])
        usual = tuple((mean_seen(with_common(one.channel.standardised(one.means))),
                       np.stack([_quantiles(one.distances[:, :nodes]), _quantiles(one.distances[:, nodes:])]))
                      for one in records)
        past = [one.means[-REACH:].copy() for one in records]
        reference = ReferenceStatistics(streams, kinds, rates)
        made = cls(tuple(one.channel for one in records), WindowScan.fit(reference), usual, past)
        made.reset()
        return made, WindowScan.crossed(reference)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which kinds of evidence are watched."""
        return tuple(one.kind for one in self.channels)

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables whose features the context is known by; none where it is not watched."""
        return next((one.variables for one in self.channels if isinstance(one, CovariateShift)), ())

    def reset(self) -> None:
        """Forget how well intervals held: another forecaster serves. The context is nobody's and stays."""
        for at, one in enumerate(self.channels):
            if isinstance(one, IntervalCalibration):
                self.past[at] = np.full_like(self.past[at], np.nan)

    def update(self, pits: np.ndarray | None, context: np.ndarray | None, levels: np.ndarray | None = None) -> None:
        """Take in the ``pits`` (node,) and ``levels`` (statistic, node) of one instant, and the ``context``
        (feature, node) of an issue."""
        if not self._open:
            self._open = [(np.zeros(one.shape[1:]), np.zeros(one.shape[1:])) for one in self.past]
        given = {"calibration": pits, "level": levels}
        rows = [context if isinstance(one, CovariateShift) else None if given[one.kind] is None
                else one.rows(np.asarray(given[one.kind])[None])[0] for one in self.channels]
        self._open = [(sums, counts) if row is None else (sums + np.nan_to_num(row), counts + np.isfinite(row))
                      for (sums, counts), row in zip(self._open, rows, strict=True)]

    def close(self, time: np.datetime64, end: np.datetime64, frozen: FrozenMonitor, ill: np.ndarray) -> list[Evidence]:
        """End the block, whose last instant is ``time`` and which ends at ``end``: compare, and put what passes the
        threshold into words; ``ill`` (node,): nodes that have a data ticket already."""
        self._close_block(frozen.block)
        standardised = [with_common(one.standardised(past)) for one,
                        past in zip(self.channels, self.past, strict=True)]
        distances = [with_common(one.distances(one.standardised(past)))
                     for one, past in zip(self.channels, self.past, strict=True)]
        streams = [compared(*each) for each in zip(self.channels, distances, strict=True)]
        scores, _ = self.scan.latest(np.concatenate(streams, axis=1))
        scores = np.nan_to_num(scores).reshape(len(WINDOWS), len(distances), -1)
        scores[:, :, :-1] = np.where(ill, 0.0, scores[:, :, :-1])
        found: list[Evidence] = []
        for at, channel in enumerate(self.channels):
            averages, quantiles = self.usual[at]
            loud = np.flatnonzero(np.abs(scores[:, at]).max(axis=0) > frozen.threshold)
            moved = [_moved(channel, int(place), scores[:, at, place], distances[at][:, place],
                            standardised[at][..., place], quantiles[int(place == len(frozen.nodes))],
                            streams[at][:, place]) for place in loud]
            telling = [one for one in moved if channel.is_alarm(one.now, one.before, one.rank)]
            found += [_evidence(channel, group, averages, frozen, time, end, len(distances[at]))
                      for group in _grouped(telling, len(frozen.nodes), compared_with_all(channel, len(frozen.nodes)))]
        return found

    def status(self) -> dict[str, str]:
        """A sentence for each kind on how the network has stood over the last ``LATELY`` blocks, change or not: a
        season that the reference has not seen comes slowly, and is no news on any day of it."""
        standardised = {}
        for channel, past, (_, quantiles) in zip(self.channels, self.past, self.usual, strict=True):
            latest = channel.standardised(past[-LATELY:])
            alone = latest.shape[2] == 1
            distance = mean_seen(with_common(channel.distances(latest)))[0 if alone else -1]
            if np.isfinite(distance):
                rank = _rank(quantiles[0 if alone else 1], float(distance))
                standardised[channel.kind] = channel.status(mean_seen(with_common(latest))[..., 0 if alone else -1],
                                                              rank)
        return standardised

    def _close_block(self, size: int) -> None:
        for at, channel in enumerate(self.channels):
            sums, counts = self._open[at] if self._open else (np.zeros(self.past[at].shape[1:]),) * 2
            mean = np.where(counts >= channel.enough(size), sums / np.maximum(counts, 1), np.nan)
            self.past[at] = np.concatenate([self.past[at], mean[None]])[-REACH:]
        self._open = []


def _shares(kind: str, nodes: int) -> tuple[float, float]:
    """What each of the ``nodes`` that were seen, and all together, may raise of the promise: one is all there is."""
    each, all_ = SHARES[kind]
    return (each + all_, 0.0) if nodes <= 1 else (each / nodes, all_)


def _window_shares(kind: str, blocks: int) -> tuple[float, ...]:
    """Which share of its false alarms a stream of this kind may raise by each window, where ``blocks`` are known."""
    if kind == "level":
        return OF_MEDIANS if blocks >= LONG else OF_MEANS
    return tuple(weight / sum(WEIGHTS) for weight in WEIGHTS)


@dataclass(frozen=True)
class _Moved:
    """A stream that moved more than normal weeks do: its place (a node, or all), the window that says so, the mean
    distance there and what is told in that window and in the weeks before, which share of the reference lay below it,
    whether what was compared went ``up``, and whether the place itself ``stayed``, and only all others moved."""

    place: int
    window: int
    strength: float
    now: float
    before: float
    standardised: np.ndarray
    usual_before: np.ndarray
    rank: float
    began: Began
    up: bool
    stayed: bool
    effect: Effect | None = None


def _moved(channel: Watched, place: int, scores: np.ndarray, distances: np.ndarray, standardised: np.ndarray,
           quantiles: np.ndarray, stream: np.ndarray) -> _Moved:
    """Of one place's ``scores`` (window,), ``distances`` (block,), what is ``standardised`` (block, statistic) and the
    ``stream`` (block,) that was compared."""
    loudest = int(np.argmax(np.abs(scores)))
    window = WINDOWS[loudest]
    parts = slice(-window, None), slice(-HISTORY - window, -window)
    middle = mean_seen if loudest < len(MEANS) else median_seen
    now, before = float(middle(distances[parts[0]])), float(mean_seen(distances[parts[1]]))
    rank = _rank(quantiles, now)
    when = began(stream)
    own, beside = (_step(one, when.age) for one in (distances, stream))
    stayed = abs(own) < HALF * abs(beside) or (own > 0) != (beside > 0)
    effect = channel.effect(standardised, stream, when.age) if isinstance(channel, ObservedLevel) else None
    return _Moved(place, window, float(abs(scores[loudest])), now, before, middle(standardised[parts[0]]),
                  mean_seen(standardised[parts[1]]), rank, when, bool(scores[loudest] > 0), stayed, effect)


def _step(stream: np.ndarray, age: int) -> float:
    """How far the last ``age`` blocks of a stream lie from the two weeks before them."""
    return float(mean_seen(stream[-age:]) - mean_seen(stream[-age - max(WINDOWS):-age]))


def _grouped(moved: list[_Moved], nodes: int, with_all: bool) -> list[list[_Moved]]:
    """What is told as one: what all nodes together show, and the nodes that moved the same way. Of nodes that are
    compared with all (``with_all``) those are told, too, but not who only stayed as all others began to move."""
    whole = [one for one in moved if one.place == nodes]
    if whole and not with_all:
        return [whole]
    own = [one for one in moved if one.place != nodes and not (whole and one.stayed)]
    ways = ([one for one in own if one.up == up] for up in (True, False))
    return [group for group in (whole, *ways) if group]


def _evidence(channel: Watched, group: list[_Moved], usual: np.ndarray,
              frozen: FrozenMonitor,
              time: np.datetime64, end: np.datetime64, blocks: int) -> Evidence:
    """One piece of evidence for places that moved the same way, in the words of the strongest of them."""
    best = max(group, key=lambda one: one.strength)
    wide = best.place == len(frozen.nodes)
    names = frozen.nodes if wide else tuple(frozen.nodes[one.place] for one in group)
    details, direction = channel.details(best.standardised, best.usual_before, usual[:, best.place], best.rank)
    if isinstance(channel, ObservedLevel):
        direction = "up" if best.up else "down"
        if compared_with_all(channel, len(frozen.nodes)) and not wide:
            details = {**details, "form": "other places"}
    since, oldest, youngest = (end - age * frozen.span
                               for age in (best.began.age, best.began.oldest, best.began.youngest))
    stated = None if frozen.reference is None else windows_at(end, frozen.span, best.window, blocks, frozen.reference)
    return Evidence(time, since, names, channel.kind, direction, best.strength, details=details, effect=best.effect,
                    earliest=oldest, latest=youngest, windows=stated, common=wide and len(frozen.nodes) > 1)


def with_common(values: np.ndarray) -> np.ndarray:
    """``values`` (…, node) with their median over the nodes as one more (one strange node is not the network), NaN
    where less than half of several say anything. A node that says nothing anywhere in ``values`` is not one of them.

    >>> with_common(np.array([[1.0, 3.0, np.nan, 9.0]])).tolist()
    [[1.0, 3.0, nan, 9.0, 3.0]]
    """
    ever = int(np.isfinite(values).any(axis=tuple(range(values.ndim - 1))).sum())
    count = np.isfinite(values).sum(axis=-1, keepdims=True)
    enough = (2 * count >= ever) & (ever > 1)
    median = median_seen(np.moveaxis(values, -1, 0))[..., None]
    return np.concatenate([values, np.where(enough, median, np.nan)], axis=-1)


def median_seen(values: np.ndarray) -> np.ndarray:
    """Medians over the first axis of what was seen, NaN where nothing was.

    >>> median_seen(np.array([[1.0, np.nan], [2.0, np.nan], [9.0, np.nan], [np.nan, np.nan]])).tolist()
    [2.0, nan]
    """
    count, ordered = np.isfinite(values).sum(axis=0, keepdims=True), np.sort(values, axis=0)  # NaN last
    low, high = (np.take_along_axis(ordered, np.maximum(at, 0), axis=0)[0] for at in ((count - 1) // 2, count // 2))
    return np.asarray((low + high) / 2)


def compared(channel: Watched, distances: np.ndarray) -> np.ndarray:
    """What the scan compares of ``distances`` (block, node + 1): of intervals those of all, and what the nodes' are
    beside them, for days are hard to forecast for all at once; contexts, and less than three nodes, as they are.

    >>> compared(IntervalCalibration(), with_common(np.array([[1.0, 2.0, 5.0]]))).tolist()
    [[-1.0, 0.0, 3.0, 2.0]]
    """
    if not compared_with_all(channel, distances.shape[1] - 1):
        return distances
    return np.concatenate([distances[:, :-1] - distances[:, -1:], distances[:, -1:]], axis=1)


def compared_with_all(channel: Watched, nodes: int) -> bool:
    """Whether nodes are compared with what all show: not of contexts, and not where less than three can."""
    return not isinstance(channel, CovariateShift) and nodes > 2


def _block_means(rows: np.ndarray, block: np.ndarray, numbers: np.ndarray, enough: int) -> np.ndarray:
    """Means (block, statistic, node) of ``rows`` (row, statistic, node) in the blocks ``numbers``; NaN where fewer than
    ``enough`` were seen."""
    return np.stack([mean_seen(rows[block == number], enough) for number in numbers])


def _rank(quantiles: np.ndarray, value: float) -> float:
    """Which share of the reference lies below."""
    return float(np.searchsorted(quantiles, value)) / len(quantiles)


def _quantiles(streams: np.ndarray) -> np.ndarray:
    """Quantiles of what was seen; nothing seen is above all."""
    seen = streams[np.isfinite(streams)]
    return np.quantile(seen, RANKS) if len(seen) else np.full(len(RANKS), np.inf)
