"""How a stream of events, movers or a raster begins: what the file is, and the keys of its source."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.stats.great_circle import KM_PER_DEGREE
from terracast.streams.clock import span
from terracast.streams.errors import ReadError
from terracast.streams.kinds.columns import form_of
from terracast.streams.kinds.doubts import Doubt, few_doubt, order_doubt, zone_doubt
from terracast.streams.kinds.event import usual_delay
from terracast.streams.kinds.movers import FIXES_A_CELL
from terracast.streams.kinds.placed import Placed
from terracast.streams.kinds.raster import to_panel
from terracast.streams.kinds.raster_stream import MOST_NODES, coarsen_by, coarser, opened
from terracast.streams.kinds.recognise import Recognised, recognise
from terracast.streams.readers.wanted import Wanted
from terracast.streams.sources.files import watched_paths
from terracast.streams.sources.gathered import Earlier, Gathered, RowTerms, counted, table_of

EVER = np.datetime64("2262-01-01", "ns")
OTHERWISE = "--cell and --step decide otherwise"
Keys = dict[str, tuple[object, str]]


@dataclass(frozen=True)
class KindStart:
    """A panel (of a raster lazy) that shows variables, clock and span; the source's keys, each with why; keys that may
    be wanted, too; and what to tell. ``read`` rows were read, and some ``rejected`` by reason."""

    kind: str
    panel: xr.Dataset
    keys: Mapping[str, tuple[object, str]]
    notes: tuple[str, ...] = ()
    proposed: Mapping[str, tuple[object, str]] = field(default_factory=dict)
    read: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    doubts: tuple[Doubt, ...] = ()


def kind_start(data: Path, domain: str, given: Mapping[str, Any]) -> KindStart | None:
    """What a source of this file needs where it holds no table of fixed places; None: it does.

    ``given``: keys of the source that are known, such as ``kind``, ``time`` or ``cell``.
    """
    files = watched_paths(data)
    if not files:
        return None
    known = {name: given[name] for name in ("time", "lat", "lon") if isinstance(given.get(name), str)}
    found = recognise(files, kind=given.get("kind"), layout=given, **known)
    if found.kind == "raster":
        return _raster(files, domain, given)
    if found.kind in ("event", "trajectory"):
        return _rows(files, domain, found, given)
    if found.kind == "point" and found.columns is not None:
        from terracast.streams.readers import read

        node = found.mover or "node"
        panel = read(files[0], domain=domain, kind="point", node=found.mover, time=found.columns.time)
        return KindStart("point", panel, {"node": (node, "names what moves"), "time": (found.columns.time, "")},
                         (f"point: {found.why}",), read=panel[next(iter(panel.data_vars))].size)
    return None


def _raster(files: list[Path], domain: str, given: Mapping[str, Any]) -> KindStart:
    path = files[0]
    axes = {name: given[name] for name in ("time", "lat", "lon", "step", "anchor", "calendar") if given.get(name)}
    wanted = Wanted(where=path.name, domain=domain, kind="raster", units=given.get("units") or {},
                    variables=tuple(given["variables"]) if given.get("variables") else None, **axes)
    stacked = opened(files, wanted)
    if not stacked.cells:
        raise ReadError("every cell is missing at every time", where=str(path), expected="values",
                        remedy="check the file's fill value")
    cells, side = stacked.cells, int(given.get("coarsen") or coarsen_by(stacked))
    rows, columns = stacked.grid.sizes["lat"], stacked.grid.sizes["lon"]
    grid, mask = (stacked.grid, stacked.mask) if side == 1 else (coarser(stacked.grid, side), None)
    notes = [f"raster: {rows} × {columns} cells, {cells} of which hold values"
             + ("; the others are left out" if cells < rows * columns else "")]
    keys: Keys = {}
    if side > 1:
        notes.append(f"{cells} cells are many: the mean of {side} × {side} of them is one node, at most {MOST_NODES} "
                     "nodes; for each cell as it is type --coarsen 1")
        keys["coarsen"] = (side, "so many cells a side become one, their mean; 1: each as it is")
    if len(files) > 1:
        keys["step"] = (str(stacked.grid.attrs["step"]).lower(), "the commonest time between two files' stamps")
    if "file_calendar" in grid.attrs:
        notes.append(f"the file counts dates in the calendar {grid.attrs['file_calendar']}; they keep their names")
    elif "calendar_time" in grid.coords:
        notes.append("the file counts dates in a calendar of its own: stamps are days since 2000 on ours, and lie "
                     "beside the file's dates where years are not equally long")
    panel = to_panel(grid, mask)
    return KindStart("raster", panel, keys, tuple(notes), read=panel.sizes["time"] * panel.sizes["node"],
                     doubts=few_doubt(panel))


def _rows(files: list[Path], domain: str, found: Recognised, given: Mapping[str, Any]) -> KindStart:
    columns = found.columns
    if columns is None:
        raise ReadError("no columns of a time and a place", where=str(files[0]), expected="rows with both",
                        remedy="name another --kind")
    terms = RowTerms.of(domain, found.kind, {
        "node": found.mover or found.region, "known_time": columns.reported, "lat": columns.lat, "lon": columns.lon,
        **{name: value for name, value in given.items() if value is not None}, "time": columns.time,
        "delay": None, "variables": ()})
    tables = [(path, table_of(path, terms, given)) for path in files]
    done = counted(terms, tables, Earlier(), EVER)
    panel = next(done.panels, None)
    if panel is None:
        raise ReadError("no step has a value", where=str(files[0]), expected="fixes a step apart",
                        remedy="name another --kind")
    rows = done.rows
    keys: Keys = {"time": (columns.time, "")}
    keys |= {name: (held, "") for name, held in (("lat", columns.lat), ("lon", columns.lon)) if held is not None}
    keys |= _places(rows, done)
    notes = [f"{found.kind}: {found.why}", *(f"{many} rows are left out: {why}" for why, many in done.rejected.items())]
    words = _events(rows, panel, terms, found, keys) if found.kind == "event" else _movers(rows, panel, terms, keys)
    column = tables[0][1][columns.time] if len(tables) == 1 else pd.concat([one[columns.time] for _, one in tables])
    proposed: Keys = {}
    together: tuple[Doubt, ...] = ()
    if found.kind == "event":
        if found.event_type is not None and terms.event_type is None:
            proposed["event_type"] = (found.event_type, "a variable a type, too; then variables = []")
            many = len({word for _, one in tables for word in one[found.event_type].dropna().unique()})
            together = (Doubt(f"{found.event_type} tells {many} types of events apart; all are counted together",
                              f"--event-type {shlex.quote(found.event_type)}"),)
        if terms.node is None:
            proposed["node"] = ("COLUMN", "regions named by a column, in place of cells")
    return KindStart(found.kind, panel, keys, (*notes, words), proposed, len(rows) + sum(done.rejected.values()),
                     done.rejected, (*together, *_order(column, terms, keys),
                                     *zone_doubt(column, rows, terms.zone), *few_doubt(panel)))


def _order(column: pd.Series, terms: RowTerms, keys: Keys) -> tuple[Doubt, ...]:
    """How stamps are written, for ``keys``, and the doubt where the day or the month may come first."""
    form = None if terms.time_format is not None else form_of(column)
    if form is None or form.form is None:
        return ()
    keys["time_format"] = (form.form, "as stamps are written")
    return order_doubt(column, form)


def _places(rows: Placed, done: Gathered) -> Keys:
    if done.cell is None:
        return {}
    return {"cell": (float(f"{done.cell:g}"), f"degrees a side, about {_size(rows, done.cell)}")}


def _size(rows: Placed, cell: float) -> str:
    high = cell * KM_PER_DEGREE
    return f"{high:.3g} by {high * float(np.cos(np.deg2rad(np.median(rows.lat)))):.3g} km"


def _events(rows: Placed, panel: xr.Dataset, terms: RowTerms, found: Recognised, keys: Keys) -> str:
    """What events become, in words; ``keys`` are brought up to date."""
    mean = len(rows) / max(panel.sizes["time"] * panel.sizes["node"], 1)
    step = str(panel.attrs["step"])
    if terms.reported is not None:
        delay = usual_delay(rows, step)
        late = (rows.known - rows.time)[~np.isnat(rows.known)]
        share = float((late <= span(delay).to_timedelta64()).mean())
        keys |= {"known_time": (terms.reported, "when an event was reported"),
                 "delay": (delay.lower(), f"{100 * share:.0f} % of the events are reported by then; later ones revise")}
    if terms.event_type is not None:
        keys["event_type"] = (terms.event_type, "a variable a type, beside all events")
    if terms.node is not None:
        keys["node"] = (terms.node, "names the region of an event")
        where = f"in {panel.sizes['node']} regions of {terms.node}"
    else:
        where = f"on {panel.sizes['node']} cells of {_size(rows, float(str(keys['cell'][0])))}"
    each = "region" if terms.node else "cell"
    return f"{len(rows)} events are counted {where}, {mean:.2g} a {each} and step of {step}; {OTHERWISE}"


def _movers(rows: Placed, panel: xr.Dataset, terms: RowTerms, keys: Keys) -> str:
    """What movers become, in words; ``keys`` are brought up to date."""
    if terms.node is not None:
        keys["node"] = (terms.node, "names what moves")
    keys["measure"] = (terms.measure, "movers and speed on cells; or flows from cell to cell; or own positions")
    many = rows.rest[terms.node].nunique() if terms.node in rows.rest else 1
    size = _size(rows, float(str(keys["cell"][0])))
    what = {"cells": f"{panel.sizes['node']} cells of {size}",
            "flows": f"{panel.sizes['node']} ways between cells of {size}",
            "positions": "their own positions"}[terms.measure]
    return (f"{many} movers on {what}; {panel.sizes['time']} steps of {panel.attrs['step']} have a fix (usual cells "
            f"hold {FIXES_A_CELL} or more); {OTHERWISE}")
