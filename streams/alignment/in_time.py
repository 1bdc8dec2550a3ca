"""A panel on another axis. A row about [stamp, stamp + step) is known when that is over, and never before.

Onto a coarser clock a step is closed as a whole: its known time is the latest of its parts and at least its own
end. Onto a finer clock a row holds the latest value that was *known at the row's stamp*: a day's mean appears at
midnight, not before. What came after a moment can therefore change nothing that was visible at it: neither a value,
nor whether there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.clock import span
from terracast.streams.errors import PanelError
from terracast.streams.panel import step_of

TimeMethod = Literal["sum", "mean", "instant", "latest"]
NEVER = np.iinfo(np.int64).max  # in ns: later than any clock; NaT as a known time means this


@dataclass(frozen=True)
class TimeAxis:
    """Stamps (``datetime64[ns]``, rising), each of which stands for the ``step`` that begins there.

    >>> TimeAxis.regular("2020-01-01", "1h", 3).time.astype("M8[h]").tolist()[-1].hour
    2
    """

    time: np.ndarray
    step: str

    @classmethod
    def regular(cls, start: str, step: str, count: int) -> TimeAxis:
        """``start``, ``start + step`` …, ``count`` stamps."""
        length = np.timedelta64(span(step).value, "ns")
        return cls(np.datetime64(start, "ns") + np.arange(count) * length, step)

    @classmethod
    def of(cls, panel: xr.Dataset) -> TimeAxis:
        """A panel's own stamps."""
        return cls(panel["time"].values.astype("datetime64[ns]"), str(panel.attrs["step"]))

    @property
    def length(self) -> int:
        """The step in nanoseconds."""
        return int(span(self.step).value)


@dataclass(frozen=True)
class OnAxis:
    """Values per variable and one settling time per row and node (ns; ``NEVER``: not at all)."""

    values: dict[str, np.ndarray]
    known: np.ndarray


def onto_axis(panel: xr.Dataset, axis: TimeAxis, method: TimeMethod, variables: list[str], *,
              patience: pd.Timedelta | None = None, min_share: float | None = None,
              max_age: pd.Timedelta | None = None) -> OnAxis:
    """Bring variables of a panel onto a clock; O(values).

    ``sum``, ``mean``: over the parts in each step, when at least ``min_share`` of them are there (default: all for a
    sum, three quarters for a mean). ``instant``: the value at the stamp itself. ``latest``, and any method when the
    clock is finer than the panel: the latest value known at the stamp, its period ended at most ``max_age`` ago
    (default two of the panel's steps). ``patience``: how long after a step's end a part may still come; a step is
    then closed with what is there. Without it a step waits for all its parts, for ever if one never comes.
    """
    step = int(step_of(panel).astype(np.int64))
    finer = axis.length < step
    if not finer and method in ("sum", "mean"):
        if axis.length % step:
            raise PanelError(f"steps of {axis.step} from steps of {panel.attrs['step']}",
                             where=str(panel.attrs["domain"]), expected="a whole number of them in one",
                             remedy="choose another clock")
        return _aggregated(panel, axis, method == "sum", variables, patience, min_share)
    if method == "instant" and not finer:
        return _sampled(panel, axis, variables, patience)
    lasting = 0 if method == "instant" else step
    return _latest(panel, axis, variables, lasting, 2 * step if max_age is None else max_age.value)


def known_at_least(panel: xr.Dataset, lasting: int) -> np.ndarray:
    """When each row and node was settled, ns: its known time, at least ``lasting`` after its stamp."""
    time = panel["time"].values.astype("datetime64[ns]").astype(np.int64)
    shape = (panel.sizes["time"], panel.sizes["node"])
    if "known_time" not in panel.coords:
        return np.broadcast_to(time[:, None] + lasting, shape)
    held = panel["known_time"].transpose("time", ...).values.astype("datetime64[ns]")
    held = np.broadcast_to(held if held.ndim == 2 else held[:, None], shape)
    return np.where(np.isnat(held), NEVER, np.maximum(held.astype(np.int64), time[:, None] + lasting))


def _aggregated(panel: xr.Dataset, axis: TimeAxis, adds: bool, variables: list[str], patience: pd.Timedelta | None,
                min_share: float | None) -> OnAxis:
    step = int(step_of(panel).astype(np.int64))
    parts, share = axis.length // step, (1.0 if adds else 0.75) if min_share is None else min_share
    begin = axis.time.astype(np.int64)
    time = panel["time"].values.astype("datetime64[ns]").astype(np.int64)
    slot = np.searchsorted(begin, time, side="right") - 1
    inside = (slot >= 0) & (time < begin[slot] + axis.length)
    part, slot = panel.isel(time=np.flatnonzero(inside)), slot[inside]
    known = known_at_least(part, step)
    end = begin + axis.length
    if patience is None and "known_time" not in panel.coords:
        # nobody says when a row was known: it was there when its own period was over, gaps included
        patience = pd.Timedelta(int((time[inside] + step - end[slot]).max(initial=0)))
    deadline = end + (NEVER - end if patience is None else patience.value)
    used = (known <= deadline[slot][:, None]) & (known < NEVER)
    begins = np.flatnonzero(np.diff(slot, prepend=-1))
    filled = slot[begins]
    came, latest = np.zeros((len(axis.time), part.sizes["node"]), int), np.repeat(end[:, None], part.sizes["node"], 1)
    if len(begins):
        came[filled] = np.add.reduceat(used.astype(int), begins, axis=0)
        latest[filled] = np.maximum(latest[filled], np.maximum.reduceat(np.where(used, known, 0), begins, axis=0))
    settled = np.where(came >= parts, latest, deadline[:, None])
    values = {}
    for name in variables:
        held = part[name].transpose("time", "node").values.astype(float)
        there = used & np.isfinite(held)
        total, many = np.zeros(came.shape), np.zeros(came.shape)
        if len(begins):
            total[filled] = np.add.reduceat(np.where(there, held, 0.0), begins, axis=0)
            many[filled] = np.add.reduceat(there.astype(float), begins, axis=0)
        enough = (many >= share * parts) & (many > 0) & (settled < NEVER)
        values[name] = np.where(enough, total if adds else total / np.maximum(many, 1), np.nan)
    return OnAxis(values, settled)


def _sampled(panel: xr.Dataset, axis: TimeAxis, variables: list[str], patience: pd.Timedelta | None) -> OnAxis:
    """The value at each stamp; a stamp that the panel does not have is missing, and never settled."""
    row = pd.Index(panel["time"].values.astype("datetime64[ns]")).get_indexer(pd.Index(axis.time))
    there, shape = row >= 0, (len(axis.time), panel.sizes["node"])
    stamps = axis.time.astype(np.int64)
    deadline = stamps + (0 if patience is None else patience.value)
    if "known_time" not in panel.coords:  # nobody says when a row was known: it was at its stamp
        known = np.broadcast_to(np.where(there, stamps, deadline)[:, None], shape)
        used = np.broadcast_to(there[:, None], shape)
    else:
        known = np.full(shape, NEVER)
        known[there] = known_at_least(panel, 0)[row[there]]
        used = known < NEVER if patience is None else known <= deadline[:, None]
        known = known if patience is None else np.minimum(known, deadline[:, None])
    values = {}
    for name in variables:
        held = panel[name].transpose("time", "node").values
        if used.all():
            values[name] = held[row]
            continue
        values[name] = np.full(shape, np.nan)
        values[name][there] = held[row[there]]
        values[name][~used] = np.nan
    return OnAxis(values, known)


def _latest(panel: xr.Dataset, axis: TimeAxis, variables: list[str], lasting: int, max_age: int) -> OnAxis:
    """What was known at each stamp: the latest value whose period was over."""
    known = known_at_least(panel, lasting)
    stamps = axis.time.astype(np.int64)
    over = panel["time"].values.astype("datetime64[ns]").astype(np.int64) + lasting
    heard = np.searchsorted(stamps, known)  # the first stamp at which it is known
    values = {}
    for name in variables:
        held = panel[name].transpose("time", "node").values.astype(float)
        row, node = np.nonzero((heard < len(axis.time)) & np.isfinite(held))
        latest = np.full((len(axis.time), held.shape[1]), -1)
        np.maximum.at(latest, (heard[row, node], node), row)
        latest = np.maximum.accumulate(latest, axis=0)
        fresh = (latest >= 0) & (stamps[:, None] - over[np.maximum(latest, 0)] <= max_age) if len(over) else latest > 0
        found = np.take_along_axis(held, np.maximum(latest, 0), axis=0) if len(over) else np.zeros(latest.shape)
        values[name] = np.where(fresh, found, np.nan)
    return OnAxis(values, np.repeat(stamps[:, None], panel.sizes["node"], axis=1))
