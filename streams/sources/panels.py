"""Reports into panels: as few as possible, each (time, node) at most once in each, in the order of being known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from terracast.streams.readers.numbers import numbers_or_texts
from terracast.streams.sources.rows import RowReport, Terms

STRETCH = 168  # steps: a longer gap between stamps starts another panel, so that one late row does not open years
MOST_CELLS = 4_000_000
REPLACED = "an earlier reading of the same step"


class Arranged(NamedTuple):
    """Panels in the order in which they are to be ingested, and what was left out or said twice."""

    panels: list[xr.Dataset]
    rejected: dict[str, int]
    repeated: int


def arranged(reports: Iterable[RowReport], terms: Terms) -> Arranged:
    """Reports as panels. A (time, node) reported again later is in a later panel, so that the store sees a revision.

    Reports of one (time, node) known at the same instant are merged where they do not contradict each other. With
    stamps "nearest" or "floor" only the last reading of a step is kept, the others are counted. O(reports log reports).

    >>> import pandas as pd
    >>> hour = 3_600_000_000_000
    >>> said = [RowReport(0, "a", hour, {"no2": 1.0}), RowReport(0, "a", 2 * hour, {"no2": 3.0})]
    >>> [panel.no2.values.tolist() for panel in arranged(said, Terms("air", pd.Timedelta("1h"))).panels]
    [[[1.0]], [[3.0]]]
    """
    rounds: dict[tuple[int, str], list[RowReport]] = {}
    replaced = repeated = 0
    for report in sorted(reports, key=lambda report: report.known):
        told = rounds.setdefault((report.time, report.node), [])
        if told and told[-1].known == report.known and _agree(told[-1], report):
            repeated += set(report.values) <= set(told[-1].values)
            told[-1] = _merged(told[-1], report)
        elif told and terms.stamps != "exact":
            replaced += 1
            told[-1] = report._replace(values={**told[-1].values, **_observed(report)})
        else:
            told.append(report)
    panels = []
    for number in range(max(map(len, rounds.values()), default=0)):
        said = [told[number] for told in rounds.values() if len(told) > number]
        panels += [_panel(piece, terms) for piece in _pieces(said, terms.step_ns)]
    return Arranged(panels, {REPLACED: replaced} if replaced else {}, repeated)


def _observed(report: RowReport) -> dict[str, float]:
    return {name: value for name, value in report.values.items() if not math.isnan(value)}


def _agree(one: RowReport, other: RowReport) -> bool:
    return all(name not in one.values or one.values[name] == value or math.isnan(one.values[name])
               or math.isnan(value) for name, value in other.values.items())


def _merged(one: RowReport, other: RowReport) -> RowReport:
    lat, lon = (one.lat, one.lon) if not math.isnan(one.lat) else (other.lat, other.lon)
    return one._replace(values={**other.values, **one.values, **_observed(other)}, lat=lat, lon=lon)


def _pieces(reports: Sequence[RowReport], step: int) -> Iterator[list[RowReport]]:
    """Reports in stretches without a long gap, halved while the dense panel would be too large."""
    ordered = sorted(reports, key=lambda report: report.time)
    first = 0
    for at in range(1, len(ordered) + 1):
        if at == len(ordered) or ordered[at].time - ordered[at - 1].time > STRETCH * step:
            yield from _halves(ordered[first:at])
            first = at


def _halves(reports: list[RowReport]) -> Iterator[list[RowReport]]:
    stamps, nodes = len({report.time for report in reports}), len({report.node for report in reports})
    if stamps * nodes <= max(MOST_CELLS, 4 * len(reports)) or stamps == 1:
        yield reports
        return
    middle = reports[len(reports) // 2].time
    at = next(at for at, report in enumerate(reports) if report.time == middle)
    at = at or next(at for at, report in enumerate(reports) if report.time > middle)
    yield from _halves(reports[:at])
    yield from _halves(reports[at:])


def _panel(reports: Sequence[RowReport], terms: Terms) -> xr.Dataset:
    stamps = sorted({report.time for report in reports})
    rows = {time: row for row, time in enumerate(stamps)}
    columns = {node: column for column, node in enumerate(dict.fromkeys(report.node for report in reports))}
    names = dict.fromkeys(name for report in reports for name in report.values)
    shape = (len(rows), len(columns))
    data = {name: np.full(shape, np.nan) for name in names}
    known = np.full(shape, np.datetime64("NaT", "ns"))
    places = np.full((2, *shape), np.nan)
    for report in reports:
        cell = rows[report.time], columns[report.node]
        known[cell] = np.datetime64(report.known, "ns")
        places[(slice(None), *cell)] = report.lat, report.lon
        for name, value in report.values.items():
            data[name][cell] = value
    said = {name: unit for report in reversed(reports) for name, unit in report.units.items()}
    units = {**said, **terms.units, **terms.wanted.convert}
    panel = xr.Dataset(
        {name: (("time", "node"), values, {"units": units.get(name, "unknown"), "long_name": name})
         for name, values in data.items()},
        {"time": np.array(stamps, dtype="datetime64[ns]"), "node": np.array(list(columns), dtype=str),
         "known_time": (("time", "node"), known)},
        {"domain": terms.domain, "kind": terms.kind, **terms.clock.attrs})
    panel = panel.assign_coords({name: ("node", held) for name, held in _facts(reports, columns, terms).items()
                                 if name not in data})
    if np.isnan(places).all():
        return panel
    if terms.kind in ("point", "trajectory"):
        return panel.assign_coords(lat=(("time", "node"), places[0]), lon=(("time", "node"), places[1]))
    told = ~np.isnan(places[0])
    first = np.argmax(told, axis=0), np.arange(shape[1])
    return panel.assign_coords(lat=("node", places[0][first]), lon=("node", places[1][first]))


def _facts(reports: Sequence[RowReport], columns: dict[str, int], terms: Terms) -> dict[str, np.ndarray]:
    """What reports say of their nodes, the last of each: numbers where all are, else texts."""
    found: dict[str, np.ndarray] = {}
    for report in reports:
        for name, text in report.facts.items():
            held = found.setdefault(name, np.full(len(columns), "", dtype=object))
            held[columns[report.node]] = text or held[columns[report.node]]
    return {name: numbers_or_texts(held, terms.wanted.decimal) for name, held in found.items()}
