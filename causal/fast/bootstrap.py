"""Block-bootstrap draws of rows, the same as tigramite's for the same random state."""

from __future__ import annotations

import math
from copy import deepcopy

import numpy as np


def drawn_blocks(length: int, first: int, block: int, random: np.random.Generator) -> np.ndarray:
    """Row ranges [start, stop) of one draw from rows ``first`` .. ``length`` - 1, shape (blocks, 2).

    The last block is cut so that a draw has as many rows as the data. ``random`` is left untouched, so that
    every test of a draw reads the same rows.

    >>> drawn_blocks(13, 2, 4, np.random.default_rng(0)).tolist()
    [[7, 11], [6, 10], [5, 8]]
    """
    samples = length - first
    number = math.ceil(samples / block)
    if number < 2:
        raise ValueError(f"Only {number} block(s) for block-sampling, choose smaller boot_blocklength!")
    starts = first + deepcopy(random).choice(np.arange(samples - block), size=number, replace=True)
    stops = starts + block
    stops[-1] -= number * block - samples
    return np.stack([starts, stops], axis=1)


def times_read(length: int, blocks: np.ndarray) -> np.ndarray:
    """How often each time step is in ``blocks``, shape (length,).

    >>> times_read(5, np.array([[1, 3], [2, 5]])).tolist()
    [0, 1, 2, 1, 1]
    """
    change = np.zeros(length + 1, dtype=np.int64)
    np.add.at(change, blocks[:, 0], 1)
    np.add.at(change, blocks[:, 1], -1)
    return np.asarray(change.cumsum()[:-1])
