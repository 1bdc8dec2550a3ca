"""The instant a flow acts as of: given in words, or the clock on the wall. Only ``flows`` reads that clock."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from terracast.flows.settings import SettingsError


def as_of(text: str | None, option: str = "--now") -> np.datetime64:
    """``text`` as UTC, or now; ``option`` is where it was given.

    >>> as_of("2024-01-05T06:00+01:00")
    np.datetime64('2024-01-05T05:00:00.000000000')
    """
    try:
        stamp = pd.Timestamp(text) if text else pd.Timestamp.now("UTC")
    except ValueError:
        raise SettingsError(f"{text!r} is not an instant", where=option, expected="such as 2024-01-05T06:00",
                            remedy="write year-month-dayThour:minute, UTC") from None
    utc = stamp.tz_convert("UTC").tz_localize(None) if stamp.tzinfo else stamp
    return utc.to_datetime64().astype("datetime64[ns]")


def duration_of(text: str, option: str) -> pd.Timedelta:
    """A length of time in words, such as ``6h``.

    >>> duration_of("90min", "--lead")
    Timedelta('0 days 01:30:00')
    """
    try:
        length = pd.Timedelta(re.sub(r"(?<=\d)\s*d$", "D", text))
    except ValueError:
        length = pd.Timedelta(0)
    if not length > pd.Timedelta(0):
        raise SettingsError(f"{text!r} is not a length of time", where=option, expected="such as 6h or 7d",
                            remedy="write a number and a unit")
    return length
