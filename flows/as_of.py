"""The instant a flow acts as of: given in words, or the clock on the wall. Only ``flows`` reads that clock."""

from __future__ import annotations

import numpy as np
import pandas as pd

from flows.settings import SettingsError


def as_of(text: str | None) -> np.datetime64:
    """``text`` as UTC, or now.

    >>> as_of("2024-01-05T06:00+01:00")
    np.datetime64('2024-01-05T05:00:00.000000000')
    """
    try:
        stamp = pd.Timestamp(text) if text else pd.Timestamp.now("UTC")
    except ValueError:
        raise SettingsError(f"{text!r} is not an instant", where="--now", expected="such as 2024-01-05T06:00",
                            remedy="write year-month-dayThour:minute, UTC") from None
    utc = stamp.tz_convert("UTC").tz_localize(None) if stamp.tzinfo else stamp
    return utc.to_datetime64().astype("datetime64[ns]")
