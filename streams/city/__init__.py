"""A simulated city with known causal links and planted drifts: what demo, docs and tests run on."""

from streams.city.city import City, simulate_city
from streams.city.demo import demo_city
from streams.city.drifts import PlantedDrift
from streams.city.faults import PlantedFault
from streams.city.links import LINKS, Shock, TrueLink
from streams.city.places import Layout, lay_out
from streams.city.reports import Reporting
from streams.city.variables import CityError

__all__ = ["LINKS", "City", "CityError", "Layout", "PlantedDrift", "PlantedFault", "Reporting", "Shock",
           "TrueLink", "demo_city", "lay_out", "simulate_city"]
