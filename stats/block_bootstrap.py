"""Redrawing a series in blocks, so that what depends on its neighbours in time stays together."""

from __future__ import annotations

import numpy as np


def circular_block_rows(count: int, length: int, block: int, random: np.random.Generator,
                        draws: tuple[int, ...] = ()) -> np.ndarray:
    """Row numbers of circular block bootstrap draws (Politis & Romano 1992), shape (*draws, length).

    Parameters
    ----------
    count : int
        Rows of the series; its end is followed by its beginning.
    length : int
        Rows of a draw.
    block : int
        Consecutive rows that stay together. Take it longer than the series' memory.
    random : numpy.random.Generator
        Where blocks begin.
    draws : tuple of int
        Shape of the draws; none for a single one.

    Examples
    --------
    >>> circular_block_rows(5, 6, 3, np.random.default_rng(1)).tolist()
    [2, 3, 4, 2, 3, 4]
    """
    starts = random.integers(0, count, size=(*draws, -(-length // block)))
    rows = (starts[..., None] + np.arange(block)) % count
    return np.asarray(rows.reshape(*draws, -1)[..., :length])
