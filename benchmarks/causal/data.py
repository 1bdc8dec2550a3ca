"""Data with a known truth for the causal bench: series from any file, and edges from its ``truth.json``."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.benchmarks.causal.scores import Pair
from terracast.streams.errors import TerracastError
from terracast.streams.kinds.raster_file import is_raster
from terracast.streams.kinds.raster_stream import raster_panels
from terracast.streams.readers import read
from terracast.streams.readers.wanted import Wanted


class TruthError(TerracastError):
    """A truth file that cannot be read, or that does not fit the data."""


@dataclass(frozen=True, eq=False)
class KnownCase:
    """One panel and what is known of it, as places of series in ``names``.

    ``complete``: ``true`` is the whole graph; otherwise only ``true`` (expected) and ``forbidden`` pairs are scored.
    ``calendar``: False where the time axis is made up.
    """

    name: str
    panel: xr.Dataset
    names: tuple[str, ...]
    true: frozenset[Pair]
    forbidden: frozenset[Pair]
    complete: bool
    calendar: bool = True
    reading: str = ""
    raw: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))


def known_cases(data: Path, truth: Path) -> Iterator[KnownCase]:
    """The cases of ``data`` (a file, or a folder with ``pairs`` in its truth).

    Truths read: ``pairs`` of series and edge files with ``columns``; ``graph_file`` or ``direct_edges`` between nodes;
    ``expected_edges`` and ``forbidden_edges`` between variables. Raises ``TruthError``.
    """
    try:
        told = json.loads(truth.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TruthError("truth cannot be read", where=str(truth), expected="a JSON file",
                         remedy="check the path") from error
    if "pairs" in told:
        pairs = {name: edges for name, edges in sorted(told["pairs"].items()) if "demo" not in name}
        for name in ([data.name] if data.is_file() else pairs):
            yield _series_case(truth.parent / name, truth.parent / pairs[name], told)
    elif "graph_file" in told or "direct_edges" in told:
        yield _node_case(data, truth, told)
    elif "forbidden_edges" in told or "expected_edges" in told:
        yield _variable_case(data, told)
    else:
        raise TruthError("no edges", where=str(truth), expected="pairs, graph_file, direct_edges, expected_edges or "
                         "forbidden_edges", remedy="add one of them")


def _series_case(series: Path, edges: Path, told: dict[str, Any]) -> KnownCase:
    table = pd.read_csv(series)
    columns = [str(one).split()[0] for one in told["columns"]]
    cause, effect = columns.index("cause"), columns.index("effect")
    with edges.open(encoding="utf-8") as file:
        rows = [[int(float(cell)) for cell in row] for row in csv.reader(file) if row]
    true = frozenset((row[cause], row[effect]) for row in rows if row[cause] != row[effect])
    names = tuple(f"s{place}" for place in range(table.shape[1]))
    values = table.to_numpy(dtype=float)
    time = pd.date_range("2000-01-01", periods=len(table), freq="s")  # made up: too short for any calendar
    return KnownCase(series.stem, columnwise(values, names, time, "1s"), names, true, frozenset(), True,
                     calendar=False, reading="columns of the edge file: " + ", ".join(columns), raw=values)


def _node_case(data: Path, truth: Path, told: dict[str, Any]) -> KnownCase:
    panel = _read(data)
    names = tuple(str(one) for one in panel["node"].values)
    edges = told.get("direct_edges")
    if edges is None:
        edges = pd.read_csv(truth.parent / told["graph_file"]).iloc[:, :2].to_numpy().tolist()
    place = {name: number for number, name in enumerate(names)}
    unknown = [one for edge in edges for one in edge if one not in place]
    if unknown:
        raise TruthError(f"node {unknown[0]!r} is not in the data", where=str(truth),
                         expected="one of " + ", ".join(names[:8]), remedy="hand in the file that the truth is about")
    values = panel[next(iter(panel.data_vars))].values.astype(float)
    complete = np.flatnonzero(np.isfinite(values).all(axis=1))
    if len(complete):  # every method gets the span from the first to the last step at which all nodes report
        span = slice(int(complete[0]), int(complete[-1]) + 1)
        panel, values = panel.isel(time=span), values[span]
    return KnownCase(data.stem, columnwise(values, names, panel.indexes["time"], str(panel.attrs["step"])), names,
                     frozenset((place[cause], place[effect]) for cause, effect in edges), frozenset(), True,
                     raw=values)


def _variable_case(data: Path, told: dict[str, Any]) -> KnownCase:
    panel = _read(data)
    names = tuple(str(one) for one in panel.data_vars)
    place = {name: number for number, name in enumerate(names)}
    known = {kind: frozenset((place[one["cause"]], place[one["effect"]]) for one in told.get(kind, [])
                             if one["cause"] in place and one["effect"] in place)
             for kind in ("expected_edges", "forbidden_edges")}
    raw = np.stack([panel[name].mean("node").values.astype(float) for name in names], axis=1)
    return KnownCase(data.stem, panel, names, known["expected_edges"], known["forbidden_edges"], False, raw=raw,
                     reading="only expected and forbidden pairs are scored; peers read means over nodes")


def columnwise(values: np.ndarray, names: tuple[str, ...], time: pd.DatetimeIndex, step: str) -> xr.Dataset:
    """A panel of one node with a variable per column of ``values`` (time, series)."""
    return xr.Dataset({name: (("time", "node"), values[:, [column]], {"units": "1", "long_name": name})
                       for column, name in enumerate(names)}, {"time": time, "node": ["all"]},
                      {"domain": "data", "kind": "sensor", "step": step})


def _read(data: Path) -> xr.Dataset:
    if is_raster(data):
        return xr.concat(raster_panels(data, Wanted(where=data.name, domain="data", kind="raster")), "time")
    return read(data, domain="data")
