"""Instants: one form for every stamp, ``datetime64[ns]``, UTC or naive; and spans as whole nanoseconds."""

from __future__ import annotations

import re
from typing import cast

import numpy as np


def instant(stamp: str | np.datetime64) -> np.datetime64:
    """A stamp or its ISO text as ``datetime64[ns]``.

    >>> instant("2023-01-01").dtype
    dtype('<M8[ns]')
    """
    return cast(np.datetime64, np.datetime64(stamp).astype("datetime64[ns]"))


def instants(stamps: np.ndarray) -> np.ndarray:
    """Stamps of any precision as ``datetime64[ns]``, NaT for those that nanoseconds do not reach, such as year 9999.

    >>> instants(np.array(["9999-12-31", "2020-01-01"], "datetime64[s]")).astype("datetime64[D]").astype(str).tolist()
    ['NaT', '2020-01-01']
    """
    found = stamps.astype("datetime64[ns]")
    held = ~np.isnat(stamps)
    same = found[held].astype(stamps.dtype) == stamps[held]
    if same.all():
        return np.asarray(found)
    found = found.copy()
    found[np.flatnonzero(held)[~same]] = np.datetime64("NaT", "ns")
    return found


def nanoseconds(span: np.timedelta64) -> int:
    """A span as a whole number of nanoseconds: how states keep it.

    >>> nanoseconds(np.timedelta64(2, "s"))
    2000000000
    """
    return int(span.astype("timedelta64[ns]").astype(np.int64))


def key_text(stamp: np.datetime64) -> str:
    """A stamp as part of a key: as short as it can be, to the hour at least, and never the same for two instants.

    >>> key_text(np.datetime64("2023-01-01T06")), key_text(np.datetime64("2023-01-01T06:15:30"))
    ('2023-01-01T06', '2023-01-01T06:15:30')
    """
    text = str(np.datetime_as_string(stamp.astype("datetime64[ns]")))
    return re.sub(r"(:00){1,2}$", "", text.rstrip("0").rstrip("."))
