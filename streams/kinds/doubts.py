"""What is doubtful about events, movers and rasters, each with the option that decides it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.kinds.placed import Placed, says_offset
from terracast.streams.schema.findings import Doubt
from terracast.streams.schema.time_format import StampFormat
from terracast.streams.schema.zone import zone_at

__all__ = ["Doubt", "few_doubt", "order_doubt", "zone_doubt"]
FEW_STEPS = 100


def order_doubt(column: pd.Series, form: StampFormat) -> tuple[Doubt, ...]:
    """That the day or the month may come first, which a person must decide."""
    if not form.other:
        return ()
    return (Doubt(f"every stamp is a date both as {form.form} and as {form.other}, such as {column.dropna().iloc[0]!r}",
                  f'--time-format "{form.form}" or --time-format "{form.other}"', decide=True),)


def zone_doubt(column: pd.Series, rows: Placed, zone: str | None) -> tuple[Doubt, ...]:
    """That stamps say no offset; ``zone``: the one that is said."""
    if zone is not None or says_offset(column):
        return ()
    here = np.isfinite(rows.lat) & np.isfinite(rows.lon)
    found = zone_at([float(np.median(rows.lat[here]))], [float(np.median(rows.lon[here]))]) if here.any() else None
    lie = f"; the places lie in {found}" if found else ""
    return (Doubt(f"stamps say no offset and are read as UTC{lie}", f"--time-zone {found or 'ZONE'}"),)


def few_doubt(panel: xr.Dataset) -> tuple[Doubt, ...]:
    """That a record is too short to learn from."""
    many = panel.sizes["time"]
    if many >= FEW_STEPS:
        return ()
    step = str(panel.attrs["step"]).lower()
    return (Doubt(f"{many} steps of {step} hold data, under {FEW_STEPS}: too few to learn from and to score; a longer "
                  "record is needed, or a shorter step", "--step STEP"),)
