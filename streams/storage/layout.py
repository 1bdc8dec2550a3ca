"""How arrays are cut into chunks, so that a step costs the same on a long history as on a short one.

An append rewrites the last chunk of each array and nothing else. A chunk of observations is a few hundred kilobytes at
most: a day of 10,000 nodes, a week of 500. Entries of a ledger come one by one, so their chunks are smaller. What was
laid out for a small network is laid out anew by compaction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

MOST_NODES = 4096  # in one chunk
CHUNK_CELLS = 24 * MOST_NODES
DAY, WEEK = 24, 168  # rows of an hourly domain
ENTRY_CHUNK = 8192
LEDGER_BYTES, LEDGER_ROWS = 1 << 14, 128  # at most, in a chunk of a ledger of more than one entry


def chunks_for(nodes: int) -> tuple[int, int]:
    """Rows and nodes in a chunk of a domain with that many nodes.

    >>> [chunks_for(nodes) for nodes in (1, 300, 10_000)]
    [(168, 64), (168, 320), (24, 3392)]
    """
    parts = max(1, math.ceil(nodes / MOST_NODES))
    width = max(64, math.ceil(nodes / parts / 64) * 64)
    return min(WEEK, max(DAY, CHUNK_CELLS // width // DAY * DAY)), width


def rows_per_chunk(row_shape: Sequence[int], itemsize: int) -> int:
    """How many entries of this shape make a chunk of a ledger.

    >>> rows_per_chunk((24, 5, 11), 4), rows_per_chunk((5,), 8)
    (3, 128)
    """
    return max(1, min(LEDGER_ROWS, LEDGER_BYTES // max(1, itemsize * math.prod(row_shape))))


def count_chunks(shape: Sequence[int], chunks: Sequence[int]) -> int:
    """How many chunks an array of this shape has."""
    return math.prod(math.ceil(size / chunk) for size, chunk in zip(shape, chunks, strict=True))
