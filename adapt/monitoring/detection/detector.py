"""The contract of a change detector in the monitor, and how one is found by its name.

A detector sees the block statistics of all nodes, one row a block (``node_statistics``). It flags the streams
that changed. The monitor does the rest, whichever detector it is: it sets the threshold from the budget of false alarms
(``alarm_threshold``), and turns flags into a change type, a place and an episode (``diagnosis``, ``episodes``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from terracast.adapt.monitoring.detection.bank.contract import DetectorError
from terracast.adapt.monitoring.statistics.node_statistics import RECENT_BLOCKS
from terracast.streams.plugins import PluginError, find_plugin, has_plugin
from terracast.streams.stateful import Stateful

__all__ = ["DETECTORS", "RECENT_BLOCKS", "Detector", "DetectorError", "ReferenceStatistics", "Rehearsal",
           "check_name", "detector_named"]

GROUP = "terracast.detectors"  # of entry points
DETECTORS = {"scan": "terracast.adapt.monitoring.detection.glr_scan:WindowScan",
             "adwin": "terracast.adapt.monitoring.detection.sequential:AdwinDetector",
             "page-hinkley": "terracast.adapt.monitoring.detection.sequential:PageHinkleyDetector",
             "kswin": "terracast.adapt.monitoring.detection.kswin:KswinDetector"}

Rehearsal = Callable[[np.ndarray], Callable[[float], np.ndarray]]


@dataclass(frozen=True)
class ReferenceStatistics:
    """Block statistics of a reference period in which nothing changed.

    Attributes
    ----------
    streams : ndarray of float, shape (block, stream)
        One statistic a block in each stream; NaN where there is no evidence.
    kinds : ndarray of int, shape (stream,)
        The kind of each stream. Streams of one kind are alike: what is learned of one helps the others.
    rates : ndarray of float, shape (kind,) or (kind, window)
        The budget: false alarms a block that one stream of each kind may raise, in all or by each window of the scan.
        A kind with the rate 0 is not watched.
    """

    streams: np.ndarray
    kinds: np.ndarray
    rates: np.ndarray

    @property
    def kind_rates(self) -> np.ndarray:
        """False alarms a block of one stream of each kind, (kind,)."""
        return self.rates if self.rates.ndim == 1 else np.asarray(self.rates.sum(axis=1))


class Detector(Stateful, ABC):
    """A change detector over all streams of a monitor. Inherit it; four methods are to be written.

    The threshold is the one number that the monitor chooses: 1 is what the detector believes to keep its budget, more
    is stricter. It lies between 0.6 and 4 (``alarm_threshold``).

    Its attributes are its state: numbers, text, arrays, lists and dicts of them, and other ``Stateful`` objects are
    saved and read back by ``Stateful.state`` and ``Stateful.restore``. Override both where another form must be kept.

    A detector must be deterministic, must not read anything but what it is handed, and must go on after ``restore``
    as if it had never stopped. ``adapt.monitoring.detection.conformance`` checks all of this.

    Examples
    --------
    >>> class Jump(Detector):
    ...     def __init__(self, limit: float) -> None:
    ...         self.limit = limit
    ...     @classmethod
    ...     def fit(cls, reference: ReferenceStatistics) -> Self:
    ...         return cls(float(np.nanmax(np.abs(reference.streams))))
    ...     def at(self, threshold: float) -> Self:
    ...         return type(self)(self.limit * threshold)
    ...     def update(self, recent: np.ndarray) -> np.ndarray:
    ...         return np.abs(recent[-1]) > self.limit
    ...     def restart(self) -> None:
    ...         pass
    >>> normal = ReferenceStatistics(np.array([[0.5, -1.0], [1.0, 0.2]]), np.array([0, 0]), np.array([0.01]))
    >>> Jump.fit(normal).at(2.0).update(np.array([[0.0, 0.0], [0.1, 5.0]])).tolist()
    [False, True]
    """

    @classmethod
    @abstractmethod
    def fit(cls, reference: ReferenceStatistics) -> Self:
        """Learn what is normal.

        Parameters
        ----------
        reference : ReferenceStatistics
            Statistics of normal blocks, and the budget of false alarms.

        Returns
        -------
        Detector
            At the threshold 1, with nothing seen.
        """

    @abstractmethod
    def at(self, threshold: float) -> Self:
        """The same detector at another threshold.

        Parameters
        ----------
        threshold : float
            More is stricter: fewer flags, and later ones.

        Returns
        -------
        Detector
            A new one, with nothing seen.
        """

    @abstractmethod
    def update(self, recent: np.ndarray) -> np.ndarray:
        """Take in one block.

        Parameters
        ----------
        recent : ndarray of float, shape (block, stream)
            The latest blocks, oldest first, at most ``RECENT_BLOCKS``. The last row is the new block. What was seen
            before the others came in by earlier calls; a detector of windows needs no memory of its own.

        Returns
        -------
        ndarray of bool, shape (stream,)
            Which streams changed. A stream without evidence in this block may be flagged by what came before it.
        """

    @abstractmethod
    def restart(self) -> None:
        """Forget all blocks that were seen, and keep what was fitted: another forecaster serves."""

    def update_many(self, streams: np.ndarray, new: int) -> np.ndarray:
        """Take in several blocks, as so many calls of ``update``; override it where that can be faster.

        Parameters
        ----------
        streams : ndarray of float, shape (block, stream)
            Blocks in order; those before the new ones were taken in before.
        new : int
            How many of them, at the end, are new.

        Returns
        -------
        ndarray of bool, shape (new, stream)
            The flags of each new block.
        """
        ends = range(len(streams) - new + 1, len(streams) + 1)
        flags = [self.update(streams[max(0, end - RECENT_BLOCKS):end]) for end in ends]
        return np.array(flags, bool).reshape(new, streams.shape[1])

    def rehearsal(self, reference: ReferenceStatistics) -> Rehearsal:
        """What the detector would flag in resamples of its own reference, for the calibration of the threshold.

        Override it where blocks can be judged by a fit that has not seen them: otherwise the flags are too few.

        Parameters
        ----------
        reference : ReferenceStatistics
            What the detector was fitted on.

        Returns
        -------
        callable
            From numbers of reference blocks to a function, which takes a threshold and answers the flags
            (block, stream) of those blocks in that order.
        """
        def resampled(rows: np.ndarray) -> Callable[[float], np.ndarray]:
            streams = reference.streams[rows]
            return lambda threshold: self.at(threshold).update_many(streams, len(streams))
        return resampled


def check_name(name: str) -> str:
    """The name of a detector, or ``ValueError`` where none can have it; nothing is imported.

    >>> check_name("scan")
    'scan'
    """
    if name in DETECTORS or has_plugin(GROUP, name):
        return name
    raise ValueError(f"{name!r} is no detector: {', '.join(DETECTORS)}, an entry point of {GROUP}, or module:Class")


def detector_named(name: str) -> type[Detector]:
    """The class of a detector.

    Parameters
    ----------
    name : str
        One of ``DETECTORS``, the name of an entry point of the group ``terracast.detectors``, or ``module:Class``.

    Raises
    ------
    DetectorError
        Where there is none of that name, or it does not keep the contract.

    Examples
    --------
    >>> detector_named("scan").__name__
    'WindowScan'
    """
    try:
        found = find_plugin(GROUP, DETECTORS.get(name, name), built_in=tuple(DETECTORS))
    except PluginError as error:
        raise DetectorError(error.what, where="monitor.detector", expected=error.expected, remedy=error.remedy
                            ) from error
    if Detector not in found.__mro__ or getattr(found, "__abstractmethods__", None):
        missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ()))) or "all of Detector"
        raise DetectorError(f"{name!r} lacks {missing}", where="monitor.detector",
                            expected="a class that inherits terracast.adapt.monitoring.detection.detector.Detector",
                            remedy="inherit it and write the methods named")
    return found
