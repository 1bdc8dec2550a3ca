"""Physical range: what cannot be, whatever the place and the season.

Limits lie a little beyond the records of the Earth (World Meteorological Organization's archive of weather
extremes) or beyond anything that ambient instruments report; they find what is impossible, not what is rare.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.quality.units import UNITS, converted, plain_unit


class Range(NamedTuple):
    """Limits of a quantity in ``units``; ``words``: parts of a standard name, or of a long name without
    one."""

    words: tuple[str, ...]
    units: str
    low: float
    high: float


RANGES = (
    Range(("sea_surface_temperature", "sea_water_temperature"), "degC", -2.5, 40.0),
    Range(("air_temperature", "air temperature", "dew_point", "dew point"), "degC", -95.0, 60.0),
    Range(("soil_temperature", "surface_temperature"), "degC", -100.0, 95.0),
    Range(("wind_speed", "wind speed"), "m s-1", 0.0, 115.0),
    Range(("eastward_wind", "northward_wind"), "m s-1", -150.0, 150.0),
    Range(("pressure_at_mean_sea_level", "sea level pressure"), "hPa", 850.0, 1090.0),
    Range(("air_pressure", "surface pressure"), "hPa", 300.0, 1090.0),
    Range(("relative_humidity", "relative humidity", "cloud_area_fraction", "cloud cover"), "percent", 0.0, 110.0),
    Range(("speed of vehicles", "mean speed"), "km h-1", 0.0, 300.0),
    Range(("ozone_in_air",), "ug m-3", 0.0, 1400.0),
    Range(("carbon_monoxide_in_air",), "ug m-3", 0.0, 200_000.0),
    Range(("nitrogen_dioxide_in_air", "sulfur_dioxide_in_air"), "ug m-3", 0.0, 5000.0),
    Range(("mass_concentration_of", "pm25", "pm2.5", "pm2_5", "pm10"), "ug m-3", 0.0, 20_000.0),
)
RAIN = ("rain", "precipitation")
# Quantities of which nothing at all is the usual state somewhere, at night, or for a season; whole words or parts.
ZERO_WORDS = (*RAIN, "snow", "sunshine", "cloud", "radiation", "count", "number", "cases", "incident", "event", "calls",
              "crime", "trips", "rides", "pickups", "lightning", "runoff", "irrigation", "drizzle", "hail")
ZERO_UNITS = ("W m-2", "mm", "cm", "inch", "mm h-1", "inch h-1")
PARTICLES = re.compile(r"pm[ _]?(1|2[._]?5|10)(?![0-9])", re.IGNORECASE)
# Most rain on record in an hour and in a day (mm); longer steps are bounded by the day's record for each day.
RAIN_HOUR, RAIN_DAY = 401.0, 1826.0
# What a unit alone rules out, where neither name says what is measured.
BY_UNIT = {"K": (100.0, 400.0), "percent": (-0.5, 10_000.0)}


def range_of(name: str, attrs: Mapping[str, object], step: np.timedelta64) -> tuple[float, float]:
    """The physical limits of a variable in its own units; infinite where nothing is known.

    >>> low, high = range_of("temp", {"units": "K", "long_name": "air temperature"}, np.timedelta64(1, "h"))
    >>> round(low, 2), round(high, 2)
    (178.15, 333.15)
    """
    units = plain_unit(str(attrs.get("units", "")))
    text = str(attrs.get("standard_name") or f"{attrs.get('long_name', '')} {name}").lower()
    if any(word in text for word in RAIN) and units in UNITS and UNITS[units].dimension.startswith("water"):
        return _rain_limits(units, step)
    for one in RANGES:
        if any(word in text for word in one.words) and _same_dimension(units, one.units):
            low, high = converted(one.low, one.units, units), converted(one.high, one.units, units)
            return float(low), float(high)
    if units not in UNITS and PARTICLES.search(text):  # dust, in whatever is said of its unit
        return 0.0, 20_000.0
    return BY_UNIT.get(units, (-np.inf, np.inf))


def zero_is_natural(name: str, attrs: Mapping[str, object], kind: str) -> bool:
    """Whether a variable stands at zero by nature: counts of events, rain, snow, light.

    >>> zero_is_natural("rain_1h", {"units": "mm"}, "sensor"), zero_is_natural("pm25", {"units": "ug m-3"}, "sensor")
    (True, False)
    """
    text = f"{attrs.get('standard_name', '')} {attrs.get('long_name', '')} {name}".lower()
    return kind == "event" or plain_unit(str(attrs.get("units", ""))) in ZERO_UNITS or any(
        word in text for word in ZERO_WORDS)


def possible(held: xr.DataArray, step: np.timedelta64) -> tuple[float, float]:
    """The least and the most that a variable can be by its name and units; infinite where nothing is known.

    >>> dust = xr.DataArray([3.0], name="pm25", attrs={"units": "ug m-3", "long_name": "PM2.5"})
    >>> possible(dust, np.timedelta64(1, "h"))
    (0.0, 20000.0)
    >>> possible(xr.DataArray([3.0], name="rain", attrs={"units": "mm"}), np.timedelta64(1, "h"))[0]
    0.0
    """
    name = str(held.name)
    low, high = range_of(name, held.attrs, step)
    return (max(low, 0.0) if zero_is_natural(name, held.attrs, "sensor") else low), high


def is_direction(name: str, attrs: Mapping[str, object]) -> bool:
    """Whether values go round in a circle, so that differences and a highest value mean nothing.

    >>> is_direction("WD", {"units": "degree", "standard_name": "wind_from_direction"})
    True
    """
    text = f"{attrs.get('standard_name', '')} {attrs.get('long_name', '')} {name}".lower()
    return str(attrs.get("units", "")).lower().startswith("deg") and "direction" in text


def _same_dimension(units: str, other: str) -> bool:
    return units in UNITS and UNITS[units].dimension == UNITS[other].dimension


def _rain_limits(units: str, step: np.timedelta64) -> tuple[float, float]:
    days = pd.Timedelta(step) / pd.Timedelta("1D")
    if UNITS[units].dimension == "water rate":
        return -1e-6, float(converted(RAIN_HOUR, "mm h-1", units))
    most = RAIN_HOUR if days <= 1 / 24 else RAIN_DAY * max(1.0, days)
    return -1e-6, float(converted(most, "mm", units))  # packing leaves tiny negative amounts


def out_of_range(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Which values cannot be; a small margin (float32 rounding) is left."""
    margin = 1e-6 * max(abs(one) for one in (low, high, 1.0) if np.isfinite(one))
    return np.asarray((values < low - margin) | (values > high + margin))
