"""A world: a simulated panel with its target, its drivers and, where there is one, its graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from terracast.stfm.prior.clock import WorldClock, text_of
from terracast.stfm.prior.places import Places


@dataclass(frozen=True)
class World:
    """``panel`` (dims time, node; regular step; NaN = not observed) holds ``target`` and up to three drivers.

    A driver's attr ``role`` is ``past_driver`` or ``future_driver`` (its rows after the issue time are known too),
    its attr ``lag``, where there is one lag, the steps by which it leads the target. ``graph`` (node, node) holds
    weights from row to column, or is None.
    """

    panel: xr.Dataset
    target: str
    graph: np.ndarray | None = None


@dataclass(frozen=True)
class WorldSeries:
    """One variable in the making: ``values`` (time, node)."""

    name: str
    values: np.ndarray
    units: str = "1"
    role: str = "target"
    lag: int | None = None


@dataclass(frozen=True)
class Draft:
    """A world before it becomes a panel: what families give and what faults work on. WorldSeries[0] is the target.

    ``positions`` (time, node, 2) in km, when nodes move. ``whole``: the target is counted. ``floor``: what its values
    cannot fall below.
    """

    clock: WorldClock
    places: Places
    series: tuple[WorldSeries, ...]
    domain: str
    kind: str = "sensor"
    graph: np.ndarray | None = None
    positions: np.ndarray | None = None
    whole: bool = False
    floor: float | None = None

    @property
    def target(self) -> WorldSeries:
        """The series to forecast."""
        return self.series[0]


def driver(name: str, values: np.ndarray, rng: np.random.Generator, units: str = "1",
           lag: int | None = None) -> WorldSeries:
    """A driver that is known ahead in a third of worlds (a weather forecast, a calendar), else only up to now."""
    return WorldSeries(name, values, units, "future_driver" if rng.random() < 0.35 else "past_driver", lag)


def chosen_drivers(rng: np.random.Generator, candidates: Sequence[WorldSeries], most: int = 3) -> tuple[WorldSeries,
                                                                                                        ...]:
    """None to ``most`` of the candidates: a panel seldom holds all that drives it.

    >>> rng = np.random.default_rng(0)
    >>> len(chosen_drivers(rng, [WorldSeries("rain", np.zeros((2, 1)), role="past_driver")])) <= 1
    True
    """
    count = int(rng.integers(0, min(most, len(candidates)) + 1))
    return tuple(candidates[index] for index in sorted(rng.permutation(len(candidates))[:count]))


def finished(draft: Draft) -> World:
    """The draft as a World whose panel passes ``streams.panel.check_panel``.

    >>> from terracast.stfm.prior.clock import WorldClock
    >>> places = Places(np.zeros((2, 2)), 50.0, 8.0)
    >>> world = finished(Draft(WorldClock(0.0, 3600.0, 4), places, (WorldSeries("load", np.ones((4, 2))),), "energy"))
    >>> world.target, world.panel.attrs["step"], world.panel["load"].attrs["role"]
    ('load', '1h', 'target')
    """
    variables = {}
    for series in draft.series:
        attrs: dict[str, object] = {"units": series.units, "long_name": series.name.replace("_", " "),
                                    "role": series.role}
        if series.lag is not None:
            attrs["lag"] = int(series.lag)
        variables[series.name] = (("time", "node"), series.values, attrs)
    lat, lon = draft.places.degrees(draft.positions)
    where = ("node",) if draft.positions is None else ("time", "node")
    coords = {"time": draft.clock.stamps, "node": np.array([f"n{index}" for index in range(draft.places.count)]),
              "lat": (where, lat), "lon": (where, lon)}
    panel = xr.Dataset(variables, coords,
                       {"domain": draft.domain, "kind": draft.kind, "step": text_of(draft.clock.step)})
    return World(panel, draft.target.name, draft.graph)
