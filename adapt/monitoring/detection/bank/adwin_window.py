"""ADWIN's window as arithmetic: what one value does to the buckets of one node, and whether a cut is found.

Row r of a node holds totals of 2^r values each, oldest first, at most ``most`` of them: one more, and the two oldest
become one of the row above. Three things make this leaner than the published structure (Bifet and Gavaldà 2007), with
the same flags as river 0.26:

* An alarm makes river's detector forget everything, so a bucket is never dropped from a living window. The
  variances inside the buckets, needed only for dropping, are not kept.
* How full each row is, is then a function of the number of values alone: nothing is counted.
* A row is a ring of a power of two slots: nothing is moved.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

ROWS = 64
SMALLEST_LOG = 1e-6  # below this, "log(2 log(width) / delta)" is too odd for the quick test
ROUNDING = 1e-15  # more than four roundings of a double
SURE = 1 - 1e-9


@njit(cache=True, inline="always")
def merged(inserted: int, most: int) -> int:
    """How many pairs have left a row of at most ``most`` buckets, into which ``inserted`` were put."""
    return (inserted - most + 1) >> 1 if inserted > most else 0


def rows_for(values: int, most: int) -> int:
    """Rows that a window of so many values fills; at least one.

    >>> [rows_for(values, 5) for values in (0, 5, 6, 1000, 655_000)]
    [1, 1, 2, 8, 17]
    """
    rows = 0
    while values > 0:
        values, rows = max(0, (values - most + 1) >> 1) if values > most else 0, rows + 1
    return max(rows, 1)


@njit(cache=True, error_model="numpy")
def insert(buckets: np.ndarray, node: int, most: int, inserted: int, value: float) -> None:
    """Put ``value`` into row 0 of ``node``, which had ``inserted`` before, and carry pairs upwards; O(1) amortised."""
    last = buckets.shape[2] - 1  # slots are a power of two: `& last` is the place in the ring
    row = 0
    while True:
        buckets[row, node, inserted & last] = value
        pairs = merged(inserted, most)
        if inserted - 2 * pairs < most:
            return
        value = buckets[row, node, (2 * pairs) & last] + buckets[row, node, (2 * pairs + 1) & last]
        inserted = pairs
        row += 1


@njit(cache=True, error_model="numpy")
def log_term(count: int, delta: float) -> float:
    """ln(2 ln(width) / delta): the part of the bound that a window of ``count`` values shares with all such."""
    return math.log(2.0 * math.log(float(count)) / delta)


@njit(cache=True, error_model="numpy")
def cut_found(buckets: np.ndarray, node: int, most: int, count: int, total: float, variance: float, log: float,
              least: float, inserted: np.ndarray) -> bool:
    """Whether the window of ``count`` values splits anywhere into two that differ by more than the bound.

    Each cut is first tried by multiplications only, against each of the bound's two terms alone and with room for
    rounding; what might pass is computed as river does, operation by operation. ``inserted``: scratch, (ROWS,).
    """
    width = float(count)
    spread = variance / width
    quick = log > SMALLEST_LOG
    both = width - 2.0 * least + 2.0
    by_spread, by_unit = 2.0 * spread * log * both * SURE, 2.0 / 3.0 * log * both * SURE
    rows = 0
    while count > 0:
        inserted[rows] = count
        count = merged(count, most)
        rows += 1
    older, newer, older_total, newer_total = 0.0, width, 0.0, total
    for row in range(rows - 1, -1, -1):
        size = float(1 << row)
        for at in range(2 * merged(inserted[row], most), inserted[row]):
            part = buckets[row, node, at & (buckets.shape[2] - 1)]
            older, newer = older + size, newer - size
            older_total, newer_total = older_total + part, newer_total - part
            if newer < least or (row == 0 and at == inserted[0] - 1):
                return False
            if older < least:
                continue
            if quick:
                one, other, cells = older_total * newer, newer_total * older, older * newer
                gap = abs(one - other) + ROUNDING * (abs(one) + abs(other))
                room = (older - least + 1.0) * (newer - least + 1.0)
                limit, limit_unit = by_spread * cells * cells, by_unit * cells
                if (gap * room <= limit_unit < np.inf) or (gap * gap * room <= limit < np.inf):
                    continue
            difference = older_total / older - newer_total / newer
            shares = 1.0 / (older - least + 1.0) + 1.0 / (newer - least + 1.0)
            if abs(difference) > math.sqrt(2.0 * shares * spread * log) + 2.0 / 3.0 * log * shares:
                return True
    return False
