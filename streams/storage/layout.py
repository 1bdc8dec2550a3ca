"""How arrays are cut into chunks, so that a step costs the same on a long history as on a short one.

An append rewrites the last chunk of each array and nothing else, so a chunk is a few hundred kilobytes: a day of
10,000 nodes, a week of 500. What was laid out for a small network is laid out anew by compaction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

MOST_NODES = 4096  # in one chunk
CHUNK_CELLS = 24 * MOST_NODES
DAY, WEEK = 24, 168  # rows of an hourly domain
ENTRY_CHUNK = 8192
CHUNK_BYTES = 1 << 20


def chunks_for(nodes: int) -> tuple[int, int]:
    """Rows and nodes in a chunk of a domain with that many nodes.

    >>> [chunks_for(nodes) for nodes in (1, 300, 10_000)]
    [(168, 64), (168, 320), (24, 3392)]
    """
    parts = max(1, math.ceil(nodes / MOST_NODES))
    width = max(64, math.ceil(nodes / parts / 64) * 64)
    return min(WEEK, max(DAY, CHUNK_CELLS // width // DAY * DAY)), width


def rows_per_chunk(row_shape: Sequence[int], itemsize: int) -> int:
    """How many rows of this shape make a chunk of about one MiB (1 … 1024).

    >>> rows_per_chunk((12, 207, 11), 4)
    9
    """
    return max(1, min(1024, CHUNK_BYTES // max(1, itemsize * math.prod(row_shape))))


def count_chunks(shape: Sequence[int], chunks: Sequence[int]) -> int:
    """How many chunks an array of this shape has."""
    return math.prod(math.ceil(size / chunk) for size, chunk in zip(shape, chunks, strict=True))
