"""Counts of rare things per cell and step, kept sparse: only the cells and steps in which something happened.

The form ("counts"): an ``xarray.Dataset`` on dim ``entry`` with ``count`` and, as coordinates, ``step_number`` and
``cell`` (and ``mark`` where events are told apart); ``node`` names the cells, ``mark_name`` the marks, ``exposure``
says how much could happen there. Attrs ``start``, ``step``, ``steps`` are the clock. What is not an entry is zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import pdtri

from terracast.streams.errors import PanelError
from terracast.streams.panel import check_panel

MOST_TOLD = 50  # counts up to which each whole number is looked at; larger ones are nearly continuous
OUTER = 0.3  # weight of what the outermost quantiles tell, whose chance is known from one side alone


def is_counted(held: xr.DataArray) -> bool:
    """Whether a variable counts what happened in each step: 0, 1, 2 …, as its attributes say.

    >>> is_counted(xr.DataArray([0.0], attrs={"units": "1", "cell_methods": "time: sum"}))
    True
    """
    return held.attrs.get("cell_methods") == "time: sum" and held.attrs.get("units") == "1"


def as_counts(quantiles: np.ndarray) -> np.ndarray:
    """Quantiles of counts: whole numbers, none below zero; where they did not cross they do not.

    >>> as_counts(np.array([-0.4, 0.3, 1.6])).tolist()
    [0.0, 0.0, 2.0]
    """
    return np.asarray(np.rint(np.maximum(quantiles, 0.0)) + 0.0)


def expected_of(quantiles: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """The mean of counts from their whole-number quantiles (…, quantile): that of a Poisson law with the same chances.

    Each whole number that lies between two quantiles tells about how likely no more than it is, hence a mean; they are
    averaged. Within some hundredths for means from 0.1 on, where quantiles in steps of a tenth are known.

    >>> expected_of(np.array([[0.0, 1.0, 2.0]]), (0.1, 0.5, 0.9)).round(1).tolist()
    [1.1]
    """
    told = np.asarray(levels)
    total, weight = np.zeros(quantiles.shape[:-1]), np.zeros(quantiles.shape[:-1])
    lowest, highest = quantiles[..., 0], quantiles[..., -1]
    for number in range(int(min(highest.max(initial=0.0), MOST_TOLD)) + 1):
        within = (quantiles <= number).sum(axis=-1)
        chance = (np.concatenate([[0.0], told])[within] + np.concatenate([told, [1.0]])[within]) / 2
        inner = (number >= lowest) & (number < highest)
        share = np.where(inner, 1.0, np.where((number == lowest - 1) | (number == highest), OUTER, 0.0))
        total += share * pdtri(number, np.clip(chance, 1e-6, 1 - 1e-6))
        weight += share
    middle = (told[1:] + told[:-1]) / 2
    plain = quantiles @ np.diff(np.concatenate([[0.0], middle, [1.0]]))
    return np.asarray(np.where((weight > 0) & (highest <= MOST_TOLD), total / np.maximum(weight, 1e-9), plain))


def counts_of(time: np.ndarray, cell: np.ndarray, nodes: np.ndarray, *, step: str | pd.Timedelta, domain: str,
              mark: np.ndarray | None = None, mark_names: Sequence[str] | np.ndarray = (), start: str | None = None,
              stop: str | None = None, known: np.ndarray | None = None, patience: str | pd.Timedelta | None = None,
              name: str = "count", long_name: str = "events", unplaced: int = 0) -> xr.Dataset:
    """Sparse counts of events at ``time`` (any datetime64) in ``cell`` (number, −1 = nowhere) of ``nodes``.

    A step holds [its stamp, next stamp). ``start``/``stop`` default to whole steps (since 1970) around the events;
    events outside, nowhere or without a mark are counted in the attr ``unplaced``. ``known``: when each event was
    reported; those later than the end of their step plus ``patience`` are left out (attr ``late``), so that a count
    given out never changes; patience defaults to what the latest report took. Time O(n log n) for n events in a
    few arrays of n numbers, never cells × steps.

    >>> time = np.array(["2020-01-01T00:10", "2020-01-01T00:20", "2020-01-01T02:00"], "M8[ns]")
    >>> counts = counts_of(time, np.array([1, 1, 0]), np.array(["a", "b"]), step="1h", domain="crime")
    >>> counts["count"].values.tolist(), counts.step_number.values.tolist(), counts.attrs["zero_share"]
    ([2, 1], [0, 2], 0.6666666666666667)
    """
    length = pd.Timedelta(step).value
    stamps = time.astype("datetime64[ns]").astype(np.int64)
    if not len(stamps) and (start is None or stop is None):
        raise PanelError("no events and no clock", where=domain, expected="events, or start and stop",
                         remedy="give start= and stop=")
    first = stamps.min() // length * length if start is None else pd.Timestamp(start).value
    end = stamps.max() + 1 if stop is None else pd.Timestamp(stop).value
    steps = int(-(-(end - first) // length))
    number = (stamps - first) // length
    wait, in_time = _label_timeout(stamps, number, first, length, known, patience)
    kept = (cell >= 0) & (number >= 0) & (number < steps)
    if mark is not None:
        kept &= mark >= 0
    late = 0 if in_time is None else int((kept & ~in_time).sum())
    inside = kept if in_time is None else kept & in_time
    if not inside.all():
        number, cell = number[inside], cell[inside]
        mark = None if mark is None else mark[inside]
    marks = max(len(mark_names), 1)
    size = steps * len(nodes) * marks
    key = number * len(nodes) + cell if mark is None else (number * len(nodes) + cell) * marks + mark
    place, count = _run_lengths(key, size)
    at, which = np.divmod(place, marks)
    row, column = np.divmod(at, len(nodes))
    held = xr.Dataset({"count": ("entry", count.astype(np.int32), {"units": "1", "long_name": long_name})},
                      {"step_number": ("entry", row.astype(np.int32)), "cell": ("entry", column.astype(np.int32)),
                       "node": np.asarray(nodes).astype(str)},
                      {"domain": domain, "kind": "event", "step": str(step), "steps": steps, "name": name,
                       "start": str(first.astype("datetime64[ns]") if isinstance(first, np.integer)
                                    else np.datetime64(first, "ns")),
                       "patience": str(pd.Timedelta(wait)), "late": late,
                       "unplaced": unplaced + len(kept) - int(kept.sum())})
    if mark is not None:
        held = held.assign_coords(mark=("entry", which.astype(np.int16)), mark_name=np.array(mark_names, dtype=str))
    return held.assign_attrs(_zeros(held))


def _label_timeout(stamps: np.ndarray, number: np.ndarray, first: int, length: int, known: np.ndarray | None,
                   patience: str | pd.Timedelta | None) -> tuple[int, np.ndarray | None]:
    """Nanoseconds waited after a step, and which events had been reported by then (None: all)."""
    if known is None:
        return (0 if patience is None else pd.Timedelta(patience).value), None
    after = known.astype("datetime64[ns]").astype(np.int64) - (first + (number + 1) * length)
    reported = ~np.isnat(known)
    wait = max(int(after[reported].max(initial=0)), 0) if patience is None else pd.Timedelta(patience).value
    return wait, reported & (after <= wait)


def _run_lengths(key: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct keys (ascending) and how often each occurs."""
    ordered = np.sort(key.astype(np.uint32) if size < 2**32 else key)
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)])
    return ordered[begins].astype(np.int64), np.diff(np.append(begins, len(ordered)))


def _zeros(counts: xr.Dataset) -> dict[str, float]:
    """Share of zeros, and how far it is above that of Poisson counts with each cell's own mean."""
    marks = counts.sizes.get("mark_name", 1)
    steps, cells = int(counts.attrs["steps"]), counts.sizes["node"]
    series = counts["cell"].values.astype(np.int64) * marks + (counts["mark"].values if "mark" in counts.coords else 0)
    total = np.bincount(series, weights=counts["count"].values, minlength=cells * marks)
    share = 1 - counts.sizes["entry"] / max(steps * cells * marks, 1)
    expected = float(np.exp(-total / max(steps, 1)).mean()) if len(total) else 1.0
    return {"zero_share": share, "zero_share_poisson": expected, "zero_inflation": share - expected}


def times_of(counts: xr.Dataset) -> np.ndarray:
    """The stamps of all steps."""
    start = np.datetime64(counts.attrs["start"], "ns")
    return start + np.arange(int(counts.attrs["steps"])) * pd.Timedelta(counts.attrs["step"]).to_timedelta64()


def to_panel(counts: xr.Dataset, *, cells: Sequence[str] | None = None, time: slice | None = None) -> xr.Dataset:
    """The counts of these ``cells`` (names, default all) and this ``time`` slice (default all) as a panel.

    Dense only in what is asked: memory is asked steps × asked cells × marks. A variable per mark, zeros where
    nothing happened; ``known_time`` is the end of the step plus the patience of the counts.
    """
    clock = times_of(counts)
    place = pd.Series(np.arange(len(clock)), index=pd.DatetimeIndex(clock))
    rows = place.to_numpy() if time is None else place.loc[time].to_numpy()
    if not len(rows):
        raise PanelError("no step in the time asked for", where=str(counts.attrs["domain"]),
                         expected=f"a time between {clock[0]} and {clock[-1]}", remedy="ask for another time")
    nodes = counts["node"].values
    columns = np.arange(len(nodes)) if cells is None else pd.Index(nodes).get_indexer(pd.Index([*cells]))
    if (columns < 0).any():
        raise PanelError(f"no cell {list(cells or [])[int(np.argmin(columns))]!r}", where=str(counts.attrs["domain"]),
                         expected=f"some of {len(nodes)} cells", remedy="see counts.node")
    first = int(rows[0])
    number = counts["step_number"].values
    low, high = np.searchsorted(number, [first, int(rows[-1]) + 1])  # entries are sorted by step
    column = np.full(len(nodes), -1)
    column[columns] = np.arange(len(columns))
    cell, many = column[counts["cell"].values[low:high]], counts["count"].values[low:high]
    names = [str(one) for one in counts["mark_name"].values] if "mark" in counts.coords else [counts.attrs["name"]]
    mark = counts["mark"].values[low:high] if "mark" in counts.coords else np.zeros(high - low, int)
    kind = np.float32 if counts["count"].values.max(initial=0) < 2**24 else np.float64
    data, about = {}, str(counts["count"].attrs["long_name"])
    for which, name in enumerate(names):
        dense = np.zeros((len(rows), len(columns)), kind)
        wanted = (cell >= 0) & (mark == which)
        dense[number[low:high][wanted] - first, cell[wanted]] = many[wanted]
        data[name] = (("time", "node"), dense, {"units": "1", "cell_methods": "time: sum",
                                                "long_name": about if name == about else f"{about}: {name}"})
    length = pd.Timedelta(counts.attrs["step"]) + pd.Timedelta(counts.attrs["patience"])
    on_node = {name: ("node", counts[name].values[columns], counts[name].attrs)
               for name in ("lat", "lon", "exposure", "origin", "destination") if name in counts.coords}
    panel = xr.Dataset(data, {"time": clock[rows], "node": nodes[columns], **on_node},
                       {key: value for key, value in counts.attrs.items() if key not in ("steps", "start")})
    return check(panel.assign_coords(known_time=("time", clock[rows] + length.to_timedelta64())))


def check(panel: xr.Dataset) -> xr.Dataset:
    """A panel of counts in canonical form: every value a whole number, zero or more, or NaN."""
    where = str(panel.attrs.get("domain", "panel"))
    if panel.attrs.get("kind") != "event":
        raise PanelError(f"kind is {panel.attrs.get('kind')!r}", where=where, expected="'event'",
                         remedy="use the check of that kind")
    panel = check_panel(panel)
    for name in panel.data_vars:
        values = panel[name].values
        wrong = ~np.isnan(values) & ((values < 0) | (values != np.floor(values)))
        if wrong.any():
            raise PanelError(f"{name!r} holds {values[wrong][0]:g}", where=where, remedy="count events, or use kind "
                             "'sensor' for rates", expected="counts: 0, 1, 2, …")
    return panel
