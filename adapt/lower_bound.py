"""Whether a quantity cannot be below zero: what nobody says of most measurements, but their values do."""

from __future__ import annotations

import numpy as np
import xarray as xr

TOUCHED = 0.02  # share of the known values that are exactly zero, from which on zero is a bound
SIGNED = ("c", "degc", "°c", "celsius", "deg_c", "degree_celsius", "degrees_celsius", "f", "degf", "°f", "fahrenheit")


def is_never_negative(target: xr.DataArray) -> bool:
    """Whether none of the known values is below zero while many are zero, as of rain, cases or traffic. Temperatures in
    °C and °F pass zero, however long they did not.

    >>> rain = xr.DataArray([0.0, 0.0, 1.2, np.nan], attrs={"units": "mm"})
    >>> is_never_negative(rain), is_never_negative(rain - 0.1), is_never_negative(rain.assign_attrs(units="degC"))
    (True, False, False)
    """
    if str(target.attrs.get("units", "")).strip().lower() in SIGNED:
        return False
    known = target.values[np.isfinite(target.values)]
    return bool(known.size and known.min() >= 0 and (known == 0).mean() >= TOUCHED)
