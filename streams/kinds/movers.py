"""Movers as a stream: how many are in each cell and how fast, how many go from cell to cell, or where each one is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.clock import span, span_text
from terracast.streams.kinds.cell_size import cell_size
from terracast.streams.kinds.cells import cell_names, occupied
from terracast.streams.kinds.cleaning import clean
from terracast.streams.kinds.moving import resample, to_panel
from terracast.streams.kinds.placed import Placed
from terracast.streams.kinds.trajectory import of_table, seconds_since_last, speeds_kmh, track_of
from terracast.streams.panel import check_panel

Measure = Literal["cells", "flows", "positions"]
COUNT = {"units": "1", "cell_methods": "time: sum"}
USUAL, FASTEST, SLOWEST = 0.95, 3.0, 30.0  # a jump: three times the speed that 5 % exceed, and 30 km/h at least
FIXES_A_CELL, MOST_FIXES = 20, 200_000  # visits of a usual cell, and fixes looked at for it
GAP = 20  # times the usual time between two fixes, and a step at least: a trip ends


@dataclass(frozen=True)
class Following:
    """How movers are followed: ``measure`` of cells, of flows between them, or the movers' own positions."""

    domain: str
    cell: float
    step: str
    measure: Measure = "cells"
    delay: str | None = None


def mover_panels(rows: Placed, mover: np.ndarray, how: Following, now: np.datetime64 | None = None
                 ) -> tuple[Iterator[xr.Dataset], int]:
    """The panel of what was measured, and how many fixes were left out as jumps that nothing can make.

    A step in which no mover sent anything was not observed: its row is missing, not zero. ``now``: steps that are not
    over (and known) by then are left for the next look.
    """
    table = pd.DataFrame({"trajectory": mover, "time": rows.time, "lat": rows.lat, "lon": rows.lon})
    tracks = of_table(table.drop_duplicates(["trajectory", "time"]), domain=how.domain)
    trips, jumps = cleaned(tracks, how.step)
    how = replace(how, step=span_text(span(how.step)))
    panel = {"cells": _on_cells, "flows": _flows, "positions": _positions}[how.measure](trips, how)
    length = span(how.step)
    wait = length if how.delay is None else max(span(how.delay), length)
    if how.measure != "positions":
        panel = panel.assign_coords(known_time=("time", panel["time"].values + wait.to_timedelta64()))
    known = panel["known_time"].values
    if now is not None:
        over = known <= now if known.ndim == 1 else ~(known > now).any(axis=1)
        panel = panel.isel(time=np.flatnonzero(over))
    panel = panel.assign_attrs(step=span_text(length), kind="trajectory", domain=how.domain)
    return iter([check_panel(panel)] if panel.sizes["time"] else []), jumps


def cleaned(tracks: xr.Dataset, step: str) -> tuple[xr.Dataset, int]:
    """Trips without jumps, split at gaps; what is a jump and what a gap is read off the tracks themselves."""
    passed, speed = seconds_since_last(tracks), speeds_kmh(tracks)
    moving = speed[np.isfinite(speed) & (speed > 0)]
    fastest = max(FASTEST * float(np.quantile(moving, USUAL)) if len(moving) else 0.0, SLOWEST)
    usual = float(np.nanmedian(passed)) if np.isfinite(passed).any() else 0.0
    done = clean(tracks, fastest, max(span(step), pd.Timedelta(GAP * usual, "s")))
    return done.trips, len(done.left_out)


def cell_of_movers(rows: Placed, mover: np.ndarray, step: str) -> float:
    """The size of cells that suits movers: the usual one is visited by enough of them."""
    some = np.linspace(0, len(rows) - 1, min(len(rows), MOST_FIXES)).astype(int)
    at = rows.time[some].astype(np.int64) // span(step).value
    visit = pd.factorize(pd.MultiIndex.from_arrays([mover[some], at]))[0]
    return cell_size(rows.lat[some], rows.lon[some], len(np.unique(at)), enough=FIXES_A_CELL, visit=visit)


def _on_cells(trips: xr.Dataset, how: Following) -> xr.Dataset:
    """Movers in each cell and step (each counted once a cell), and the mean speed of the ways that end there."""
    length = span(how.step).value
    time, lat, lon = (trips[name].values for name in ("time", "lat", "lon"))
    cell, at_lat, at_lon = occupied(lat, lon, how.cell)
    stamps, row = np.unique(time.astype(np.int64) // length * length, return_inverse=True)
    shape, place = (len(stamps), len(at_lat)), row * len(at_lat) + cell
    parents = pd.factorize(trips["parent"].values)[0][track_of(trips)]
    once = ~pd.DataFrame({"place": place, "mover": parents}).duplicated().to_numpy()
    many = np.bincount(place[once], minlength=shape[0] * shape[1]).reshape(shape)
    speed, passed = speeds_kmh(trips), seconds_since_last(trips)
    told = np.isfinite(speed)
    weight = np.bincount(place[told], weights=passed[told], minlength=many.size)
    total = np.bincount(place[told], weights=speed[told] * passed[told], minlength=many.size)
    mean = np.divide(total, weight, out=np.full(many.size, np.nan), where=weight > 0).reshape(shape)
    return xr.Dataset({"movers": (("time", "node"), many.astype(float), {**COUNT, "long_name": "movers in the cell"}),
                       "speed": (("time", "node"), mean, {"units": "km h-1", "long_name": "mean speed in the cell"})},
                      {"time": stamps.astype("datetime64[ns]"), "node": cell_names(at_lat, at_lon),
                       "lat": ("node", at_lat), "lon": ("node", at_lon)},
                      {"cell": f"{how.cell:g},{how.cell:g}"})


def _flows(trips: xr.Dataset, how: Following) -> xr.Dataset:
    """Movers that went from cell to cell within each step (staying included), a node for each way that was taken."""
    even = resample(trips, how.step)
    track, time = track_of(even), even["time"].values
    pair = np.flatnonzero((track[1:] == track[:-1]) & (np.diff(time) == span(how.step).to_timedelta64()))
    cell, lat, lon = occupied(even["lat"].values, even["lon"].values, how.cell)
    names = cell_names(lat, lon)
    ways, way = np.unique(cell[:-1][pair] * len(lat) + cell[1:][pair], return_inverse=True)
    stamps, row = np.unique(time[:-1][pair], return_inverse=True)
    shape = (len(stamps), len(ways))
    many = np.bincount(row * len(ways) + way, minlength=shape[0] * shape[1]).reshape(shape).astype(float)
    origin, goal = ways // len(lat), ways % len(lat)
    called = np.array([f"{names[one]} to {names[other]}" for one, other in zip(origin, goal, strict=True)], dtype=str)
    return xr.Dataset({"flow": (("time", "node"), many, {**COUNT, "long_name": "movers from cell to cell"})},
                      {"time": stamps, "node": called, "lat": ("node", (lat[origin] + lat[goal]) / 2),
                       "lon": ("node", (lon[origin] + lon[goal]) / 2)})


def _positions(trips: xr.Dataset, how: Following) -> xr.Dataset:
    """Each mover's own position and the way of its last step; between trips it has none."""
    return to_panel(trips, how.step)
