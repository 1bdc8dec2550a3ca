"""Planted faults: instruments and wires that fail while the world goes on as before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from terracast.streams.city.drifts import cells, checked_place
from terracast.streams.city.links import delayed
from terracast.streams.city.places import CityLayout
from terracast.streams.city.variables import CityError

FAULT_TYPES = ("outage", "stuck", "unit", "clock")


@dataclass(frozen=True)
class PlantedFault:
    """One fault of the reports from ``start`` until before ``end``.

    In a plan, empty ``nodes`` mean all of the domain; on a city's record they are spelled out. ``size``:

    * outage: of no meaning; nothing is reported;
    * stuck: of no meaning; the last value before ``start`` is repeated;
    * unit: reported values are multiplied by this factor (0.523: NO2 in ppb instead of ug m-3);
    * clock: whole hours by which the station's clock is ahead; negative: behind.

    >>> PlantedFault("stuck", "air", "no2", ("air-03",), np.datetime64("2023-06-01"),
    ...              np.datetime64("2023-06-05")).size
    1.0
    """

    fault_type: str
    domain: str
    variable: str
    nodes: tuple[str, ...]
    start: np.datetime64
    end: np.datetime64
    size: float = 1.0

    @property
    def series(self) -> str:
        """``domain.variable``."""
        return f"{self.domain}.{self.variable}"


def checked_fault(fault: PlantedFault, layout: CityLayout) -> PlantedFault:
    """The fault with its nodes spelled out and ns stamps; ``CityError`` where it cannot be planted."""
    if fault.fault_type not in FAULT_TYPES:
        raise CityError(f"fault of type {fault.fault_type!r}", where=fault.series,
                        expected="one of " + ", ".join(FAULT_TYPES), remedy="correct the type")
    nodes, start, end = checked_place(fault.series, fault.nodes, fault.start, fault.end, layout)
    return replace(fault, nodes=nodes, start=start, end=end)


def faulty(series: str, faults: Sequence[PlantedFault], time: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Which (time, node) of a series any fault touches."""
    touched = np.zeros((len(time), len(names)), dtype=bool)
    for fault in faults:
        if fault.series == series:
            touched |= cells(fault.nodes, fault.start, fault.end, time, names)
    return touched


def with_faults(values: np.ndarray, series: str, faults: Sequence[PlantedFault], time: np.ndarray,
                names: Sequence[str]) -> np.ndarray:
    """What is reported of ``values`` (time, node) under the faults; other nodes keep their values to the bit.

    >>> hours = np.arange("2023-01-01T00", "2023-01-01T04", dtype="datetime64[h]")
    >>> stuck = PlantedFault("stuck", "air", "no2", ("a",), hours[2], hours[3])
    >>> world = np.array([[5.0], [6.0], [7.0], [8.0]])
    >>> with_faults(world, "air.no2", [stuck], hours, ("a",)).ravel().tolist()
    [5.0, 6.0, 6.0, 8.0]
    """
    for fault in faults:
        if fault.series == series:
            touched = cells(fault.nodes, fault.start, fault.end, time, names)
            values = np.where(touched, _misreported(fault, values, time), values)
    return values


def _misreported(fault: PlantedFault, values: np.ndarray, time: np.ndarray) -> np.ndarray:
    if fault.fault_type == "outage":
        return np.full_like(values, np.nan)
    if fault.fault_type == "stuck":
        last = max(int(np.searchsorted(time, fault.start)) - 1, 0)
        return np.broadcast_to(values[last], values.shape)
    if fault.fault_type == "unit":
        return values * fault.size
    hours = round(fault.size)
    return delayed(values, hours) if hours >= 0 else delayed(values[::-1], -hours)[::-1]


def hours_behind(domain: str, faults: Sequence[PlantedFault], time: np.ndarray,
                 names: Sequence[str]) -> np.ndarray:
    """Hours that a report's stamp is too early, (time, node): it is known that much later than usual."""
    behind = np.zeros((len(time), len(names)), dtype=np.int64)
    for fault in faults:
        if fault.domain == domain and fault.fault_type == "clock" and fault.size < 0:
            behind[cells(fault.nodes, fault.start, fault.end, time, names)] = -round(fault.size)
    return behind
