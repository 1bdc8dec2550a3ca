"""Instants: one form for every stamp, ``datetime64[ns]``, UTC or naive; and spans as whole nanoseconds."""

from __future__ import annotations

from typing import cast

import numpy as np


def instant(stamp: str | np.datetime64) -> np.datetime64:
    """A stamp or its ISO text as ``datetime64[ns]``.

    >>> instant("2023-01-01").dtype
    dtype('<M8[ns]')
    """
    return cast(np.datetime64, np.datetime64(stamp).astype("datetime64[ns]"))


def nanoseconds(span: np.timedelta64) -> int:
    """A span as a whole number of nanoseconds: how states keep it.

    >>> nanoseconds(np.timedelta64(2, "s"))
    2000000000
    """
    return int(span.astype("timedelta64[ns]").astype(np.int64))
