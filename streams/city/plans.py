"""Ready-made plans of changes: one of each type, and the three of the demonstration."""

from __future__ import annotations

import numpy as np

from terracast.streams.city.clock import HOUR, days_after
from terracast.streams.city.drifts import PlantedDrift
from terracast.streams.city.faults import PlantedFault
from terracast.streams.city.places import CityLayout
from terracast.streams.city.variables import CityError
from terracast.streams.instant import instant

SHORTEST_DEFAULT = 10


def default_changes(layout: CityLayout, begin: np.datetime64, days: int
                    ) -> tuple[PlantedDrift | PlantedFault, ...]:
    """One drift and one fault of each type, spread over the last 70 % of the span, each about one sd in size.

    The first 30 % stay calm, so that a model can be fitted there.
    """
    if days < SHORTEST_DEFAULT:
        raise CityError(f"{days} days", where="default drifts", expected=f"at least {SHORTEST_DEFAULT}",
                        remedy="raise days or give drifts=()")

    def at(share: float) -> np.datetime64:
        return instant(begin + round(24 * days * share) * HOUR)

    north, south = layout.region("air", "north"), layout.region("air", "south", 0.25)
    roadworks, hilltop = layout.region("traffic", "east", 0.2), layout.region("weather", "west", 0.3)
    return (
        PlantedDrift("level", "air", "pm25", north, at(0.32), at(0.42), 1.0),
        PlantedFault("stuck", "air", "pm25", south[:2], at(0.44), at(0.46)),
        PlantedDrift("relation", "air", "no2", (), at(0.48), at(0.60), -0.6, driver="traffic.volume"),
        PlantedFault("outage", "traffic", "volume", roadworks[:3], at(0.61), at(0.63)),
        PlantedDrift("trend", "air", "pm25", south, at(0.64), at(0.74), 1.5),
        PlantedFault("unit", "air", "no2", north[:1], at(0.75), at(0.77), 0.523),
        PlantedDrift("seasonality", "traffic", "volume", (), at(0.78), at(0.84), 2.0),
        PlantedDrift("scale", "weather", "wind_speed", hilltop, at(0.85), at(0.91), 0.8),
        PlantedFault("clock", "air", "pm25", north[-1:], at(0.92), at(0.94), 3.0),
        PlantedDrift("lost_driver", "air", "pm25", (), at(0.95), at(1.0), driver="weather.wind_speed"),
    )


def demo_changes(layout: CityLayout, begin: np.datetime64, days: int, variable: str
                 ) -> tuple[PlantedDrift | PlantedFault, ...]:
    """Three changes of one air variable: level in the north (day 170, stays), traffic's effect cut everywhere
    (day 235, stays), a fifth of the stations, in the south, stuck (days 300 to 309).
    """
    if days < 320:
        raise CityError(f"{days} days", where="demonstration city", expected="at least 320",
                        remedy="raise days")

    def day(number: int) -> np.datetime64:
        return days_after(begin, number)

    return (
        PlantedDrift("level", "air", variable, layout.region("air", "north"), day(170), day(days), 1.2),
        PlantedDrift("relation", "air", variable, (), day(235), day(days), -0.7, driver="traffic.volume"),
        PlantedFault("stuck", "air", variable, layout.region("air", "south", 0.2), day(300), day(310)),
    )
