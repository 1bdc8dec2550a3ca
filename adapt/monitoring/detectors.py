"""Change detectors behind one contract: one value a node in, one flag a node out; river does the work.

River's detectors hold one number stream each and cannot be stored without a pickle. ``RiverBank`` keeps one per
node, skips nodes without evidence, and writes its whole state as plain numbers and arrays. It is the reference for
the compiled banks in ``adapt.bank``, which raise the same flags in a fraction of the time, and the way to KSWIN.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from river import drift

from adapt.bank.contract import DetectorBank, DetectorError

__all__ = ["KINDS", "DetectorBank", "DetectorError", "RiverBank"]


class RiverBank:
    """One river detector a node: ``adwin``, ``page_hinkley`` or ``kswin``; settings are river's own arguments.

    An update costs about 0.4 µs (ADWIN), 1 µs (PageHinkley) or 0.5 ms (KSWIN) a node. ADWIN: Bifet and Gavaldà 2007;
    PageHinkley: Page 1954; KSWIN: Raab, Heusinger and Schleif 2020. As in river, a detector that has fired starts anew.

    >>> import numpy as np
    >>> bank = RiverBank("adwin", nodes=2, delta=0.002)
    >>> noise = np.random.default_rng(0).normal(size=(400, 2))
    >>> noise[200:, 1] += 3  # the second node changes
    >>> np.sum([bank.update(row) for row in noise], axis=0).tolist()
    [0, 1]
    """

    def __init__(self, kind: str, nodes: int, **settings: float) -> None:
        if kind not in KINDS:
            raise DetectorError(f"no detector {kind!r}", where="detectors", expected="one of " + ", ".join(KINDS),
                                remedy="choose one of these")
        self.kind, self.nodes, self.settings = kind, nodes, dict(settings)
        if kind == "kswin":
            self.settings.setdefault("seed", 0)  # without a seed KSWIN would draw from the clock
        make, self._save, self._load = KINDS[kind]
        self._make: Callable[[], Any] = lambda: make(**self.settings)
        self._detectors: list[Any] = [self._make() for _ in range(nodes)]

    def update(self, values: np.ndarray) -> np.ndarray:
        """Feed one value a node, shape (node,); NaN is skipped. Returns the flags of this step, bool (node,)."""
        if np.shape(values) != (self.nodes,):
            raise DetectorError(f"values of shape {np.shape(values)}", where=f"{self.kind} bank",
                                expected=f"({self.nodes},)", remedy="give one value a node, NaN where not observed")
        flags = np.zeros(self.nodes, bool)
        for node, value in enumerate(np.asarray(values, float).tolist()):
            if value == value:  # NaN is the one number that differs from itself
                detector = self._detectors[node]
                detector.update(value)
                flags[node] = detector.drift_detected
        return flags

    def update_many(self, values: np.ndarray) -> np.ndarray:
        """Feed a block (step, node) as so many updates; returns the flags, bool (step, node)."""
        return np.array([self.update(row) for row in values], bool).reshape(len(values), self.nodes)

    def reset(self, nodes: np.ndarray | None = None) -> None:
        """Start anew at the nodes of this mask, bool (node,); at all nodes without one."""
        for node in range(self.nodes) if nodes is None else np.flatnonzero(nodes):
            self._detectors[node] = self._make()

    def state(self) -> dict[str, object]:
        """Kind, settings and each detector's own numbers; ``restore`` goes on exactly as if never interrupted."""
        saved = [self._save(detector) for detector in self._detectors]
        columns = {name: [one[name] for one in saved] for name in saved[0]} if saved else {}
        return {"kind": self.kind, "nodes": self.nodes, "settings": dict(self.settings),
                "detectors": {name: _column(values) for name, values in columns.items()}}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> RiverBank:
        """A bank that goes on where ``state`` was taken."""
        bank = cls(state["kind"], int(state["nodes"]), **state["settings"])
        columns = {name: _rows(column) for name, column in state["detectors"].items()}
        for node, detector in enumerate(bank._detectors):
            bank._load(detector, {name: rows[node] for name, rows in columns.items()})
        return bank


def _column(values: Sequence[Any]) -> dict[str, object]:
    """One attribute of all detectors as two arrays: everything end to end, and where each node's part stops."""
    rows = [np.atleast_1d(value) for value in values]
    return {"values": np.concatenate(rows), "stops": np.cumsum([len(row) for row in rows])}


def _rows(column: Mapping[str, Any]) -> list[np.ndarray]:
    return list(np.split(np.asarray(column["values"]), np.asarray(column["stops"])[:-1]))


def _save_adwin(detector: Any) -> dict[str, object]:
    # The window lives in a Rust object that gives its state as plain bytes; they are numbers, not a pickle.
    return {"window": np.frombuffer(detector._helper.__getstate__(), np.uint8),
            "fired": np.array(detector.drift_detected, bool)}


def _load_adwin(detector: Any, saved: Mapping[str, np.ndarray]) -> None:
    detector._helper.__setstate__(np.asarray(saved["window"], np.uint8).tobytes())
    detector._drift_detected = bool(saved["fired"][0])


def _save_page_hinkley(detector: Any) -> dict[str, object]:
    mean = detector._x_mean
    return {"sums": np.array([mean.n, mean._mean, detector._sum_increase, detector._sum_decrease,
                              detector._min_increase, detector._max_decrease], float),
            "fired": np.array(detector.drift_detected, bool)}


def _load_page_hinkley(detector: Any, saved: Mapping[str, np.ndarray]) -> None:
    count, mean, increase, decrease, lowest, highest = np.asarray(saved["sums"], float).tolist()
    detector._x_mean.n, detector._x_mean._mean = int(count), mean
    detector._sum_increase, detector._sum_decrease = increase, decrease
    detector._min_increase, detector._max_decrease = lowest, highest
    detector._drift_detected = bool(saved["fired"][0])


def _save_kswin(detector: Any) -> dict[str, object]:
    version, words, _ = detector._rng.getstate()  # the third part is only used by random.gauss
    return {"window": np.array(detector.window, float), "random": np.array([version, *words], np.uint64),
            "seen": np.array([detector.n], np.int64), "p_value": np.array([detector.p_value], float),
            "fired": np.array(detector.drift_detected, bool)}


def _load_kswin(detector: Any, saved: Mapping[str, np.ndarray]) -> None:
    version, *words = (int(word) for word in saved["random"])
    detector._rng = random.Random()  # its state is set on the next line: nothing is drawn from the clock
    detector._rng.setstate((version, tuple(words), None))
    detector.window = deque(np.asarray(saved["window"], float).tolist(), maxlen=detector.window_size)
    detector.n, detector.p_value = int(saved["seen"][0]), float(saved["p_value"][0])
    detector._drift_detected = bool(saved["fired"][0])


KINDS: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., None]]] = {
    "adwin": (drift.ADWIN, _save_adwin, _load_adwin),
    "page_hinkley": (drift.PageHinkley, _save_page_hinkley, _load_page_hinkley),
    "kswin": (drift.KSWIN, _save_kswin, _load_kswin),
}
