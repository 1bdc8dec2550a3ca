"""Files of rows with places of their own (events, movers), gathered: a step may lie in several files, so all are
counted together whenever one of them is new or has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.clock import span
from terracast.streams.errors import PanelError, ReadError
from terracast.streams.kinds.cell_size import cell_size, event_step, mover_step
from terracast.streams.kinds.check import check_kind
from terracast.streams.kinds.columns import Columns, find_columns
from terracast.streams.kinds.event import Counting, event_panels, waits
from terracast.streams.kinds.movers import Following, Measure, cell_of_movers, mover_panels
from terracast.streams.kinds.notes import notes_of
from terracast.streams.kinds.placed import NO_PLACE, Placed, placed, together
from terracast.streams.kinds.recognise import recognised_mover
from terracast.streams.kinds.records import is_large, records
from terracast.streams.sources.contract import Cursor, SourceBatch
from terracast.streams.sources.cursor_paths import CursorPaths
from terracast.streams.sources.files import UNFINISHED, SeenFile, signature_of, stat_of, watched_paths

TOLD_AGAIN = "told by another file, too"
JUMPS = "a jump that no mover makes"
ASIDE = (NO_PLACE, JUMPS, TOLD_AGAIN)  # no faults of a file: blank forms, a receiver's noise, exports that overlap
CHOSEN, TOLD = "cell", "nodes"  # of the cursor: the size of cells, as found when none was set, and what was counted on


@dataclass(frozen=True)
class RowTerms:
    """How rows of events or movers are read; what is None is found in the rows.

    Parameters
    ----------
    domain, kind : str
        Kind ``event`` or ``trajectory``.
    cell : float, optional
        Degrees a side.
    step, delay, anchor, zone : str, optional
        The clock, and how long after its stamp a count is known.
    node : str, optional
        Of events the column of regions, in place of cells; of movers the one that names them.
    time, lat, lon, reported, event_type : str, optional
        Columns.
    measure : str
        Of movers: cells, flows or positions.
    """

    domain: str
    kind: str
    cell: float | None = None
    step: str | None = None
    delay: str | None = None
    anchor: str | None = None
    zone: str | None = None
    node: str | None = None
    time: str | None = None
    lat: str | None = None
    lon: str | None = None
    reported: str | None = None
    event_type: str | None = None
    time_format: str | None = None
    measure: Measure = "cells"
    variables: tuple[str, ...] = ()

    @classmethod
    def of(cls, domain: str, kind: str, keys: Mapping[str, Any]) -> RowTerms:
        """From keys of a source as they are written, those that these terms know."""
        found = {name: one_of(keys[key], key) for key, name in KEYS.items() if keys.get(key) not in (None, ())}
        found["cell"] = None if found.get("cell") is None else float(found["cell"])
        return cls(domain, kind, **found, variables=tuple(keys.get("variables") or ()))


KEYS = {name: name for name in ("cell", "step", "delay", "anchor", "node", "time", "lat", "lon", "event_type",
                                "time_format", "measure")} | {"known_time": "reported", "time_zone": "zone"}


def one_of(columns: Any, key: str) -> Any:
    """A single column; several make one stamp or name in tables of stations alone."""
    if isinstance(columns, list | tuple):
        if len(columns) != 1:
            raise ReadError(f"{key} = {list(columns)}", where="[[sources]]", expected="one column, for this kind",
                            remedy=f"join them into one column, or name one: {key} = \"{columns[0]}\"")
        return columns[0]
    return columns


@dataclass(frozen=True)
class Gathered:
    """What all ``rows`` give: panels in the order in which they became known, rows left out by reason, the size of
    cells, and whether a later look will find more in the same rows."""

    panels: Iterator[xr.Dataset]
    rows: Placed
    rejected: dict[str, int]
    cell: float | None
    unfinished: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Earlier:
    """What an earlier look chose and told: the size of cells, and the nodes that counts were given of."""

    cell: float | None = None
    nodes: tuple[str, ...] = ()


Tables = Sequence[tuple[Path, pd.DataFrame]]


class GatheredSource:
    """All rows of a file, a folder or a pattern as panels, by these terms.

    Cursor: path (relative to ``root`` where it lies within) to ``SeenFile``, the size of cells, and the nodes that were
    told. A look without change costs a stat
    per file; one with a change reads every file, since rows of one step may lie in several. What a file says otherwise
    than before is a revision, known from that look on.
    """

    def __init__(self, name: str, domain: str, place: str | Path, terms: RowTerms, *,
                 clock: Callable[[], np.datetime64], layout: Mapping[str, Any] | None = None,
                 root: Path | None = None) -> None:
        self.name, self.domain, self._place, self._clock = name, domain, Path(place), clock
        self._count, self._read = partial(counted, terms), partial(table_of, terms=terms, layout=layout)
        self._paths = CursorPaths(root)

    @property
    def more(self) -> bool:
        """One look sees every file."""
        return False

    def batches(self, cursor: Cursor | None) -> Iterator[SourceBatch]:
        """The panels of all rows, where a file is new, has changed, or held a step that was not over."""
        held = dict(cursor or {})
        cell, nodes = held.pop(CHOSEN, None), held.pop(TOLD, ())
        earlier = Earlier(None if cell is None else float(str(cell)), tuple(map(str, cast("list[str]", nodes))))
        paths = watched_paths(self._place)
        before = {path: SeenFile.of(entry) for path, entry in self._paths.opened(held, paths).items()}
        found = self._looked_at(paths, before)
        old = {path: None if one is None else (one.signature, one.state) for path, one in before.items()}
        if {path: (one.signature, one.state) for path, one in found.items()} == old and not any(
                one.state == UNFINISHED for one in found.values()):
            if found != before:  # touched, copied or moved: what it holds is known, and is not read at each look
                yield SourceBatch(self.domain, None, self._cursor(found, earlier), str(self._place))
            return
        tables: list[tuple[Path, pd.DataFrame]] = []
        for path, one in found.items():
            try:
                tables.append((Path(path), self._read(Path(path))))
            except (ReadError, FileNotFoundError) as wrong:
                was = before.get(path)
                found[path] = SeenFile(one.signature, one.stat, "refused")
                if was is None or (was.signature, was.state) != (one.signature, "refused"):
                    yield SourceBatch(self.domain, None, None, path, refused=str(wrong))
        if tables:
            yield from self._counted(tables, earlier, found)
        elif found:
            yield SourceBatch(self.domain, None, self._cursor(found, earlier), str(self._place))

    def committed(self) -> None:
        """Files stay as they are."""

    def close(self) -> None:
        """Nothing is held open."""

    def _counted(self, tables: Tables, earlier: Earlier, found: dict[str, SeenFile]) -> Iterator[SourceBatch]:
        item = str(tables[-1][0] if len(tables) == 1 else self._place)
        now, nodes = self._clock(), set(earlier.nodes)
        try:
            done = self._count(tables, earlier, now)
            for panel in done.panels:
                nodes |= set(panel["node"].values.tolist())
                yield SourceBatch(self.domain, panel, None, item, arrived=now)
        except (ReadError, PanelError) as wrong:
            yield SourceBatch(self.domain, None, self._cursor(found, earlier), item, refused=str(wrong))
            return
        state = UNFINISHED if done.unfinished else "taken"
        seen = {path: one if one.state == "refused" else SeenFile(one.signature, one.stat, state)
                for path, one in found.items()}
        lost = done.rejected
        aside = tuple(f"{lost[why]} rows are not counted: {why}" for why in ASIDE if why in lost)
        yield SourceBatch(self.domain, None, self._cursor(seen, Earlier(done.cell, tuple(sorted(nodes)))), item,
                          rejected={why: many for why, many in lost.items() if why not in ASIDE},
                          missing=lost.get(NO_PLACE, 0), duplicate=lost.get(TOLD_AGAIN, 0), notes=(*aside, *done.notes))

    def _looked_at(self, paths: Sequence[Path], before: dict[str, SeenFile | None]) -> dict[str, SeenFile]:
        found = {}
        for path in paths:
            was = before.get(str(path))
            try:
                stat = stat_of(path)
                same = was is not None and was.stat == stat
                found[str(path)] = was if same and was else SeenFile(
                    signature_of(path), stat, was.state if was and was.signature == signature_of(path) else "taken")
            except OSError:  # moved away in this moment
                continue
        return found

    def _cursor(self, found: dict[str, SeenFile], earlier: Earlier) -> dict[str, object]:
        entries = self._paths.kept({path: [one.signature, one.stat, one.state] for path, one in found.items()})
        return entries | ({} if earlier.cell is None else {CHOSEN: str(earlier.cell)}) | (
            {TOLD: list(earlier.nodes)} if earlier.nodes else {})


def table_of(path: Path, terms: RowTerms, layout: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """The rows of a file; of a large one only the columns that these terms need."""
    if not is_large(path):
        return records(path, layout)
    head = records(path, layout, head=True)
    columns = find_columns(head, path.name, time=terms.time, lat=terms.lat, lon=terms.lon, reported=terms.reported,
                           regions=terms.kind == "event" and terms.node is not None)
    mover = terms.node
    if mover is None and terms.kind == "trajectory":
        mover = recognised_mover(placed(head, columns, path.name, time_format=terms.time_format), columns)
    needed = {columns.time, columns.lat, columns.lon, columns.place, columns.reported, columns.clock, mover,
              terms.event_type}
    return records(path, layout, columns=frozenset(name for name in needed if name is not None))


def counted(terms: RowTerms, tables: Tables, earlier: Earlier, now: np.datetime64) -> Gathered:
    """What the rows of all files give by these terms, and by what an earlier look chose."""
    rows, columns = rows_of(terms, tables, now)
    cell = earlier.cell
    rejected = dict(rows.rejected)
    if terms.kind == "event":
        step = terms.step or event_step(rows.time)
        size = None if terms.node else terms.cell or cell or cell_size(rows.lat, rows.lon, steps_of(rows.time, step))
        how = Counting(terms.domain, size, step, terms.node, terms.event_type, terms.zone, terms.anchor, terms.delay,
                       earlier.nodes)
        told = tuple(note.words for note in notes_of(civil(rows.time, terms.zone), terms.zone, copies_of(rows)))
        return Gathered(_only(terms, event_panels(rows, how, now)), rows, rejected, size, waits(rows, how, now), told)
    mover = movers_of(rows, terms, tables, columns)
    step = terms.step or mover_step(rows.time, pd.factorize(mover)[0])
    size = terms.cell or cell or cell_of_movers(rows, mover, step)
    following = Following(terms.domain, size, step, terms.measure, terms.delay)
    panels, jumps = mover_panels(rows, mover, following, now)
    late = rows.time.max() > now - (span(terms.delay or step) + span(step)).to_timedelta64()
    return Gathered(_only(terms, panels), rows, rejected | ({JUMPS: jumps} if jumps else {}), size, bool(late))


def _only(terms: RowTerms, panels: Iterator[xr.Dataset]) -> Iterator[xr.Dataset]:
    """The variables that are wanted; by the rules of the panel's kind."""
    for panel in panels:
        missing = [name for name in terms.variables if name not in panel.data_vars]
        if missing:
            raise ReadError(f"no variable {missing[0]!r}", where=terms.domain, remedy="mend variables in [[sources]]",
                            expected="one of " + ", ".join(map(str, panel.data_vars)))
        yield check_kind(panel[list(terms.variables)] if terms.variables else panel)


def rows_of(terms: RowTerms, tables: Tables, now: np.datetime64 | None = None) -> tuple[Placed, Columns]:
    """The rows of all files that have a time and a place, and which columns said so."""
    table, again = together([one for _, one in tables])
    where = tables[0][0].name
    regions = terms.kind == "event" and terms.node is not None
    columns = find_columns(table, where, time=terms.time, lat=terms.lat, lon=terms.lon, reported=terms.reported,
                           regions=regions)
    rows = placed(table, columns, where, zone=terms.zone, time_format=terms.time_format, now=now, anywhere=regions)
    return (replace(rows, rejected={**rows.rejected, TOLD_AGAIN: again}) if again else rows), columns


def movers_of(rows: Placed, terms: RowTerms, tables: Tables, columns: Columns) -> np.ndarray:
    """The name of each row's mover: the column said, else one that moves, else all rows are of one."""
    name = terms.node
    if name is None:
        name = recognised_mover(rows, columns)
    if name is None:
        return np.full(len(rows), tables[0][0].stem)
    if name not in rows.rest:
        raise ReadError(f"no column {name!r}", where=terms.domain, remedy="mend node in [[sources]]",
                        expected="one of " + ", ".join(map(str, rows.rest.columns)))
    codes, found = pd.factorize(rows.rest[name])
    return np.array([*map(str, found), "unknown"], dtype=object)[codes]  # a name is held once, however many its rows


def civil(time: np.ndarray, zone: str | None) -> np.ndarray:
    """Stamps (UTC) as clocks of the zone show them."""
    if zone is None:
        return time
    shown = pd.DatetimeIndex(time).tz_localize("UTC").tz_convert(zone).tz_localize(None)
    return np.asarray(shown.to_numpy("datetime64[ns]"))


def copies_of(rows: Placed) -> int:
    """How many rows are exact copies of an earlier one."""
    own = pd.DataFrame({"__time": rows.time, "__lat": rows.lat, "__lon": rows.lon})
    return int(pd.concat([own, rows.rest], axis=1).duplicated().sum())


def steps_of(time: np.ndarray, step: str) -> int:
    """How many steps the stamps span."""
    return int((time.max() - time.min()) / span(step).to_timedelta64()) + 1
