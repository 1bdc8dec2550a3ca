"""Values in another unit, on request: products of powers, as CF writes them, and temperatures; constants from scipy."""

from __future__ import annotations

import re

from scipy import constants

# A unit by its size in SI and its dimensions (metre, kilogram, second, kelvin, mole, ampere).
_METRE, _GRAM, _SECOND, _KELVIN, _MOLE, _AMPERE = "m", "g", "s", "K", "mol", "A"
BASES: dict[str, tuple[float, dict[str, int]]] = {
    "m": (1.0, {_METRE: 1}), "g": (1e-3, {_GRAM: 1}), "s": (1.0, {_SECOND: 1}), "K": (1.0, {_KELVIN: 1}),
    "mol": (1.0, {_MOLE: 1}), "A": (1.0, {_AMPERE: 1}), "1": (1.0, {}), "%": (1e-2, {}), "ppm": (1e-6, {}),
    "ppb": (1e-9, {}), "ppt": (1e-12, {}),
    "min": (constants.minute, {_SECOND: 1}), "h": (constants.hour, {_SECOND: 1}), "d": (constants.day, {_SECOND: 1}),
    "day": (constants.day, {_SECOND: 1}), "hour": (constants.hour, {_SECOND: 1}),
    "in": (constants.inch, {_METRE: 1}), "ft": (constants.foot, {_METRE: 1}), "mi": (constants.mile, {_METRE: 1}),
    "mile": (constants.mile, {_METRE: 1}), "mph": (constants.mph, {_METRE: 1, _SECOND: -1}),
    "knot": (constants.knot, {_METRE: 1, _SECOND: -1}), "kt": (constants.knot, {_METRE: 1, _SECOND: -1}),
    "L": (constants.liter, {_METRE: 3}), "l": (constants.liter, {_METRE: 3}), "t": (constants.metric_ton, {_GRAM: 1}),
    "gal": (constants.gallon, {_METRE: 3}), "lb": (constants.pound, {_GRAM: 1}),
    "Pa": (1.0, {_GRAM: 1, _METRE: -1, _SECOND: -2}), "bar": (constants.bar, {_GRAM: 1, _METRE: -1, _SECOND: -2}),
    "atm": (constants.atm, {_GRAM: 1, _METRE: -1, _SECOND: -2}),
    "mmHg": (constants.mmHg, {_GRAM: 1, _METRE: -1, _SECOND: -2}),
    "inHg": (25.4 * constants.mmHg, {_GRAM: 1, _METRE: -1, _SECOND: -2}),
    "psi": (constants.psi, {_GRAM: 1, _METRE: -1, _SECOND: -2}),
    "J": (1.0, {_GRAM: 1, _METRE: 2, _SECOND: -2}), "W": (1.0, {_GRAM: 1, _METRE: 2, _SECOND: -3}),
    "Wh": (constants.hour, {_GRAM: 1, _METRE: 2, _SECOND: -2}),
}
PREFIXES = {"n": 1e-9, "µ": 1e-6, "u": 1e-6, "m": 1e-3, "c": 1e-2, "d": 1e-1, "h": 1e2, "k": 1e3, "M": 1e6, "G": 1e9,
            "T": 1e12}
DEGREES = {"degC": (1.0, constants.zero_Celsius), "degF": (5 / 9, constants.zero_Celsius - 32 * 5 / 9), "K": (1.0, 0.0)}
PART = re.compile(r"([^\d\s.-]+|1|%)(-?\d+)?")


def conversion(unit: str, wanted: str) -> tuple[float, float] | None:
    """The factor and the summand from one unit to another, None where they do not measure the same.

    >>> [round(one, 4) for one in conversion("degF", "degC")], conversion("kt", "m")
    ([0.5556, -17.7778], None)
    >>> round(conversion("mi h-1", "km h-1")[0], 4)
    1.6093
    """
    if unit in DEGREES and wanted in DEGREES:
        (one, zero), (other, begin) = DEGREES[unit], DEGREES[wanted]
        return one / other, (zero - begin) / other
    have, want = _size(unit), _size(wanted)
    return None if have is None or want is None or have[1] != want[1] else (have[0] / want[0], 0.0)


def _size(unit: str) -> tuple[float, dict[str, int]] | None:
    """A unit's size in SI and its dimensions; a number before it is a scale."""
    size, dimensions = 1.0, dict[str, int]()
    for word in unit.split():
        if re.fullmatch(r"\d*\.\d+|\d{2,}", word):
            size *= float(word)
            continue
        said = PART.fullmatch(word)
        base = _base(said[1]) if said else None
        if said is None or base is None:
            return None
        power = int(said[2] or 1)
        size *= base[0] ** power
        for name, count in base[1].items():
            dimensions[name] = dimensions.get(name, 0) + power * count
    return size, {name: count for name, count in dimensions.items() if count}


def _base(name: str) -> tuple[float, dict[str, int]] | None:
    if name in BASES:
        return BASES[name]
    if len(name) > 1 and name[0] in PREFIXES and name[1:] in BASES:
        size, dimensions = BASES[name[1:]]
        return PREFIXES[name[0]] * size, dimensions
    return None
