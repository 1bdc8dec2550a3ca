"""How a stream of events, movers or a raster begins: what the file is, and the keys of its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from terracast.stats.great_circle import KM_PER_DEGREE
from terracast.streams.errors import ReadError
from terracast.streams.kinds.event import usual_delay
from terracast.streams.kinds.raster import to_panel
from terracast.streams.kinds.raster_stream import MOST_NODES, coarsen_by, coarser, opened
from terracast.streams.kinds.recognise import Recognised, recognise
from terracast.streams.kinds.records import records
from terracast.streams.readers.wanted import Wanted
from terracast.streams.sources.files import watched_paths
from terracast.streams.sources.gathered import FIXES_A_CELL, RowTerms, counted, rows_of

EVER = np.datetime64("2262-01-01", "ns")


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


def kind_start(data: Path, domain: str, given: Mapping[str, Any]) -> KindStart | None:
    """What a source of this file needs where it holds no table of fixed places; None: it does.

    ``given``: keys of the source that are known, such as ``kind``, ``time`` or ``cell``.
    """
    files = watched_paths(data)
    if not files:
        return None
    known = {name: given[name] for name in ("time", "lat", "lon") if isinstance(given.get(name), str)}
    found = recognise(files[0], kind=given.get("kind"), **known)
    if found.kind == "raster":
        return _raster(files[0], domain)
    if found.kind in ("event", "trajectory"):
        return _rows(files, domain, found, given)
    if found.kind == "point" and found.columns is not None:
        from terracast.streams.readers import read

        node = found.mover or "node"
        panel = read(files[0], domain=domain, kind="point", node=found.mover, time=found.columns.time)
        return KindStart("point", panel, {"node": (node, "names what moves"), "time": (found.columns.time, "")},
                         (f"point: {found.why}",), read=panel[next(iter(panel.data_vars))].size)
    return None


def _raster(path: Path, domain: str) -> KindStart:
    wanted = Wanted(where=path.name, domain=domain, kind="raster")
    stacked = opened(path, wanted)
    if not stacked.cells:
        raise ReadError("every cell is missing at every time", where=str(path), expected="values",
                            remedy="check the file's fill value")
    cells, side = stacked.cells, coarsen_by(stacked)
    rows, columns = stacked.grid.sizes["lat"], stacked.grid.sizes["lon"]
    grid, mask = (stacked.grid, stacked.mask) if side == 1 else (coarser(stacked.grid, side), None)
    notes = [f"raster: {rows} × {columns} cells, {cells} of which hold values"
             + ("; the others are left out" if cells < rows * columns else "")]
    keys: dict[str, tuple[object, str]] = {}
    if side > 1:
        notes.append(f"{cells} cells are many: the mean of {side} × {side} of them is one node, at most {MOST_NODES} "
                     "nodes; for each cell as it is set coarsen = 1")
        keys["coarsen"] = (side, "so many cells a side become one, their mean; 1: each as it is")
    if "file_calendar" in grid.attrs:
        notes.append(f"the file counts dates in the calendar {grid.attrs['file_calendar']}; they keep their names")
    elif "calendar_time" in grid.coords:
        notes.append("the file counts dates in a calendar of its own: stamps are days since 2000 on ours, and lie "
                     "beside the file's dates where years are not equally long")
    return KindStart("raster", panel := to_panel(grid, mask), keys, tuple(notes),
                     read=panel.sizes["time"] * panel.sizes["node"])


def _rows(files: list[Path], domain: str, found: Recognised, given: Mapping[str, Any]) -> KindStart:
    columns = found.columns
    if columns is None:
        raise ReadError("no columns of a time and a place", where=str(files[0]), expected="rows with both",
                            remedy="name another --kind")
    asked = {name: given[name] for name in ("cell", "step", "measure") if given.get(name) is not None}
    terms = RowTerms(domain, found.kind, node=given.get("node") or found.mover, time=columns.time, lat=columns.lat,
                     lon=columns.lon, reported=given.get("known_time") or columns.reported, **asked)
    tables = [(path, records(path)) for path in files]
    done = counted(terms, tables, None, EVER)
    panel = next(done.panels, None)
    if panel is None:
        raise ReadError("no step has a value", where=str(files[0]), expected="fixes a step apart",
                        remedy="name another --kind")
    rows, _ = rows_of(terms, tables)
    keys: dict[str, tuple[object, str]] = {"time": (columns.time, "")}
    keys |= {name: (held, "") for name, held in (("lat", columns.lat), ("lon", columns.lon)) if held is not None}
    middle = float(np.cos(np.deg2rad(np.median(rows.lat))))
    high = done.cell * KM_PER_DEGREE
    size = f"{high:.3g} by {high * middle:.3g} km"
    keys["cell"] = (float(f"{done.cell:g}"), f"degrees a side, about {size}")
    notes = [f"{found.kind}: {found.why}"]
    notes += [f"{many} rows are left out: {reason}" for reason, many in done.rejected.items()]
    proposed: dict[str, tuple[object, str]] = {}
    if found.kind == "event":
        mean = len(rows) / max(panel.sizes["time"] * panel.sizes["node"], 1)
        notes.append(f"{len(rows)} events are counted on {panel.sizes['node']} cells of {size}, "
                     f"{mean:.2g} a cell and step of {panel.attrs['step']}")
        if columns.reported is not None:
            delay = usual_delay(rows, str(panel.attrs["step"]))
            keys |= {"known_time": (columns.reported, "when an event was reported"),
                     "delay": (delay.lower(), "nine of ten events are reported by then; later ones revise")}
        if found.event_type is not None:
            proposed["event_type"] = (found.event_type, "a variable a type, too; then variables = []")
        proposed["node"] = ("COLUMN", "regions named by a column, in place of cells")
    else:
        if found.mover is not None:
            keys["node"] = (found.mover, "names what moves")
        keys["measure"] = ("cells", "movers and speed on cells; or flows from cell to cell; or own positions")
        many = rows.rest[found.mover].nunique() if found.mover else 1
        notes.append(f"{many} movers on {panel.sizes['node']} cells of {size}; {panel.sizes['time']} steps of "
                     f"{panel.attrs['step']} have a fix (usual cells hold {FIXES_A_CELL} or more)")
    return KindStart(found.kind, panel, keys, tuple(notes), proposed, len(rows) + sum(done.rejected.values()),
                     done.rejected)
