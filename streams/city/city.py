"""The simulated city: weather drives traffic, both drive the air; drifts, faults and links on record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.bitemporal import InMemoryHistory
from terracast.streams.city.air import make_air
from terracast.streams.city.clock import HOUR
from terracast.streams.city.drifts import PlantedDrift, checked_drift
from terracast.streams.city.faults import PlantedFault, checked_fault
from terracast.streams.city.links import LINKS, Shock, TrueLink
from terracast.streams.city.places import CityLayout, lay_out
from terracast.streams.city.plans import default_changes
from terracast.streams.city.reports import Reporting, reported
from terracast.streams.city.traffic import make_traffic
from terracast.streams.city.variables import VARIABLES, CityError, variable_of
from terracast.streams.city.weather import make_weather
from terracast.streams.city.world import CityWorld
from terracast.streams.instant import instant

RUN_IN_HOURS = 240
Change = TypeVar("Change", PlantedDrift, PlantedFault)


@dataclass(frozen=True)
class City:
    """What a simulated city reported, and the truth behind it.

    ``panels``: per domain the first reports (time, node) with ``known_time``, NaT where a report never came.
    ``revisions``: per domain the ledger of corrections. ``truth``: the causal links between series.
    ``drifts`` and ``faults``: every change, by onset. ``edges``: the roads as node_from, node_to, weight.
    """

    panels: dict[str, xr.Dataset]
    revisions: dict[str, pd.DataFrame]
    truth: tuple[TrueLink, ...]
    drifts: tuple[PlantedDrift, ...]
    faults: tuple[PlantedFault, ...]
    edges: pd.DataFrame
    layout: CityLayout

    def history(self) -> InMemoryHistory:
        """The city as a history that can be asked for what was known at any instant."""
        return InMemoryHistory(self.panels, self.revisions)


def simulate_city(seed: int = 7, start: str | np.datetime64 = "2023-01-01", days: int = 365, *,
                  weather_nodes: int = 9, traffic_nodes: int = 24, air_nodes: int = 16,
                  drifts: str | Sequence[PlantedDrift | PlantedFault] = "default",
                  links: Sequence[TrueLink] = LINKS, shocks: Sequence[Shock] = (),
                  reporting: Reporting | None = None) -> City:
    """Simulate ``days`` × 24 hours of a city; the same arguments give the same bits.

    ``drifts``: changes to plant, drifts of the world and faults of the reports alike; ``"default"`` plants
    one of each type (``default_changes``), ``()`` none. ``links``: the causal law; leave one out, or give it
    another strength or lag, to ask "what if". ``shocks``: single-hour interventions. Noise, gaps and delays
    are drawn apart from all of these, so that two cities that differ in one of them differ by its effects
    alone. Raises ``CityError`` for a change that names what the city has not. O(hours × nodes²), under a
    second for a year of the default size.

    >>> city = simulate_city(seed=7, days=20, drifts=())
    >>> {domain: dict(panel.sizes) for domain, panel in city.panels.items()}["air"]
    {'time': 480, 'node': 16}
    >>> [link.effect for link in city.truth if link.cause == "weather.wind_speed"]
    ['air.no2', 'air.pm25']
    """
    if days < 1:
        raise CityError(f"{days} days", where="simulated city", expected="at least 1", remedy="raise days")
    if seed < 0:
        raise CityError(f"seed {seed}", where="simulated city", expected="0 or more", remedy="raise seed")
    begin = instant(start)
    layout = lay_out(seed, {"weather": weather_nodes, "traffic": traffic_nodes, "air": air_nodes})
    _check_links(links)
    planned = _planned(drifts, layout, begin, days)
    planted = _by_onset([checked_drift(one, layout, links) for one in planned
                         if isinstance(one, PlantedDrift)])
    faults = _by_onset([checked_fault(one, layout) for one in planned if isinstance(one, PlantedFault)])
    time = begin + np.arange(-RUN_IN_HOURS, days * 24) * HOUR
    world = CityWorld(seed, layout, time, tuple(links), planted, tuple(shocks))
    make_weather(world)
    make_traffic(world)
    make_air(world)
    told = {domain: reported(world, domain, slice(RUN_IN_HOURS, None), faults, reporting or Reporting())
            for domain in VARIABLES}
    return City(panels={domain: panel for domain, (panel, _) in told.items()},
                revisions={domain: ledger for domain, (_, ledger) in told.items()},
                truth=tuple(link for link in links if link.strength), drifts=planted, faults=faults,
                edges=layout.roads, layout=layout)


def _planned(drifts: str | Sequence[PlantedDrift | PlantedFault], layout: CityLayout, begin: np.datetime64,
             days: int) -> Sequence[PlantedDrift | PlantedFault]:
    if not isinstance(drifts, str):
        return drifts
    if drifts != "default":
        raise CityError(f"drifts is {drifts!r}", where="simulated city",
                        expected="'default' or planned changes", remedy="give () for none")
    return default_changes(layout, begin, days)


def _by_onset(changes: Sequence[Change]) -> tuple[Change, ...]:
    return tuple(sorted(changes, key=lambda change: change.start))


def _check_links(links: Sequence[TrueLink]) -> None:
    """Links must follow the order in which series are made, or a cause would not exist yet."""
    possible = {(link.cause, link.effect) for link in LINKS}
    for link in links:
        variable_of(link.cause)
        variable_of(link.effect)
        if (link.cause, link.effect) not in possible or link.lag < 0:
            raise CityError(f"link {link.cause} -> {link.effect} at lag {link.lag}", where="simulated city",
                            expected="a pair of series from terracast.streams.city.LINKS and lag >= 0",
                            remedy="change those of LINKS")
