"""One call for several domains: each onto the same clock and nodes by its own rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.alignment.in_space import Place, SpaceMethod, known_of, moved, place_of, weights
from terracast.streams.alignment.in_time import NEVER, TimeAxis, TimeMethod, onto_axis
from terracast.streams.errors import PanelError
from terracast.streams.panel import check_panel

WHOLE = ("same", "nearest", "gather")  # these keep counts whole


@dataclass(frozen=True)
class Rule:
    """How a domain comes onto the clock and the nodes (see ``in_time.onto_axis``, ``in_space.weights``).

    ``time`` and ``space`` hold for all variables but those in ``times`` (variable to time method). Intensities
    (concentrations, temperatures) want ``mean``, counts ``sum`` and ``gather``, states at a stamp ``instant``.
    """

    time: TimeMethod = "mean"
    space: SpaceMethod = "nearest"
    times: Mapping[str, TimeMethod] = field(default_factory=dict)
    patience: str | None = None
    min_share: float | None = None
    max_age: str | None = None
    neighbours: int = 4
    power: float = 2.0
    radius_km: float = np.inf


def align(panels: Mapping[str, xr.Dataset], axis: TimeAxis, place: Place | xr.Dataset,
          rules: Mapping[str, Rule]) -> dict[str, xr.Dataset]:
    """A panel per domain on one clock and one set of nodes, each value with the time it was known.

    Nothing looks ahead: whatever becomes known after t changes no value with ``known_time`` ≤ t, nor which values
    those are. ``place`` is a panel whose nodes are wanted, or a ``Place``. Domains without a rule get
    ``Rule("sum", "gather")`` if they are events and ``Rule()`` otherwise. Moving nodes are refused: bring them to a
    grid first. O(values × weights per target).

    >>> day = xr.Dataset({"rain": (("time", "node"), [[24.0]], {"units": "mm d-1", "long_name": "rain"})},
    ...                  {"time": np.array(["2020-01-01"], "M8[ns]"), "node": ["mast"], "lat": ("node", [0.0]),
    ...                   "lon": ("node", [0.0])}, {"domain": "weather", "kind": "sensor", "step": "1D"})
    >>> hours = align({"weather": day}, TimeAxis.regular("2020-01-01T22:00", "1h", 4), day, {})["weather"]
    >>> hours.rain.values.ravel().tolist()
    [nan, nan, 24.0, 24.0]
    """
    where = place if isinstance(place, Place) else place_of(place)
    unknown = sorted(set(rules) - set(panels))
    if unknown:
        raise PanelError(f"a rule for {unknown[0]!r}", where="alignment", remedy="give its panel or drop the rule",
                         expected="one of " + ", ".join(panels))
    return {domain: _aligned(domain, panel, axis, where, rules.get(domain) or _usual(panel))
            for domain, panel in panels.items()}


def _usual(panel: xr.Dataset) -> Rule:
    return Rule("sum", "gather") if panel.attrs.get("kind") == "event" else Rule()


def _aligned(domain: str, panel: xr.Dataset, axis: TimeAxis, place: Place, rule: Rule) -> xr.Dataset:
    source = place_of(panel)
    patience = None if rule.patience is None else pd.Timedelta(rule.patience)
    max_age = None if rule.max_age is None else pd.Timedelta(rule.max_age)
    stray = [name for name in rule.times if name not in panel.data_vars]
    if stray:
        raise PanelError(f"a time method for {stray[0]!r}", where=domain, remedy="name a variable of the panel",
                         expected="one of " + ", ".join(map(str, panel.data_vars)))
    by_method: dict[TimeMethod, list[str]] = {}
    for name in map(str, panel.data_vars):
        by_method.setdefault(rule.times.get(name, rule.time), []).append(name)
    data: dict[str, Any] = {}
    known = np.zeros((len(axis.time), len(place.nodes)), np.int64)
    for method, names in by_method.items():
        adds = method == "sum" or (panel.attrs["kind"] == "event" and method in ("latest", "instant"))
        use = weights(source, place, rule.space, neighbours=rule.neighbours, power=rule.power,
                      radius_km=rule.radius_km, adds=adds and rule.space != "mean", where=domain)
        if use.adds and rule.space == "inverse_distance":
            raise PanelError("counts cannot be interpolated by distance", where=domain,
                             expected="gather, nearest, same or conservative for sums",
                             remedy="choose one, or time='mean' for a rate")
        on_axis = onto_axis(panel, axis, method, names, patience=patience, min_share=rule.min_share,
                            max_age=max_age)
        known = np.maximum(known, known_of(on_axis.known, use))
        share = (1.0 if use.adds else 0.5) if rule.min_share is None else rule.min_share
        for name in names:
            values = moved(on_axis.values[name], use, share)
            data[name] = (("time", "node"), values, {**panel[name].attrs, "aligned": f"{method}, {rule.space}"})
    data = {name: (dims, np.where(known == NEVER, np.nan, values), attrs)  # what never settles is not shown
            for name, (dims, values, attrs) in ((name, data[name]) for name in map(str, panel.data_vars))}
    return _panel(domain, panel, axis, place, rule, data, known)


def _panel(domain: str, panel: xr.Dataset, axis: TimeAxis, place: Place, rule: Rule, data: dict[str, Any],
           known: np.ndarray) -> xr.Dataset:
    kind = str(panel.attrs["kind"])
    onto_grid = place.axes is not None
    counts = kind == "event" and rule.space in WHOLE and set(rule.times.values()) | {rule.time} <= {"sum", "latest"}
    attrs = {key: value for key, value in panel.attrs.items() if key != "grid"}
    attrs |= {"domain": domain, "step": axis.step, "original_kind": kind, "original_step": panel.attrs["step"],
              "kind": "event" if counts else "raster" if onto_grid else "sensor"}
    stamps = np.where(known == NEVER, np.datetime64("NaT", "ns"), known.astype("datetime64[ns]"))
    coords: dict[str, Any] = {"time": axis.time, "node": place.nodes, "known_time": (("time", "node"), stamps)}
    if place.lat is not None:
        coords |= {"lat": ("node", place.lat), "lon": ("node", place.lon)}
    if onto_grid and attrs["kind"] == "raster" and place.cell is not None and place.lon_edges is not None:
        row, column = np.divmod(place.cell, len(place.lon_edges) - 1)
        coords |= {"row": ("node", row), "column": ("node", column)}
        attrs["grid"] = place.axes
    return check_panel(xr.Dataset(data, coords, attrs))
