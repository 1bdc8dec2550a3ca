"""Instants: one form for every stamp, ``datetime64[ns]``, UTC or naive."""

from __future__ import annotations

from typing import cast

import numpy as np


def instant(stamp: str | np.datetime64) -> np.datetime64:
    """A stamp or its ISO text as ``datetime64[ns]``.

    >>> instant("2023-01-01").dtype
    dtype('<M8[ns]')
    """
    return cast(np.datetime64, np.datetime64(stamp).astype("datetime64[ns]"))
