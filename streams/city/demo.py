"""The city that ``terracast demo`` shows: one year, three changes in the air after day 150."""

from __future__ import annotations

import numpy as np

from terracast.streams.city.city import City, simulate_city
from terracast.streams.city.places import lay_out
from terracast.streams.city.plans import demo_changes
from terracast.streams.instant import instant


def demo_city(seed: int = 7, variable: str = "no2", *, start: str | np.datetime64 = "2023-01-01",
              days: int = 365, weather_nodes: int = 9, traffic_nodes: int = 24, air_nodes: int = 16) -> City:
    """A year with exactly three planted changes, all of the air's ``variable`` (``no2`` or ``pm25``).

    On day 170 the level in the north rises for good; on day 235 a low-emission zone cuts what traffic does to
    all nodes; on days 300 to 309 stations in the south are stuck. All else is as in ``simulate_city``.

    >>> city = demo_city(seed=7, weather_nodes=3, traffic_nodes=9, air_nodes=5)
    >>> [drift.change_type for drift in city.drifts], [fault.fault_type for fault in city.faults]
    (['level', 'relation'], ['stuck'])
    """
    nodes = {"weather": weather_nodes, "traffic": traffic_nodes, "air": air_nodes}
    changes = demo_changes(lay_out(seed, nodes), instant(start), days, variable)
    return simulate_city(seed, start, days, weather_nodes=weather_nodes, traffic_nodes=traffic_nodes,
                         air_nodes=air_nodes, drifts=changes)
