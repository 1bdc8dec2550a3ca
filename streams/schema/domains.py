"""Which variables of one file are weather, which belong to the calendar, and which are the target's own system."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import xarray as xr

from terracast.streams.schema.profile import words_of
from terracast.streams.vocabulary import named

WEATHER, CALENDAR = "weather", "calendar"
# CF standard names of the atmosphere's own state: they drive other domains.
STANDARD_NAMES = frozenset({
    "air_temperature", "air_pressure", "air_pressure_at_mean_sea_level", "surface_air_pressure",
    "dew_point_temperature", "relative_humidity", "specific_humidity", "precipitation_amount",
    "precipitation_flux", "rainfall_amount", "snowfall_amount", "wind_speed", "wind_from_direction",
    "wind_speed_of_gust", "eastward_wind", "northward_wind", "cloud_area_fraction",
    "surface_downwelling_shortwave_flux_in_air",
})
ALSO_CALLED = frozenset({"apparent_temperature", "temperature_of_the_air", "outdoor_temperature"})
_WEATHER = named("weather")
_PHYSICAL = named("physical")
_CALENDAR = named("calendar")


def side_of(name: str, units: str = "", standard_name: str = "") -> str:
    """``weather``, ``calendar`` or "": by CF standard name, by the words of the name, by the unit where a word alone is
    not enough.

    >>> side_of("t1"), side_of("wind_speed"), side_of("is_holiday"), side_of("no2"), side_of("water_temp")
    ('', 'weather', 'calendar', '', '')
    """
    if standard_name:
        return WEATHER if standard_name in STANDARD_NAMES else ""
    words = [re.sub(r"\d+$", "", word) for word in words_of(name)]
    joined = {"".join(words), "".join(words).removeprefix("is")}
    if _CALENDAR & ({*words} | joined):
        return CALENDAR
    if _PHYSICAL & {*words}:
        return ""
    said = {*words, *joined, *words_of(name)} & _WEATHER
    if said and not (said <= {"pressure", "pres", "presión", "pression", "pressione"} and units not in (
            "", "unknown", "hPa", "Pa", "kPa", "mbar", "mb")):
        return WEATHER
    return ""


def side_in(panel: xr.Dataset, name: str) -> str:
    """``side_of`` a variable of a panel, by all that its attributes say; a long name may be a standard one, written as
    people do ("air temperature")."""
    attributes = panel[name].attrs
    side = side_of(name, str(attributes.get("units", "")), str(attributes.get("standard_name", "")))
    called = "_".join(str(attributes.get("long_name", "")).lower().split())
    return WEATHER if not side and called in STANDARD_NAMES | ALSO_CALLED else side


def side_of_all(panel: xr.Dataset) -> str:
    """The side that a panel is on where every variable is on one (that of the first); "" where some are on none."""
    sides = [side_in(panel, str(name)) for name in panel.data_vars]
    return sides[0] if sides and all(sides) else ""


def split(variables: Sequence[str], units: Mapping[str, str], standard_names: Mapping[str, str], own: str,
          target: str | None = None, given: Mapping[str, str] | None = None) -> dict[str, list[str]]:
    """Variables by domain; ``own`` is the one of the target, which stays in it, weather or not, with what is neither
    weather nor calendar.

    Where only weather is there it is one domain. What is ``given`` (variable: domain) is kept.

    >>> split(["no2", "rain", "holiday"], {}, {}, "air")
    {'air': ['no2'], 'weather': ['rain'], 'calendar': ['holiday']}
    >>> split(["t2m", "rain"], {}, {}, "sky")
    {'sky': ['t2m', 'rain']}
    """
    given = given or {}
    sides = {name: given.get(name) or side_of(name, units.get(name, ""), standard_names.get(name, "")) or own
             for name in variables}
    if target is not None and target not in given:
        sides[target] = own
    rest = [name for name in variables if name != target or target is None]
    only = all(sides[name] in (WEATHER, CALENDAR) for name in variables if name not in given and name != target) \
        and not any(sides[name] == own for name in variables if name != target)
    if own == WEATHER or (only and (target is None or side_of(target, units.get(target, ""),
                                                              standard_names.get(target, "")))):
        first = next(iter(rest), None) if target is None else target
        sides = {name: given.get(name) or (own if side != CALENDAR or name == first else CALENDAR)
                 for name, side in sides.items()}
        if own not in sides.values():
            sides = {name: given.get(name) or own for name in sides}
    found: dict[str, list[str]] = {own: []}
    for name, side in sides.items():
        found.setdefault(side, []).append(name)
    return {side: names for side, names in found.items() if names}
