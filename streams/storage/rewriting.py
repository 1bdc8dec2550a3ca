"""Arrays written anew inside a transaction: with some of their entries, or in other chunks, block by block.

The old values are read from the snapshot that the transaction began with, so an array is never whole in memory.
"""

from __future__ import annotations

import math

import numpy as np
import zarr

from terracast.streams.storage.arrays import create_like
from terracast.streams.storage.layout import ENTRY_CHUNK, chunks_for, count_chunks
from terracast.streams.storage.ledger import ALONG, arrays_of, chunks_of_ledger, dims_of
from terracast.streams.storage.observations import StoredDomain

BLOCK_BYTES = 64 << 20


def rewrite(source: zarr.Array, group: zarr.Group, chunks: tuple[int, ...], axis: int | None = None,
            kept: np.ndarray | None = None) -> None:
    """Write ``source`` into ``group`` under its own name in ``chunks``; of ``axis`` only the places ``kept``
    (ascending; default: all). O(values kept); holds about 64 MiB.
    """
    axis = 0 if axis is None else axis
    kept = np.arange(source.shape[axis]) if kept is None else kept
    shape = tuple(len(kept) if at == axis else size for at, size in enumerate(source.shape))
    target = create_like(group, source, shape, chunks)
    row_bytes = max(1, np.dtype(source.dtype).itemsize * int(np.prod(source.shape)) // max(1, source.shape[axis]))
    depth = max(1, BLOCK_BYTES // row_bytes // chunks[axis]) * chunks[axis]
    for first in range(0, len(kept), depth):
        places = kept[first:first + depth]
        low, high = int(places[0]), int(places[-1]) + 1
        block = np.asarray(source[_at(axis, slice(low, high), source.ndim)])
        if high - low != len(places):
            block = block.take(places - low, axis=axis)
        target[_at(axis, slice(first, first + len(places)), source.ndim)] = block


def _at(axis: int, places: slice, dims: int) -> tuple[slice, ...]:
    return tuple(places if at == axis else slice(None) for at in range(dims))


def rewrite_rows(held: StoredDomain, source: StoredDomain, first: int) -> None:
    """Keep the rows of a domain from ``first`` on."""
    kept = np.arange(first, len(source.time))
    chunks = chunks_for(len(source.nodes))
    rewrite(source.arrays["time"], held.group, (ENTRY_CHUNK,), 0, kept)
    for name in source.timed_arrays():
        rewrite(source.arrays[name], held.group, chunks, 0, kept)


def rewrite_entries(group: zarr.Group, source: zarr.Group, along: str, kept: np.ndarray) -> None:
    """Keep some entries of a ledger (or of the ledger of revisions, along ``entry``)."""
    for array in arrays_of(source).values():
        dims = dims_of(array)
        if along in dims:
            rewrite(array, group, tuple(array.chunks), dims.index(along), kept)


def rewrite_scattered(group: zarr.Group, source: zarr.Group) -> list[str]:
    """Give the arrays of a domain or a ledger the chunks that fit their present size, where those are far fewer, or,
    in a ledger, far smaller; returns the paths of what was rewritten.
    """
    rewritten = []
    along, node = source.attrs.get(ALONG), source.get("node")
    for array in arrays_of(source).values():
        dims = dims_of(array)
        if along is not None:
            chunks = chunks_of_ledger(array.shape, dims, str(along), _itemsize(array)) if along in dims else None
        else:
            chunks = chunks_for(node.shape[0]) if dims == ("time", "node") else None
        if chunks is None:
            continue
        fewer = 2 * count_chunks(array.shape, chunks) <= count_chunks(array.shape, array.chunks)
        if fewer or (along is not None and math.prod(array.chunks) >= 2 * math.prod(chunks)):
            rewrite(array, group, chunks)
            rewritten.append(str(array.path))
    return rewritten


def _itemsize(array: zarr.Array) -> int:
    dtype = np.dtype(array.dtype)
    return 32 if dtype.kind in "OT" else dtype.itemsize
