"""What a file holds, as a colleague would understand it: sources with their options, what is left out, doubts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.clock import Clock
from terracast.streams.errors import ReadError
from terracast.streams.readers import ARRAYS, READERS, TABLES, read_counted
from terracast.streams.readers.packed import is_packed, unpacked
from terracast.streams.readers.rows_that_are_none import HEADER_AGAIN, REMARK, TOTALS
from terracast.streams.readers.table import RowCounts
from terracast.streams.readers.tables import Reading
from terracast.streams.schema.absent import fill_values
from terracast.streams.schema.domains import split
from terracast.streams.schema.findings import Doubt, Findings, LeftOut
from terracast.streams.schema.rates import by_rate
from terracast.streams.schema.table_schema import find_table
from terracast.streams.sources.kind_start import KindStart, kind_start

SPARSE = 0.5  # share of the steps of the span that hold data, below which a reading is told to be doubtful
NOT_ON_NODES = " (on time)"
AGAIN = "says again what another row says"


@dataclass(frozen=True)
class SourceSchema:
    """One domain of a file: the options that read it, why each, and the panel that comes of it."""

    domain: str
    options: Mapping[str, Any]
    why: Mapping[str, str]
    panel: xr.Dataset
    rows: RowCounts

    @property
    def clock(self) -> Clock:
        """Which stamps there are."""
        return Clock.of(self.panel.attrs)

    @property
    def step(self) -> pd.Timedelta:
        """Time between two stamps."""
        return pd.Timedelta(self.clock.step)


@dataclass(frozen=True)
class FileSchema:
    """A file as it was understood."""

    path: Path
    sources: tuple[SourceSchema, ...]
    left_out: tuple[LeftOut, ...]
    doubts: tuple[Doubt, ...]
    proposed: Mapping[str, tuple[Any, str]]
    notes: tuple[str, ...] = ()

    @property
    def undecided(self) -> tuple[Doubt, ...]:
        """Doubts that a person must decide before anything is read."""
        return tuple(doubt for doubt in self.doubts if doubt.decide)

    def answer(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {"sources": [_source(self.path, source, self.left_out if place == 0 else ())
                            for place, source in enumerate(self.sources)],
                "doubts": [{"what": doubt.what, "option": doubt.option} for doubt in self.doubts]}


def look_into(path: Path, own: str, given: Mapping[str, Any] | None = None, *, target: str | None = None,
              domains: Mapping[str, str] | None = None, latest: np.datetime64 | None = None) -> FileSchema:
    """Understand a file.

    Parameters
    ----------
    path : Path
        The file, or a folder of such files: the first shows how tables are read, and all are counted.
    own : str
        The domain of its target.
    given : mapping, optional
        Options of ``streams.readers.read`` that are known: they are kept, the others found.
    target : str, optional
        The variable that stays in ``own``, whatever it is.
    domains : mapping, optional
        The domain of some variables.
    latest : numpy.datetime64, optional
        The time of the machine: later stamps are mistyped ones.

    Raises
    ------
    ReadError
        The file cannot be understood; the way out is an option.
    """
    path = Path(path)
    if is_packed(path):
        with unpacked(path) as inner:
            return _packed(path, look_into(inner, own, given, target=target, domains=domains, latest=latest))
    if (start := _kind_start(path, own, given or {})) is not None:
        return _of_kind(path, start, own, given or {})
    found = Findings({name: value for name, value in (given or {}).items() if value is not None})
    given_path, path = path, _one_of(path)
    table = path.suffix.lower() not in ARRAYS
    if table:
        find_table(path, found)
    reading = read_counted(path, domain=own, latest=latest, **found.options)
    panel = reading.panel
    if not table:
        _tell_arrays(panel, found)
        if found.options.get("missing"):
            reading = read_counted(path, domain=own, latest=latest, **found.options)
            panel = reading.panel
    panel = _with_network_series(path, panel, own, found, latest)
    _tell_span(panel, found)
    _tell_rows(reading.rows, found)
    names = [str(name) for name in panel.data_vars]
    units = {name: str(panel[name].attrs.get("units", "")) for name in names}
    standard = {name: str(panel[name].attrs.get("standard_name", "")) for name in names}
    target = target if target in names else None  # who forecasts it says that there is none
    sides = split(names, units, standard, own, target, domains)
    sources: list[SourceSchema] = []
    for domain, variables in sides.items():
        for rated, (step, chosen) in by_rate(panel[variables], domain, target, found.given.get("step")).items():
            sources.append(_one_source(path, rated, chosen, step, panel, reading, found, latest, len(sides)))
    if len(sources) > 1:
        _tell_domains(sources, own, found)
    return FileSchema(given_path, tuple(sources), tuple(found.left_out), tuple(found.doubts), found.proposed)


def _packed(path: Path, schema: FileSchema) -> FileSchema:
    """What was understood of the file inside as that of the packed file."""
    if any(source.panel.attrs["kind"] != "sensor" for source in schema.sources):
        raise ReadError(f"a packed file of kind {schema.sources[0].panel.attrs['kind']}", where=str(path),
                        expected="series at fixed places", remedy="unpack it first")
    return replace(schema, path=path)


def _one_of(path: Path) -> Path:
    """The file that shows how others of its folder are read."""
    if not path.is_dir() or path.suffix == ".zarr":
        return path
    held = sorted(one for one in path.iterdir() if one.suffix.lower() in READERS and not one.name.startswith("."))
    if not held:
        raise ReadError("no file that can be read", where=str(path), expected="one of " + ", ".join(READERS),
                        remedy="name a file")
    return held[0]


def _kind_start(path: Path, own: str, given: Mapping[str, Any]) -> KindStart | None:
    """Events, movers or a raster; None: series at fixed places. What may be a table is one where it reads as nothing
    else."""
    try:
        return kind_start(path, own, given)
    except ReadError:
        if given.get("kind") in (None, "sensor") and (path.is_dir() or path.suffix.lower() in TABLES):
            return None
        raise


def _of_kind(path: Path, start: KindStart, own: str, given: Mapping[str, Any]) -> FileSchema:
    """A file that is no table of stations: one source, with the keys of its kind."""
    keys: dict[str, tuple[object, str]] = {"kind": (start.kind, "; ".join(start.notes[:1])), **start.keys}
    keys |= {name: (value, "as given") for name, value in given.items() if value not in (None, {}, [], ())}
    options = {"variables": list(map(str, start.panel.data_vars)), **{name: value for name, (value, _) in keys.items()}}
    options = {**options, **{name: value for name, value in Clock.of(start.panel.attrs).attrs.items()
                             if name not in options}}
    source = SourceSchema(own, options, {name: why for name, (_, why) in keys.items()}, start.panel,
                          RowCounts(read=start.read, rejected=Counter(start.rejected)))
    return FileSchema(path, (source,), (), start.doubts, start.proposed, start.notes)


def _one_source(path: Path, domain: str, variables: list[str], step: str | None, panel: xr.Dataset, reading: Reading,
                found: Findings, latest: np.datetime64 | None, many: int) -> SourceSchema:
    """The options of one domain; what is shared by all is copied."""
    options = dict(found.options)
    options.pop("variables", None)
    if "wide" not in options:
        options["variables"] = variables
    units = {name: unit for name, unit in (options.get("units") or {}).items() if name in variables}
    options["units"] = units
    if "convert" in options:
        options["convert"] = {name: unit for name, unit in options["convert"].items() if name in variables}
    if "names" in options:
        others = set(map(str, panel.data_vars)) - set(variables)
        options["names"] = {column: name for column, name in options["names"].items() if name not in others}
    if step is not None:
        options["step"] = step
    everything = set(variables) == set(map(str, reading.panel.data_vars)) and step is None
    one = reading if everything else read_counted(path, domain=domain, latest=latest,
                                                  **{name: value for name, value in options.items() if value})
    attrs = Clock.of(one.panel.attrs).attrs
    for name in ("step", "anchor", "calendar"):
        if name in attrs:
            options.setdefault(name, attrs[name])
    why = {"step": "the commonest time between two stamps of a place",
           "anchor": "one stamp of the clock, UTC: the others lie whole steps away",
           "calendar": "steps are calendar months" if attrs.get("calendar") == "month" else
                       "days are counted in this time zone",
           "variables": "columns of numbers", "units": "", **found.why}
    return SourceSchema(domain, {name: value for name, value in options.items() if value not in (None, {}, [], ())},
                        why, one.panel.assign_attrs(domain=domain), one.rows)


def _with_network_series(path: Path, panel: xr.Dataset, own: str, found: Findings,
                         latest: np.datetime64 | None) -> xr.Dataset:
    """With series on time alone, which belong to the whole network: they are read at every node."""
    left = str(panel.attrs.get("not_read", ""))
    names = [one.removesuffix(NOT_ON_NODES) for one in left.split(", ") if one.endswith(NOT_ON_NODES)]
    if not names or "variables" in found.given:
        for one in filter(None, left.split("), ")):
            name, _, why = one.partition(" (")
            if name not in names:
                found.leave(name, why.rstrip(")"))
        return panel
    for one in filter(None, left.split("), ")):
        name, _, why = one.partition(" (")
        if name not in names:
            found.leave(name, why.rstrip(")"))
    every = [*map(str, panel.data_vars), *names]
    return read_counted(path, domain=own, latest=latest, **{**found.options, "variables": every}).panel


def _tell_arrays(panel: xr.Dataset, found: Findings) -> None:
    """Undeclared fill values of a NetCDF file."""
    entries = []
    for name in map(str, panel.data_vars):
        for value, count in fill_values(panel[name].values).items():
            entries.append(f"{name}={value:g}")
            found.doubt(f"{value:g} occurs {count} times in {name}, far from everything else: it is read as missing",
                        f"--missing {name}={value:g}")
    if entries:
        found.find("missing", entries, "a fill value that the file does not declare")


def _tell_span(panel: xr.Dataset, found: Findings) -> None:
    """That most of the span holds nothing: the sign of a wrong order of day and month, or of a mistyped stamp."""
    time, clock = panel["time"].values, Clock.of(panel.attrs)
    steps = len(clock.between(time[0], time[-1])) if len(time) else 0
    if steps > 10 and len(time) < SPARSE * steps:
        share = f"{100 * (1 - len(time) / steps):.0f} %"
        found.doubts.append(Doubt(f"{share} of the span from {str(time[0])[:16]} to {str(time[-1])[:16]} has no data",
                                  "--time-format FORMAT, or --step STEP"))


def _tell_rows(rows: RowCounts, found: Findings) -> None:
    for why, count in rows.rejected.items():
        if why in (HEADER_AGAIN, TOTALS, REMARK):
            continue  # nothing to decide
        option = "--missing WORD" if "number" in why else "--header LINE" if "fields" in why else \
            "--time-zone ZONE" if "clock change" in why else "--time NAME" if "stamp" in why or "future" in why else \
            "--node NAME"
        found.doubt(f"{count} of {rows.read} rows are rejected: {why}", option)


def _tell_domains(sources: list[SourceSchema], own: str, found: Findings) -> None:
    for source in sources:
        if source.domain != own:
            names = ", ".join(map(str, source.panel.data_vars))
            found.doubt(f"{names}: put into the domain {source.domain}",
                        f"--domain {next(iter(source.panel.data_vars))}={own}")


def _source(path: Path, source: SourceSchema, left_out: tuple[LeftOut, ...]) -> dict[str, Any]:
    panel, time = source.panel, source.panel["time"].values
    variables = []
    for name in map(str, panel.data_vars):
        values = panel[name].values
        known = values[np.isfinite(values)]
        variables.append({"name": name, "units": str(panel[name].attrs["units"]),
                          "missing_share": float(np.isnan(values).mean()) if values.size else 0.0,
                          "minimum": float(known.min()) if known.size else None,
                          "maximum": float(known.max()) if known.size else None})
    rejected = dict(source.rows.rejected) | ({AGAIN: source.rows.duplicate} if source.rows.duplicate else {})
    attrs = source.clock.attrs
    return {"file": str(path), "domain": source.domain, "kind": str(panel.attrs["kind"]),
            "step": str(attrs["step"]).lower(), "anchor": attrs.get("anchor"),
            "time_zone": source.options.get("time_zone") or "UTC", "steps": len(time),
            "first": str(np.datetime_as_string(time[0], "s")) if len(time) else None,
            "last": str(np.datetime_as_string(time[-1], "s")) if len(time) else None,
            "nodes": panel.sizes["node"], "variables": variables,
            "left_out": [{"column": one.column, "why": one.why} for one in left_out],
            "rows": {"read": source.rows.read, "kept": source.rows.read - sum(rejected.values()),
                     "rejected": rejected}}


