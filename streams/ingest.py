"""The rules by which a panel enters the store: what is new, late, a duplicate, a revision, or refused.

A row (time, node) with any value is one report and is counted once. What was first reported is never
overwritten: a later, different report goes to the ledger of revisions with its own known time. A value that was
missing in a report and comes with the same known time (another file of the same hour) is filled in. Where it is told
when a panel ``arrived``, a different report that does not say a later known time is a revision known from then on: the
corrected export of the same hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import xarray as xr
import zarr

from terracast.streams.clock import EPOCH, TOLERANCE, Clock, common_phase
from terracast.streams.errors import PanelError
from terracast.streams.panel import check_panel, step_of
from terracast.streams.storage.arrays import read_array, write_array
from terracast.streams.storage.cells import Cells
from terracast.streams.storage.facts import keep_facts
from terracast.streams.storage.growing import GrowingDomain, create_domain, find_growing
from terracast.streams.storage.observations import POSITIONS

NOT_LATER = "differs from the stored report but is not known later"
OFF_CLOCK = "off the domain's clock"
NEVER_KNOWN = "no known time"
DROPPED = "older than what is kept"
NAT = np.datetime64("NaT", "ns")


@dataclass(frozen=True)
class Ingested:
    """What became of a panel's reports, each counted exactly once; ``notes`` says what was ignored.

    >>> Ingested(new=3, rejected={"no known time": 1}) + Ingested(new=1, rejected={"no known time": 2})
    Ingested(new=4, late=0, duplicate=0, revised=0, rejected={'no known time': 3}, notes=())
    """

    new: int = 0
    late: int = 0
    duplicate: int = 0
    revised: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __add__(self, other: Ingested) -> Ingested:
        both = {reason: self.rejected.get(reason, 0) + other.rejected.get(reason, 0)
                for reason in (*self.rejected, *(r for r in other.rejected if r not in self.rejected))}
        notes = self.notes + tuple(note for note in other.notes if note not in self.notes)
        return Ingested(self.new + other.new, self.late + other.late, self.duplicate + other.duplicate,
                        self.revised + other.revised, both, notes)


@dataclass(frozen=True)
class Reports:
    """A panel's reports: ``known`` and each array of ``data`` are (time, node); NaT where there is no report."""

    time: np.ndarray
    nodes: np.ndarray
    known: np.ndarray
    data: dict[str, np.ndarray]

    def of_rows(self, rows: np.ndarray) -> Reports:
        """Some of the rows."""
        return Reports(self.time[rows], self.nodes, self.known[rows],
                       {name: values[rows] for name, values in self.data.items()})


def ingest(root: zarr.Group, domain: str, panel: xr.Dataset, arrived: np.datetime64 | None = None) -> Ingested:
    """Write a panel's reports into the store by the rules above.

    Raises ``PanelError`` on another step, kind or unit than the stored ones, before anything is written. Reads
    and writes only the rows from the panel's first stamp to its last (where a stamp has to be put in between,
    also the rows after it).
    """
    panel = _accepted(check_panel(panel), domain)
    held = find_growing(root, domain)
    if held is not None:
        _refuse_other_terms(held, panel)
        panel = _on_held_clock(panel, held.clock)
    clock = _clock_of(panel) if held is None else held.clock
    reports, rejected = _reports(panel, held, clock)
    if held is None:
        held = create_domain(root, panel, clock)
    columns = held.join_nodes(panel["node"].values)
    notes = _join(held, panel, columns)
    counted = _write_reports(held, panel, reports, columns, arrived)
    return counted + Ingested(rejected=rejected, notes=notes)


def _accepted(panel: xr.Dataset, domain: str) -> xr.Dataset:
    if panel.attrs["domain"] != domain:
        raise PanelError(f"the panel is of domain {panel.attrs['domain']!r}", where=domain,
                         expected=f"domain {domain!r}", remedy="ingest it under its own name")
    if "known_time" not in panel.coords:
        raise PanelError("no known_time", where=domain, expected="the coordinate known_time",
                         remedy="apply known_after(panel, delay) first")
    for name in panel.data_vars:
        if name in ("time", "node", "known_time", *POSITIONS):
            raise PanelError(f"a variable is called {name!r}", where=domain, expected="a name of its own",
                             remedy="make it a coordinate or rename it")
    return panel


def _refuse_other_terms(held: GrowingDomain, panel: xr.Dataset) -> None:
    """A panel with another step, kind, unit or type of position must not be mixed in."""
    if step_of(panel) != held.step or panel.attrs["kind"] != held.attrs["kind"]:
        term = "step" if step_of(panel) != held.step else "kind"
        raise PanelError(f"{term} is {panel.attrs[term]!r}", where=held.domain,
                         expected=f"the stored {term} {held.attrs[term]!r}",
                         remedy="use a domain of its own for it")
    for name in map(str, panel.data_vars):
        if name in held.variables:
            units, stored = panel[name].attrs["units"], held.arrays[name].attrs["units"]
            if units != stored:
                raise PanelError(f"{name} comes in {units!r}", where=held.domain,
                                 expected=f"the stored {stored!r}",
                                 remedy=f"convert {name} to {stored!r}, or give it another name")
            dtype = held.arrays[name].dtype
            biggest = np.finfo(dtype).max
            if panel[name].dtype.itemsize > dtype.itemsize and bool((np.abs(panel[name]) > biggest).any()):
                raise PanelError(f"{name} holds a value beyond {biggest:.3g}", where=held.domain,
                                 expected="values that fit the stored type", remedy="check the value")
    dims = held.position_dims()
    if dims is not None and "lat" in panel.coords and panel["lat"].dims != dims:
        raise PanelError(f"positions come on {panel['lat'].dims}", where=held.domain,
                         expected=f"on {dims} as stored",
                         remedy="use a domain of its own for moving nodes")


def _on_held_clock(panel: xr.Dataset, clock: Clock) -> xr.Dataset:
    """A panel whose own clock runs a little beside the stored one (another file, another jitter): onto that one."""
    own, time = _clock_of(panel), panel["time"].values
    ticks = clock.nearest(time)
    apart = np.abs((time - ticks).astype(np.int64))
    beside = own.phase != clock.phase or own.calendar != clock.calendar
    if not beside or not len(time) or (apart > TOLERANCE * int(clock.step.astype(np.int64))).any() \
            or (np.diff(ticks) <= np.timedelta64(0)).any():
        return panel
    known = panel["known_time"].values
    beside_nodes = (slice(None), *(None,) * (known.ndim - 1))
    later = (known >= time[beside_nodes]) & (known < ticks[beside_nodes])
    return panel.assign_coords(time=ticks, known_time=(panel["known_time"].dims, np.where(
        later, ticks[beside_nodes], known)))


def _clock_of(panel: xr.Dataset) -> Clock:
    """The clock that a panel says, or that most of its stamps keep."""
    clock = Clock.of(panel.attrs)
    if "anchor" in panel.attrs or clock.calendar:
        return clock
    said = np.zeros(panel.sizes["time"], bool)
    for name in panel.data_vars:
        said |= np.isfinite(panel[name].values).any(axis=1)
    stamps = panel["time"].values[said] if said.any() else panel["time"].values
    return replace(clock, anchor=EPOCH + common_phase(stamps, clock.step)[0])


def _reports(panel: xr.Dataset, held: GrowingDomain | None, clock: Clock) -> tuple[Reports, dict[str, int]]:
    """The panel's reports without those that cannot be placed, and why those cannot."""
    shape = (panel.sizes["time"], panel.sizes["node"])
    values = {str(name): panel[name].values for name in panel.data_vars}
    known = panel["known_time"].values
    known = np.array(np.broadcast_to(known[:, None] if known.ndim == 1 else known, shape))
    said = np.zeros(shape, dtype=bool)
    for array in values.values():
        said |= ~np.isnan(array)
    reports = Reports(panel["time"].values, panel["node"].values, known, values)
    unknown = said & np.isnat(known)
    known[~said] = NAT
    off = clock.nearest(reports.time) != reports.time
    dropped = reports.time < held.kept_from if held else np.zeros(shape[0], dtype=bool)  # NaT compares False
    counts = {OFF_CLOCK: int(said[off].sum()), DROPPED: int(said[dropped & ~off].sum()),
              NEVER_KNOWN: int(unknown[~off & ~dropped].sum())}
    known[off | dropped] = NAT
    return reports, {reason: count for reason, count in counts.items() if count}


def _join(held: GrowingDomain, panel: xr.Dataset, columns: np.ndarray) -> tuple[str, ...]:
    """Let new variables and positions in; returns what was ignored, in words."""
    notes = []
    for name in map(str, panel.data_vars):
        dtype = np.dtype("f8" if panel[name].dtype.itemsize >= 8 else "f4")
        if name not in held.variables:
            held.join_variable(name, np.zeros(0, dtype), panel[name].attrs)
        elif dtype.itemsize > held.arrays[name].dtype.itemsize:
            notes.append(f"{name} is kept in single precision, as it was first given")
    notes += keep_facts(held, panel, columns)
    if "lat" not in panel.coords:
        return tuple(notes)
    if held.position_dims() is None:
        held.join_positions(tuple(map(str, panel["lat"].dims)), panel)
    if held.position_dims() == ("node",):
        notes += _place_nodes(held, panel, columns)
    return tuple(notes)


def _place_nodes(held: GrowingDomain, panel: xr.Dataset, columns: np.ndarray) -> list[str]:
    moved = np.zeros(len(columns), dtype=bool)
    for name in POSITIONS:
        stored, given = read_array(held.arrays[name]), panel[name].values.astype(np.float64)
        moved |= ~(np.isnan(given) | np.isnan(stored[columns]) | (stored[columns] == given))
        filled = stored.copy()
        filled[columns] = np.where(np.isnan(stored[columns]), given, stored[columns])
        if not np.array_equal(filled, stored, equal_nan=True):
            write_array(held.arrays[name], ..., filled)
    names = panel["node"].values[moved]
    if not len(names):
        return []
    return [f"another position was given for {', '.join(names[:3])}: the stored one is kept"]


def _write_reports(held: GrowingDomain, panel: xr.Dataset, reports: Reports, columns: np.ndarray,
                   arrived: np.datetime64 | None) -> Ingested:
    told = ~np.isnat(reports.known).all(axis=1)
    if not told.any():
        return Ingested()
    reports = reports if told.all() else reports.of_rows(told)
    last = held.time[-1] if len(held.time) else NAT
    held.join_stamps(reports.time)
    cells = Cells.of(held, reports.time, columns, unwritten=not reports.time[0] <= last)  # NaT compares False
    given = ~np.isnat(reports.known)
    if cells.unwritten:
        fresh, changes = given, Changes.none(given)
    else:
        first_known = cells.read(held.arrays["known_time"])
        fresh = given & np.isnat(first_known)
        changes = _changes(held, reports, cells, first_known, given & ~fresh)
        if arrived is not None and changes.refused.any():
            reports = replace(reports, known=np.where(changes.refused, arrived, reports.known))
            changes = _changes(held, reports, cells, first_known, given & ~fresh)
    cells.write(held.arrays["known_time"], reports.known, fresh)
    for name, values in reports.data.items():
        cells.write(held.arrays[name], values, fresh | changes.fills[name] if name in changes.fills else fresh)
    for name in POSITIONS if "lat" in panel.coords and held.position_dims() == ("time", "node") else ():
        cells.write(held.arrays[name], panel[name].values[told], fresh)
    _write_revisions(held, reports, changes.revisions)
    late = fresh & (reports.time <= last)[:, None]  # NaT, a first ingest, compares False
    rejected = {NOT_LATER: int(changes.refused.sum())} if changes.refused.any() else {}
    told_again = given & ~fresh & ~changes.changed & ~changes.refused
    return Ingested(int(fresh.sum() - late.sum()), int(late.sum()), int(told_again.sum()),
                    int(changes.changed.sum()), rejected)


@dataclass(frozen=True)
class Changes:
    """What reports about cells that were reported before say anew: masks on (time, node), by variable where any."""

    changed: np.ndarray
    refused: np.ndarray
    revisions: dict[str, np.ndarray]
    fills: dict[str, np.ndarray]

    @classmethod
    def none(cls, like: np.ndarray) -> Changes:
        return cls(np.zeros_like(like), np.zeros_like(like), {}, {})


def _changes(held: GrowingDomain, reports: Reports, cells: Cells, first_known: np.ndarray,
             again: np.ndarray) -> Changes:
    """ChangeType the reports about known cells: later ones revise, equally early ones fill gaps, others are refused."""
    found = Changes.none(again)
    if not again.any():
        return found
    ledger = held.revisions(reports.time[0], reports.time[-1])
    later = reports.known > first_known
    for name, values in reports.data.items():
        first = cells.read(held.arrays[name])
        differs = again & ~np.isnan(values) & _differs(reports, name, first, ledger)
        if not differs.any():
            continue
        found.revisions[name], found.fills[name] = differs & later, differs & ~later & np.isnan(first)
        found.refused[differs & ~later & ~np.isnan(first)] = True
        found.changed[differs] = True
    accepted = ~found.refused  # a report is refused whole
    return Changes(found.changed & accepted, found.refused,
                   {name: mask & accepted for name, mask in found.revisions.items()},
                   {name: mask & accepted for name, mask in found.fills.items()})


def _differs(reports: Reports, name: str, first: np.ndarray, ledger: pd.DataFrame) -> np.ndarray:
    """Where a value says other than what the store holds as known at the report's own known time.

    Compared in the coarser precision of the two: 0.1 once given in single precision has not changed.
    """
    coarse = min(first.dtype, reports.data[name].dtype, key=lambda dtype: dtype.itemsize)
    values, current = reports.data[name].astype(coarse), first.astype(coarse)
    repeated = np.zeros(values.shape, dtype=bool)
    entries = ledger[ledger["variable"] == name]
    rows = pd.Index(reports.time).get_indexer(entries["time"])
    columns = pd.Index(reports.nodes).get_indexer(entries["node"])
    held = (rows >= 0) & (columns >= 0)
    rows, columns, entries = rows[held], columns[held], entries[held]
    entry_values = entries["value"].to_numpy().astype(coarse)
    entry_known = entries["known_time"].to_numpy("datetime64[ns]")
    due = entry_known <= reports.known[rows, columns]  # NaT compares False
    current[rows[due], columns[due]] = entry_values[due]  # in order of known time: the latest known stays
    same = (entry_known == reports.known[rows, columns]) & (entry_values == values[rows, columns])
    repeated[rows[same], columns[same]] = True
    return np.asarray((values != current) & ~repeated)


def _write_revisions(held: GrowingDomain, reports: Reports, revisions: dict[str, np.ndarray]) -> None:
    tables = []
    for name, mask in revisions.items():
        rows, columns = np.nonzero(mask)
        if len(rows):
            tables.append(pd.DataFrame({
                "time": reports.time[rows], "node": reports.nodes[columns], "variable": name,
                "value": reports.data[name][rows, columns].astype(np.float64),
                "known_time": reports.known[rows, columns]}))
    if tables:
        entries = pd.concat(tables).sort_values(["known_time", "time"], kind="stable", ignore_index=True)
        held.add_revisions(entries)
