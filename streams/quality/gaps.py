"""Missing values and outages: one value that did not come, or a run of them, over time or over the
network."""

from __future__ import annotations

import numpy as np

from streams.quality.found import Found
from streams.quality.sight import Sight
from streams.quality.windows import last_row, nan_quantile, run_length

LONGEST = "24h"  # whatever is usual for the node: this long is an outage
LONGER = 2.0  # an outage is longer than this many times the node's usual longest gap


def missing(sight: Sight) -> Found:
    """Values that did not come, of nodes that have reported at least once."""
    return Found(~sight.present & _joined(sight))


def outage(sight: Sight) -> Found:
    """Runs of missing values longer than is usual for the node, and steps in which most of the network is
    silent.

    The first values of a run are known to belong to an outage only later.
    """
    absent = ~sight.present & _joined(sight)
    run = run_length(absent)
    needed = float(sight.rows(sight.settings.outage, 3))
    if sight.usual is None:
        limit, expected = np.full(absent.shape[1], needed), _joined(sight)
    else:
        usual = np.minimum(LONGER * np.nan_to_num(sight.usual.gap), sight.rows(LONGEST, 3))
        limit = np.maximum(needed, np.ceil(usual))
        expected = _joined(sight) & (np.nan_to_num(sight.usual.reports, nan=1.0) > 0.5)
    long = run >= limit
    counted = expected.sum(axis=1)
    silent = (absent & expected).sum(axis=1) >= sight.settings.network_outage * np.maximum(counted, 1)
    network = absent & (silent & (counted >= 3))[:, None]
    rows = np.arange(len(absent), dtype=np.int32)[:, None]
    return Found(long | network, np.where(long, rows - run + 1, rows), absent)


def _joined(sight: Sight) -> np.ndarray:
    """Cells of nodes that have reported: now, before, or in the past that was learned from."""
    joined = last_row(sight.present) >= 0
    if sight.usual is not None:
        joined |= np.nan_to_num(sight.usual.reports) > 0
    return joined


def usual_gap(values: np.ndarray) -> np.ndarray:
    """The length (rows) that nine of ten gaps of a node stay within; 0 without gaps."""
    absent = np.isnan(values)
    ends = absent & ~np.concatenate([absent[1:], np.zeros((1, absent.shape[1]), bool)])
    return np.nan_to_num(nan_quantile(np.where(ends, run_length(absent), np.nan), 0.9))
