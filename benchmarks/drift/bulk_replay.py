"""A long stretch of errors judged at once: what the monitor would say of it, block by block."""

from __future__ import annotations

import numpy as np

from terracast.adapt.monitoring.detection.detector import RECENT_BLOCKS
from terracast.adapt.monitoring.diagnosis.evidence import Evidence, of_nodes_that_vary
from terracast.adapt.monitoring.monitor import Monitor


def bulk_replay(monitor: Monitor, times: np.ndarray, residuals: np.ndarray) -> tuple[Evidence, ...]:
    """What ``Monitor.observe`` would say of errors in whole blocks that follow what was seen.

    All blocks are compared at once, and only those with flags are put into words: a year of a thousand nodes in
    seconds. Data faults are not looked for.

    Parameters
    ----------
    monitor : Monitor
        It takes nothing in.
    times : ndarray of datetime64, shape (time,)
        Rising; gaps are allowed inside blocks.
    residuals : ndarray of float, shape (time, node)
        NaN: the label did not come.

    Returns
    -------
    tuple of Evidence
        Of errors, oldest first.
    """
    frozen, history = monitor.calibration, monitor.history
    times = np.asarray(times, "datetime64[ns]")
    made = history.blocks(times, np.asarray(residuals, float))
    streams, moments = np.concatenate([history.streams, made.streams]), np.concatenate([history.moments, made.moments])
    detector = type(monitor.detector).restore(monitor.detector.state())
    flags, first = detector.update_many(streams, len(made.streams)), len(history.streams)
    ends = times[np.searchsorted(frozen.clock.places(times)[0], made.numbers, side="right") - 1]
    found, none = list[Evidence](), np.zeros(len(frozen.nodes), bool)
    for row in np.flatnonzero(flags.any(axis=1)).tolist():
        past = slice(max(0, first + row + 1 - RECENT_BLOCKS), first + row + 1)
        new = monitor.news.of(ends[row], flags[row], streams[past], moments[past], none)
        found += of_nodes_that_vary(new, frozen.nodes, streams[past, :len(frozen.nodes)])
    return tuple(found)
