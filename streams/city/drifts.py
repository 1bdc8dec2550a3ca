"""Planted drifts: changes of the simulated world, each on record.

Drifts change the world, so what they change goes on to drive other series; faults (``faults.py``) change only
what is reported. Level, scale, trend and seasonality act on the values of the named nodes; relation and
lost_driver act on a coefficient inside the generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from terracast.stats.calendar import hour_of_day
from terracast.streams.city.links import TrueLink
from terracast.streams.city.places import CityLayout
from terracast.streams.city.variables import CityError, variable_of
from terracast.streams.instant import instant

VALUE_CHANGES = ("level", "scale", "trend", "seasonality")
LAW_CHANGES = ("relation", "lost_driver")
CHANGE_TYPES = VALUE_CHANGES + LAW_CHANGES


@dataclass(frozen=True)
class PlantedDrift:
    """One change of the world from ``start`` until before ``end``.

    In a plan, empty ``nodes`` mean all of the domain; on a city's record they are spelled out. ``size``:

    * level: added, in standard deviations of each node's own values;
    * trend: the same, reached linearly at ``end``;
    * scale: deviations from the node's mean grow by this share (1.0 doubles them);
    * seasonality: hours by which the daily cycle comes later;
    * relation: relative change of the coefficient of ``driver`` (-0.6 leaves 40 %);
    * lost_driver: of no meaning; ``driver`` acts as if it never left its typical value.

    >>> PlantedDrift("level", "air", "pm25", ("air-01",), np.datetime64("2023-06-01"),
    ...              np.datetime64("2023-07-01"), 1.0).series
    'air.pm25'
    """

    change_type: str
    domain: str
    variable: str
    nodes: tuple[str, ...]
    start: np.datetime64
    end: np.datetime64
    size: float = 1.0
    driver: str = ""

    @property
    def series(self) -> str:
        """``domain.variable``."""
        return f"{self.domain}.{self.variable}"


def checked_drift(drift: PlantedDrift, layout: CityLayout, links: Sequence[TrueLink]) -> PlantedDrift:
    """The drift with its nodes spelled out and ns stamps; ``CityError`` where it cannot be planted."""
    if drift.change_type not in CHANGE_TYPES:
        raise CityError(f"drift of type {drift.change_type!r}", where=drift.series,
                        expected="one of " + ", ".join(CHANGE_TYPES), remedy="correct the type")
    if drift.change_type in LAW_CHANGES and not any((link.cause, link.effect) == (drift.driver, drift.series)
                                           for link in links):
        raise CityError(f"{drift.driver!r} does not drive {drift.series}", where=f"{drift.change_type} drift",
                        expected="a driver that the city's links name", remedy="set the drift's driver")
    nodes, start, end = checked_place(drift.series, drift.nodes, drift.start, drift.end, layout)
    return replace(drift, nodes=nodes, start=start, end=end)


def checked_place(series: str, nodes: tuple[str, ...], start: np.datetime64, end: np.datetime64,
                  layout: CityLayout) -> tuple[tuple[str, ...], np.datetime64, np.datetime64]:
    """Nodes spelled out and ns stamps of a planted change; ``CityError`` for unknown names, an empty span."""
    variable_of(series)
    known = layout.names[series.partition(".")[0]]
    strange = [node for node in nodes if node not in known]
    if strange:
        raise CityError(f"no node {strange[0]!r}", where=series, expected=f"one of {known[0]} … {known[-1]}",
                        remedy="correct the node or ask for more nodes")
    if not start < end:
        raise CityError(f"change from {start} to {end}", where=series, expected="start before end",
                        remedy="correct the dates")
    return nodes or known, instant(start), instant(end)


def cells(nodes: Sequence[str], start: np.datetime64, end: np.datetime64, time: np.ndarray,
          names: Sequence[str]) -> np.ndarray:
    """Which (time, node) a planted change touches.

    >>> hours = np.arange("2023-01-01T00", "2023-01-01T03", dtype="datetime64[h]")
    >>> cells(("b",), hours[1], hours[2], hours, ("a", "b")).astype(int).tolist()
    [[0, 0], [0, 1], [0, 0]]
    """
    inside = (time >= start) & (time < end)
    return np.asarray(inside[:, None] & np.isin(np.asarray(names), np.asarray(nodes))[None, :])


def with_value_drifts(values: np.ndarray, series: str, drifts: Sequence[PlantedDrift], time: np.ndarray,
                      names: Sequence[str]) -> np.ndarray:
    """``values`` (time, node) with the level, scale, trend and seasonality drifts of ``series`` acted out.

    Sizes refer to the values without drift. Nodes that no drift names keep their values to the bit.
    """
    drifted, floor = values, variable_of(series).floor
    for drift in drifts:
        if drift.series == series and drift.change_type in VALUE_CHANGES:
            touched = cells(drift.nodes, drift.start, drift.end, time, names)
            drifted = np.where(touched, _acted_out(drift, drifted, values, time, floor), drifted)
    return drifted


def _acted_out(drift: PlantedDrift, drifted: np.ndarray, calm: np.ndarray, time: np.ndarray,
               floor: float | None) -> np.ndarray:
    """Every cell as it would be under the drift; ``calm`` are the values that sizes refer to."""
    spread, mean = calm.std(axis=0), calm.mean(axis=0)
    if drift.change_type == "level":
        changed = drifted + drift.size * spread
    elif drift.change_type == "trend":
        way = (time - drift.start) / (drift.end - drift.start)
        changed = drifted + way[:, None] * drift.size * spread
    elif drift.change_type == "scale":
        changed = mean + (drifted - mean) * (1 + drift.size)
    else:
        changed = _later_in_the_day(drifted, calm, round(drift.size), time, multiply=floor is not None)
    return np.asarray(changed if floor is None else np.maximum(changed, floor))


def _later_in_the_day(drifted: np.ndarray, calm: np.ndarray, hours: int, time: np.ndarray, *, multiply: bool
                      ) -> np.ndarray:
    """Swap the mean daily cycle for one that comes ``hours`` later; weather of the day and its level stay."""
    hour = hour_of_day(time)
    cycle = np.stack([calm[hour == one].mean(axis=0) for one in range(24)])
    now, later = cycle[hour], cycle[(hour - hours) % 24]
    # Positive quantities are carried over by ratio: a difference could push quiet hours below zero.
    return np.asarray(drifted * later / np.maximum(now, 1e-9) if multiply else drifted + later - now)


def law_in_force(link: TrueLink, drifts: Sequence[PlantedDrift], time: np.ndarray,
                 names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """A link's coefficient per effect (time, node), and where its driver is lost (boolean, same shape)."""
    coefficient = np.full((len(time), len(names)), link.strength)
    lost = np.zeros_like(coefficient, dtype=bool)
    for drift in drifts:
        if (drift.driver, drift.series) == (link.cause, link.effect) and drift.change_type in LAW_CHANGES:
            touched = cells(drift.nodes, drift.start, drift.end, time, names)
            if drift.change_type == "relation":
                coefficient[touched] *= 1 + drift.size
            else:
                lost |= touched
    return coefficient, lost
