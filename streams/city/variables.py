"""What the city measures: three domains, seven variables, with units and CF names."""

from __future__ import annotations

from dataclasses import dataclass

from terracast.streams.errors import TerracastError


class CityError(TerracastError):
    """A city that cannot be simulated as asked."""


@dataclass(frozen=True)
class Variable:
    """One measured quantity; ``floor`` is the smallest value that an instrument reports (None: unbounded)."""

    units: str
    long_name: str
    standard_name: str = ""
    floor: float | None = None

    @property
    def attrs(self) -> dict[str, str]:
        """Attributes for the panel; a standard name only where CF has one."""
        named = {"standard_name": self.standard_name} if self.standard_name else {}
        return {"units": self.units, "long_name": self.long_name, **named}


VARIABLES: dict[str, dict[str, Variable]] = {
    "weather": {
        "temperature": Variable("degC", "Air temperature", "air_temperature"),
        "wind_speed": Variable("m s-1", "Wind speed", "wind_speed", floor=0.0),
        "rain": Variable("mm h-1", "Rain", "rainfall_rate", floor=0.0),
    },
    "traffic": {
        "volume": Variable("h-1", "Vehicles per hour", floor=0.0),
        "speed": Variable("km h-1", "Mean speed of vehicles", floor=2.0),
    },
    "air": {
        "no2": Variable("ug m-3", "Nitrogen dioxide", "mass_concentration_of_nitrogen_dioxide_in_air",
                        floor=0.5),
        "pm25": Variable("ug m-3", "PM2.5", "mass_concentration_of_pm2p5_ambient_aerosol_particles_in_air",
                         floor=0.5),
    },
}


def variable_of(series: str) -> Variable:
    """The variable written ``domain.variable``; ``CityError`` where the city has no such series.

    >>> variable_of("air.pm25").units
    'ug m-3'
    """
    domain, _, name = series.partition(".")
    if name not in VARIABLES.get(domain, {}):
        raise CityError(f"no series {series!r}", where="simulated city",
                        expected="one of " + ", ".join(all_series()), remedy="correct the name")
    return VARIABLES[domain][name]


def all_series() -> tuple[str, ...]:
    """Every series of the city, written ``domain.variable``.

    >>> all_series()[:2]
    ('weather.temperature', 'weather.wind_speed')
    """
    return tuple(f"{domain}.{name}" for domain, variables in VARIABLES.items() for name in variables)
