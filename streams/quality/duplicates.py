"""Duplicated sensors: nodes whose series are identical to the bit over a window in which they moved.

Each window of each node is hashed, so that nodes are compared by sorting and not in pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from terracast.streams.panel import check_panel, step_of
from terracast.streams.quality.check_context import CheckContext
from terracast.streams.quality.found import Found
from terracast.streams.quality.settings import QualitySettings
from terracast.streams.quality.windows import trailing_count

PRESENT = 0.8  # share of the window that must hold values
DAYS_APART = 7  # shorter interruptions do not end a group


@dataclass(frozen=True)
class SharedSeries:
    """Nodes that gave bit-identical values of a variable from ``start`` to ``end`` (both days included).

    >>> SharedSeries("TEMP", ("a", "b"), np.datetime64("2013-03-01"), np.datetime64("2015-02-28")).nodes
    ('a', 'b')
    """

    variable: str
    nodes: tuple[str, ...]
    start: np.datetime64
    end: np.datetime64


def duplicated(sight: CheckContext) -> Found:
    """Values in windows identical to another node's. The first values of a window are known as such only
    later.

    A window counts only if it is nearly full and moved ``duplicate_moves`` times: dry days are no copies.
    """
    window = sight.rows(sight.settings.duplicate_window, 24)
    key = window_keys(sight.values, sight.time, window, sight.settings.duplicate_moves)
    mask = (_twins(key[sight.first :]) > 0) & sight.present[sight.first :]
    mask = np.concatenate([np.zeros((sight.first, mask.shape[1]), bool), mask])
    rows = np.arange(len(mask), dtype=np.int32)[:, None]
    return Found(mask, np.broadcast_to(np.maximum(rows - window + 1, 0), mask.shape), sight.present)


def window_keys(values: np.ndarray, time: np.ndarray, window: int, moves: int) -> np.ndarray:
    """A hash of the last ``window`` values of each cell, 0 where they say too little to be compared."""
    present = ~np.isnan(values)
    text = (np.where(present, values, 0.0) + 0.0).astype(np.float64).view(np.uint64)
    salt = _mixed(time.astype("datetime64[ns]").astype(np.int64).view(np.uint64))[:, None]
    hashed = np.where(present, _mixed(text ^ salt), np.uint64(1))
    total = np.cumsum(hashed, axis=0, dtype=np.uint64)
    total[window:] -= total[:-window].copy()
    moved = np.concatenate([np.zeros((1, values.shape[1]), bool), (np.diff(values, axis=0) != 0)
                            & present[1:] & present[:-1]])
    enough = (trailing_count(present, window) >= PRESENT * window) & (trailing_count(moved, window) >= moves)
    enough[: window - 1] = False
    return np.where(enough, total | np.uint64(1), np.uint64(0))


def _mixed(bits: np.ndarray) -> np.ndarray:
    """SplitMix64 (Steele, Lea and Flood 2014): every bit of the answer hangs on every bit of the question."""
    with np.errstate(over="ignore"):
        bits = bits + np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(bits ^ (bits >> np.uint64(31)))


def _twins(key: np.ndarray) -> np.ndarray:
    """The key where another node of the row has it too, else 0."""
    order = np.argsort(key, axis=1, kind="stable")
    ordered = np.take_along_axis(key, order, axis=1)
    same = ordered[:, 1:] == ordered[:, :-1]
    edge = np.zeros((len(key), 1), bool)
    twin = (np.concatenate([same, edge], axis=1) | np.concatenate([edge, same], axis=1)) & (ordered != 0)
    found = np.zeros_like(key)
    np.put_along_axis(found, order, np.where(twin, ordered, np.uint64(0)), axis=1)
    return found


def shared_series(panel: xr.Dataset, *, at_least_days: int = 7,
                  settings: QualitySettings | None = None) -> tuple[SharedSeries, ...]:
    """Which nodes share a series, and from which day to which: one group for each span in which it held.

    Looks at whole windows (a day by default); a group that is interrupted for up to a week goes on, one that
    holds for fewer than ``at_least_days`` judged days is left out, and so is a part of a larger group of the
    same days.

    >>> import pandas as pd
    >>> hours = pd.date_range("2020-01-01", periods=240, freq="h")
    >>> one = np.random.default_rng(0).random((240, 1))
    >>> panel = xr.Dataset({"x": (("time", "node"), np.hstack([one, one]), {"units": "1", "long_name": "x"})},
    ...                    {"time": hours, "node": ["a", "b"]}, {"domain": "d", "kind": "sensor", "step": "1h"})
    >>> [(group.nodes, str(group.start), str(group.end)) for group in shared_series(panel)]
    [(('a', 'b'), '2020-01-01', '2020-01-10')]
    """
    panel, settings = check_panel(panel), settings or QualitySettings()
    window = settings.rows(settings.duplicate_window, step_of(panel), 24)
    time, names = panel["time"].values, panel["node"].values
    found: list[SharedSeries] = []
    for name in map(str, panel.data_vars):
        key = window_keys(panel[name].values, time, window, settings.duplicate_moves)[window - 1 :: window]
        ends, begins = time[window - 1 :: window], time[: len(time) - window + 1 : window]
        found += _spans(name, _twins(key), begins, ends, names, at_least_days)
    return tuple(found)


def _spans(name: str, twins: np.ndarray, begins: np.ndarray, ends: np.ndarray, names: np.ndarray,
           at_least: int) -> Iterator[SharedSeries]:
    held: dict[tuple[int, ...], list[int]] = {}
    for row, keys in enumerate(twins):  # once per window (a day), and only where anything is shared
        for key in np.unique(keys[keys != 0]):
            held.setdefault(tuple(np.flatnonzero(keys == key).tolist()), []).append(row)
    spans = []
    for group, rows in held.items():
        at = np.array(rows)
        breaks = np.flatnonzero(np.diff(begins[at]) > np.timedelta64(DAYS_APART + 1, "D"))
        spans += [(group, part) for part in np.split(at, breaks + 1) if len(part) >= at_least]
    for group, part in sorted(spans, key=lambda span: (span[1][0], span[0])):
        if not _part_of_larger(group, part, spans):
            yield SharedSeries(name, tuple(names[list(group)].tolist()), begins[part[0]].astype("datetime64[D]"),
                               ends[part[-1]].astype("datetime64[D]"))


def _part_of_larger(group: tuple[int, ...], rows: np.ndarray, spans: list[tuple[tuple[int, ...], np.ndarray]]
                    ) -> bool:
    """Whether a larger group held over the same days more often: its members had gaps of their own."""
    return any(set(group) < set(other) and len(held) >= len(rows) and held[0] <= rows[0] and rows[-1] <= held[-1]
               for other, held in spans)
