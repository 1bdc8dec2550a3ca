"""Units that are mistaken for each other: a value given in one of them under the name of another.

The table is small on purpose: an unknown unit has no alternatives, and then no change of unit is looked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Unit(NamedTuple):
    """A unit of a dimension: value in the dimension's first unit = value × factor + offset."""

    dimension: str
    factor: float
    offset: float = 0.0


@dataclass(frozen=True)
class Alternative:
    """A unit that values may really be in; ``value * factor + offset`` brings them to the declared unit."""

    name: str
    factor: float
    offset: float

    def undone(self, values: np.ndarray) -> np.ndarray:
        """Values read as being in this unit, in the declared one."""
        return np.asarray(values * self.factor + self.offset)


UNITS = {
    "K": Unit("temperature", 1.0), "degC": Unit("temperature", 1.0, 273.15),
    "degF": Unit("temperature", 5 / 9, 273.15 - 32 * 5 / 9),
    "m s-1": Unit("speed", 1.0), "km h-1": Unit("speed", 1 / 3.6), "knot": Unit("speed", 0.514444),
    "mph": Unit("speed", 0.44704),
    "Pa": Unit("pressure", 1.0), "hPa": Unit("pressure", 100.0), "kPa": Unit("pressure", 1000.0),
    "mmHg": Unit("pressure", 133.322), "inHg": Unit("pressure", 3386.39),
    "mm": Unit("water", 1.0), "cm": Unit("water", 10.0), "inch": Unit("water", 25.4), "m": Unit("water", 1000.0),
    "mm h-1": Unit("water rate", 1.0), "inch h-1": Unit("water rate", 25.4),
    "ug m-3": Unit("concentration", 1.0), "mg m-3": Unit("concentration", 1000.0),
    "percent": Unit("share", 1.0), "1": Unit("share", 100.0),
}
ALIASES = {
    "kelvin": "K", "celsius": "degC", "degree_celsius": "degC", "degrees_celsius": "degC", "°c": "degC", "c": "degC",
    "deg_c": "degC", "fahrenheit": "degF", "°f": "degF", "degree_fahrenheit": "degF", "m/s": "m s-1",
    "m s^-1": "m s-1", "km/h": "km h-1", "kmh": "km h-1", "knots": "knot", "kt": "knot", "kn": "knot",
    "mile h-1": "mph", "mbar": "hPa", "millibar": "hPa", "kg m-2": "mm", "in": "inch", "mm/h": "mm h-1",
    "mm hr-1": "mm h-1", "µg/m3": "ug m-3", "ug/m3": "ug m-3", "µg m-3": "ug m-3", "μg m-3": "ug m-3",
    "μg/m3": "ug m-3", "mg/m3": "mg m-3", "%": "percent",
}
# Micrograms per cubic metre in one part per billion, at 20 °C and 1013 hPa (the European convention).
GASES = {"nitrogen_dioxide": 1.912, "ozone": 1.996, "sulfur_dioxide": 2.663, "carbon_monoxide": 1.165,
         "nitrogen_monoxide": 1.247}
SHARE_OF_NAMES = ("humidity", "cloud", "fraction")  # only these are mistaken for a share: "1" has many meanings


def plain_unit(units: str) -> str:
    """The unit in this table's spelling, as given where it is not in the table.

    >>> plain_unit("µg/m3"), plain_unit("furlong")
    ('ug m-3', 'furlong')
    """
    text = units.strip()
    return text if text in UNITS else ALIASES.get(text.lower(), text)


def converted(values: np.ndarray | float, units: str, to: str) -> np.ndarray:
    """Values in another unit of the same dimension; both units must be in the table.

    >>> converted(0.0, "degC", "K").tolist()
    273.15
    """
    given, wanted = UNITS[plain_unit(units)], UNITS[plain_unit(to)]
    return np.asarray((np.asarray(values) * given.factor + given.offset - wanted.offset) / wanted.factor)


def alternatives(units: str, standard_name: str = "") -> tuple[Alternative, ...]:
    """The units that a variable's values may come in by mistake, none for a unit that is not known.

    >>> [one.name for one in alternatives("ug m-3", "mass_concentration_of_nitrogen_dioxide_in_air")]
    ['mg m-3', 'ppb']
    >>> alternatives("degC")[0].undone(np.array([273.15])).tolist()
    [0.0]
    """
    declared = plain_unit(units)
    if declared not in UNITS:
        return ()
    own = UNITS[declared]
    if own.dimension == "share" and not any(word in standard_name for word in SHARE_OF_NAMES):
        return ()
    found = [Alternative(name, unit.factor / own.factor, (unit.offset - own.offset) / own.factor)
             for name, unit in UNITS.items() if unit.dimension == own.dimension and name != declared]
    if own.dimension == "concentration":
        found += [Alternative("ppb", factor / own.factor, 0.0) for gas, factor in GASES.items()
                  if gas in standard_name]
    return tuple(found)


def has_own_zero(units: str) -> bool:
    """Whether zero means nothing at all, so that ratios make sense: not so for degC and degF.

    >>> has_own_zero("degC"), has_own_zero("m/s"), has_own_zero("furlong")
    (False, True, True)
    """
    unit = UNITS.get(plain_unit(units))
    return unit is None or unit.offset == 0.0
