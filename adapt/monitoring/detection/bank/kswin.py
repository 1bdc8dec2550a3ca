"""KSWIN for many nodes: river's own detectors step by step, and a compiled twin for long stretches at once.

KSWIN compares the latest values of a window with as many drawn from those before them, by the two-sample
Kolmogorov-Smirnov test (Raab, Heusinger and Schleif 2020). River does the work; this file only keeps a detector a
node, writes their state as plain arrays, and repeats their arithmetic where thousands of steps are to be judged.
"""

from __future__ import annotations

import random
import warnings
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
from scipy.stats import ks_2samp

from terracast.adapt.monitoring.detection.bank.contract import DetectorBank, DetectorError
from terracast.adapt.monitoring.detection.bank.shapes import chosen, many_steps, one_step

SEED = 0  # without one KSWIN would draw from the clock
MIN_DISTANCE = 0.1  # below it river never fires


class KswinBank(DetectorBank):
    """One ``river.drift.KSWIN`` a node; ``update`` costs about half a millisecond a node.

    Parameters
    ----------
    nodes : int
        How many detectors there are.
    alpha : float
        Significance of the test.
    window_size, stat_size : int
        Values of the window, and how many of them are the latest. Nothing is flagged before the window is full.

    Examples
    --------
    >>> bank = KswinBank(2, alpha=1e-4, window_size=40, stat_size=12)
    >>> noise = np.random.default_rng(0).normal(size=(100, 2))
    >>> noise[60:, 1] += 4  # the second node changes
    >>> np.sum([bank.update(row) for row in noise], axis=0).tolist()
    [0, 1]
    """

    def __init__(self, nodes: int, *, alpha: float = 0.005, window_size: int = 100, stat_size: int = 30) -> None:
        if not 0 < 2 * stat_size <= window_size:
            raise DetectorError(f"stat_size {stat_size} of window_size {window_size}", where="kswin bank",
                                expected="at least twice as large a window", remedy="use river's defaults, 30 and 100")
        self.nodes = nodes
        self.settings: dict[str, Any] = {"alpha": alpha, "window_size": window_size, "stat_size": stat_size}
        self._detectors = [_river_kswin(self.settings) for _ in range(nodes)]

    def update(self, values: np.ndarray) -> np.ndarray:
        """Feed one value a node, shape (node,); NaN is skipped. Returns the flags of this step, bool (node,)."""
        flags = np.zeros(self.nodes, bool)
        for node, value in enumerate(one_step(values, self.nodes, "kswin")[0].tolist()):
            if value == value:  # NaN is the one number that differs from itself
                self._detectors[node].update(value)
                flags[node] = self._detectors[node].drift_detected
        return flags

    def update_many(self, values: np.ndarray) -> np.ndarray:
        """Feed a block (step, node) as so many updates; returns the flags, bool (step, node). More than one step is
        done by the compiled twin, and river's detectors go on from there."""
        block = many_steps(values, self.nodes, "kswin")
        if len(block) == 1:
            return self.update(block[0])[None]
        size, stat = int(self.settings["window_size"]), int(self.settings["stat_size"])
        seen = np.array([0 if one.drift_detected else one.n for one in self._detectors], np.int64)
        windows = np.zeros((self.nodes, size))
        for node, one in enumerate(self._detectors):
            last = list(one.window)[len(one.window) - min(int(seen[node]), size):]
            windows[node, (seen[node] - len(last) + np.arange(len(last))) % size] = last
        flags = np.zeros(block.shape, bool)
        draws = _draws(int(seen.max(initial=0)) + len(block), size, stat)
        _feed(block, flags, draws, _least_distance(self.settings["alpha"], stat), windows, seen)
        ages = np.minimum(seen, size)
        self._load([np.take(window, np.arange(count - age, count), mode="wrap")
                    for window, count, age in zip(windows, seen.tolist(), ages.tolist(), strict=True)], seen)
        return flags

    def reset(self, nodes: np.ndarray | None = None) -> None:
        """Start anew at the nodes of this mask, bool (node,); at all nodes without one."""
        for node in np.flatnonzero(chosen(nodes, self.nodes, "kswin")):
            self._detectors[node] = _river_kswin(self.settings)

    def state(self) -> dict[str, object]:
        """Settings, windows end to end with where each node's stops, and values seen since the last start.

        The state of the random numbers follows from how many values were seen: it is not written. Nor is what a
        detector that has just fired still holds, for it starts anew with the next value.
        """
        windows = [np.zeros(0) if one.drift_detected else np.array(one.window, float) for one in self._detectors]
        return {"kind": "kswin", "nodes": self.nodes, "settings": dict(self.settings),
                "windows": np.concatenate([np.zeros(0), *windows]),
                "stops": np.cumsum([len(one) for one in windows], dtype=np.int64),
                "seen": np.array([0 if one.drift_detected else one.n for one in self._detectors], np.int64)}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> KswinBank:
        """A bank that goes on where ``state`` was taken."""
        bank = cls(int(state["nodes"]), **state["settings"])
        windows = np.split(np.array(state["windows"], float), np.array(state["stops"], int)[:-1])
        bank._load(windows[:bank.nodes], np.array(state["seen"], np.int64))
        return bank

    def _load(self, windows: list[np.ndarray], seen: np.ndarray) -> None:
        """Set each detector to have ``seen`` (node,) values since its start, the latest of them in ``windows``."""
        size, stat = int(self.settings["window_size"]), int(self.settings["stat_size"])
        generator, tests, drawn = random.Random(SEED), 0, {}
        for count in np.unique(seen).tolist():
            while tests < count - size + 1:
                generator.sample(range(size - stat), stat)
                tests += 1
            drawn[count] = generator.getstate()
        for node, (window, count) in enumerate(zip(windows, seen.tolist(), strict=True)):
            detector = _river_kswin(self.settings)
            detector.window, detector.n = deque(window.tolist(), maxlen=size), count
            detector._rng.setstate(drawn[count])
            self._detectors[node] = detector


def _river_kswin(settings: dict[str, Any]) -> Any:
    from river.drift import KSWIN  # brings river's data sets and scikit-learn along, a second that only KSWIN needs

    return KSWIN(**settings, seed=SEED)


def kswin_flags(values: np.ndarray, *, alpha: float, window_size: int, stat_size: int) -> np.ndarray:
    """What a fresh ``KswinBank`` flags in ``values`` (step, node), bool (step, node); about 1 µs a value."""
    draws, distance = _draws(len(values), window_size, stat_size), _least_distance(alpha, stat_size)
    flags = np.zeros(values.shape, bool)
    if distance <= stat_size:
        many = values.shape[1]
        _feed(np.ascontiguousarray(values, float), flags, draws, distance, np.zeros((many, window_size)),
              np.zeros(many, np.int64))
    return flags


@lru_cache(maxsize=8)
def _draws(steps: int, window_size: int, stat_size: int) -> np.ndarray:
    """Which values before the latest each test after a start draws, (test, stat_size): all nodes draw the same."""
    generator = random.Random(SEED)
    tests = max(steps - window_size + 1, 1)
    return np.array([generator.sample(range(window_size - stat_size), stat_size) for _ in range(tests)])


@lru_cache(maxsize=64)
def p_values(stat_size: int) -> np.ndarray:
    """The p-value of each distance 0, 1 … stat_size, in counts of values, (stat_size + 1,).

    >>> p_values(3).round(3).tolist()
    [1.0, 1.0, 0.6, 0.1]
    """
    before = np.arange(float(stat_size))
    with warnings.catch_warnings():  # river keeps scipy's remarks on its method to itself, too
        warnings.simplefilter("ignore", category=RuntimeWarning)
        return np.array([ks_2samp(before, before + count - 0.5 * (count > 0)).pvalue
                         for count in range(stat_size + 1)])


def _least_distance(alpha: float, stat_size: int) -> int:
    """The smallest distance, in counts of values, at which river fires; one more than there can be: none."""
    fires = (p_values(stat_size) <= alpha) & (np.arange(stat_size + 1) / stat_size > MIN_DISTANCE)
    return int(np.argmax(fires)) if fires.any() else stat_size + 1


@njit(cache=True, error_model="numpy")
def _feed(values: np.ndarray, flags: np.ndarray, draws: np.ndarray, distance: int, windows: np.ndarray,
          counts: np.ndarray) -> None:
    """Feed ``values`` (step, node) into ``windows`` (node, size), rings of the latest of ``counts`` (node,) values."""
    size, stat = windows.shape[1], draws.shape[1]
    older, latest = np.empty(stat), np.empty(stat)
    for node in range(values.shape[1]):
        window, seen = windows[node], counts[node]
        for step in range(len(values)):
            value = values[step, node]
            if value != value:  # NaN: no evidence
                continue
            window[seen % size] = value
            seen += 1
            if seen < size:
                continue
            for at in range(stat):
                older[at] = window[(seen + draws[seen - size, at]) % size]  # the oldest lies at seen % size
                latest[at] = window[(seen + size - stat + at) % size]
            older.sort()
            latest.sort()
            if _distance(older, latest) >= distance:
                flags[step, node] = True
                seen = 0
        counts[node] = seen


@njit(cache=True, error_model="numpy")
def _distance(one: np.ndarray, other: np.ndarray) -> int:
    """The largest difference of the two sorted samples' counts up to any value."""
    largest, at, beside = 0, 0, 0
    while at < len(one) and beside < len(other):
        value = min(one[at], other[beside])
        while at < len(one) and one[at] <= value:
            at += 1
        while beside < len(other) and other[beside] <= value:
            beside += 1
        largest = max(largest, abs(at - beside))
    return largest
