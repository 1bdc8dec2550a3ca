"""A state's bytes cut into pieces, so that of the next state only the pieces that are new need to be written.

An array of many bytes is cut between its rows; one of some bytes, and what lies between such arrays, where its content
says: where the last eight bytes have a rare digest. What is moved within the state keeps its cuts, and so its pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

SOME, MANY = 1 << 10, 1 << 16  # bytes of an array
LEAST, RARE, MOST = 512, 11, 1 << 14  # bytes of a piece: at least, two to this power more on average, at most
ODD = np.uint64(0x9E3779B97F4A7C15)


def cut(arrays: Iterable[np.ndarray]) -> Iterator[bytes]:
    """The bytes of all arrays, one after the other, in pieces. O(bytes).

    >>> one = np.random.default_rng(0).integers(0, 256, 50_000, np.uint8)
    >>> held = set(cut([one]))
    >>> sum(len(piece) for piece in cut([np.concatenate([one[1000:], one[:100]])]) if piece not in held) < 15_000
    True
    """
    small: list[bytes] = []
    for array in arrays:
        if array.nbytes < SOME:
            small.append(array.tobytes())
            continue
        yield from _by_content(b"".join(small))
        small = []
        row = array.nbytes // array.shape[0] if array.ndim else 0
        if array.nbytes >= MANY and row >= SOME:
            data = array.tobytes()
            yield from (data[start:start + row] for start in range(0, len(data), row))
        else:
            yield from _by_content(array.tobytes())
    yield from _by_content(b"".join(small))


def _by_content(data: bytes) -> Iterator[bytes]:
    start = 0
    for stop in [*_rare_places(data), len(data)]:
        while stop - start > MOST:
            yield data[start:start + MOST]
            start += MOST
        if stop - start >= LEAST or (stop == len(data) and stop > start):
            yield data[start:stop]
            start = stop


def _rare_places(data: bytes) -> list[int]:
    """Places behind eight bytes whose digest is one of 2 to the power ``RARE``; none in a run of zeros."""
    if len(data) < 8:
        return []
    words = np.ndarray(len(data) - 7, "<u8", data, strides=(1,))
    return (np.flatnonzero((words * ODD) >> np.uint64(64 - RARE) == 1) + 8).tolist()
