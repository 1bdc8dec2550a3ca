"""A simulated city with known causal links and planted drifts: what demo, docs and tests run on."""

from terracast.streams.city.city import City, simulate_city
from terracast.streams.city.demo import demo_city
from terracast.streams.city.drifts import PlantedDrift
from terracast.streams.city.faults import PlantedFault
from terracast.streams.city.links import LINKS, Shock, TrueLink
from terracast.streams.city.places import CityLayout, lay_out
from terracast.streams.city.reports import Reporting
from terracast.streams.city.variables import CityError

__all__ = ["LINKS", "City", "CityError", "CityLayout", "PlantedDrift", "PlantedFault", "Reporting", "Shock",
           "TrueLink", "demo_city", "lay_out", "simulate_city"]
