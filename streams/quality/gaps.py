"""Missing values and outages: one value that did not come, or a run of them, over time or over the
network."""

from __future__ import annotations

import numpy as np
from scipy.special import bdtrc

from terracast.streams.quality.check_context import CheckContext
from terracast.streams.quality.found import Found
from terracast.streams.quality.windows import last_row, nan_quantile, run_length

LONGEST = "24h"  # whatever is usual for the node: this long is an outage
LONGER = 2.0  # an outage is longer than this many times the node's usual longest gap
YEAR = np.timedelta64(365, "D")
CHANCE = 0.05  # times a year that values missing at random may look like an outage
LEAST_MISSING = 0.002  # share that is thought to be missing at random where none was seen
MOST_MISSING = 0.9


def missing(sight: CheckContext) -> Found:
    """Values that did not come, of nodes that have reported at least once."""
    return Found(~sight.present & _joined(sight))


def outage(sight: CheckContext) -> Found:
    """Runs of missing values longer than is usual for the node, and steps in which most of the network is
    silent; both beyond what values missing at random do once in twenty years.

    The first values of a run are known to belong to an outage only later.
    """
    absent = ~sight.present & _joined(sight)
    run = run_length(absent)
    needed, once = float(sight.rows(sight.settings.outage, 3)), CHANCE * float(sight.step / YEAR)
    if sight.usual is None:
        limit, expected = np.full(absent.shape[1], needed), _joined(sight)
        share = _so_far(absent, expected)
    else:
        usual = np.minimum(LONGER * np.nan_to_num(sight.usual.gap), sight.rows(LONGEST, 3))
        own = np.clip(1 - np.nan_to_num(sight.usual.reports, nan=1.0), LEAST_MISSING, MOST_MISSING)
        by_chance = np.minimum(np.ceil(np.log(once) / np.log(own)), sight.rows(LONGEST, 3))
        limit = np.maximum(np.maximum(needed, np.ceil(usual)), by_chance)
        share = np.full(len(absent), float(own.mean()))
        expected = _joined(sight) & (np.nan_to_num(sight.usual.reports, nan=1.0) > 0.5)
    long = run >= limit
    counted = expected.sum(axis=1)
    silent = (absent & expected).sum(axis=1)
    many = (silent >= 3) & (silent >= sight.settings.network_outage * np.maximum(counted, 1))
    network = absent & (many & (bdtrc(silent - 1, counted, share) < once))[:, None]
    rows = np.arange(len(absent), dtype=np.int32)[:, None]
    return Found(long | network, np.where(long, rows - run + 1, rows), absent)


def _so_far(absent: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """The share of values missing up to each row, (time,)."""
    seen, gone = np.cumsum(expected.sum(axis=1)), np.cumsum(absent.sum(axis=1))
    return np.clip(np.append(0, gone[:-1]) / np.maximum(np.append(0, seen[:-1]), 1), LEAST_MISSING, MOST_MISSING)


def _joined(sight: CheckContext) -> np.ndarray:
    """Cells of nodes that have reported: now, before, or in the past that was learned from."""
    joined = (last_row(sight.present) >= 0) | sight.joined
    if sight.usual is not None:
        joined |= np.nan_to_num(sight.usual.reports) > 0
    return joined


def typical_gap(values: np.ndarray) -> np.ndarray:
    """The length (rows) that nine of ten gaps of a node stay within; 0 without gaps."""
    absent = np.isnan(values)
    ends = absent & ~np.concatenate([absent[1:], np.zeros((1, absent.shape[1]), bool)])
    return np.nan_to_num(nan_quantile(np.where(ends, run_length(absent), np.nan), 0.9))
