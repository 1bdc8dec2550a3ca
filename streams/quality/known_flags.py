"""Flags as they became known: an append-only list, from which the flags as known at any instant are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.clock import span_text
from terracast.streams.instant import instant, nanoseconds
from terracast.streams.quality.labels import Label
from terracast.streams.stateful import Stateful

KNOWN, STAMP, VARIABLE, NODE, MASK = range(5)
NO_ENTRIES = np.zeros((0, 5), np.int64)
SET_ASIDE = Label.STUCK | Label.SPIKE | Label.RANGE | Label.UNIT
"""Numbers that measure nothing: they count as missing. A shifted clock, a sensor at its limit and a copy still measure
something: they are told, and kept."""


@dataclass(frozen=True)
class KnownFlags(Stateful):
    """Flags of one domain, cell by cell, each with the instant from which it is known.

    Parameters
    ----------
    variables, nodes : tuple of str
        The names that ``entries`` count; more may join at the end.
    entries : ndarray of int64, (entry, 5)
        Known time (ns), stamp (ns), variable, node and the cell's whole mask from then on, by rising known time.
    step : timedelta64
        The domain's.

    Examples
    --------
    >>> day = np.datetime64("2020-01-01", "ns")
    >>> time = day + np.arange(2) * np.timedelta64(1, "h")
    >>> masks = {"t": np.array([[0], [16]], np.uint16)}
    >>> flags = KnownFlags().joined(("t",), ("a",)).changed(masks, time, ("a",), time[1])
    >>> panel = xr.Dataset({"t": (("time", "node"), [[1.0], [-300.0]])}, {"time": time, "node": ["a"]})
    >>> [flags.set_aside(panel, now).t.values.ravel().tolist() for now in (time[0], time[1])]
    [[1.0, -300.0], [1.0, nan]]
    """

    variables: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    entries: np.ndarray = field(default_factory=NO_ENTRIES.copy)
    step: np.timedelta64 = field(default_factory=lambda: np.timedelta64(1, "h"))

    def joined(self, variables: tuple[str, ...], nodes: tuple[str, ...]) -> KnownFlags:
        """The same with names that were not there yet."""
        new, more = (tuple(name for name in names if name not in set(held))
                     for names, held in ((variables, self.variables), (nodes, self.nodes)))
        return self if not new and not more else replace(self, variables=self.variables + new, nodes=self.nodes + more)

    def masks(self, time: np.ndarray, nodes: tuple[str, ...], now: np.datetime64) -> dict[str, np.ndarray]:
        """Masks (time, node) as known at ``now``, of the variables of which any cell is flagged. O(entries since the
        first of the times): nothing is known before its own time."""
        at, ticks = instant(now).astype(np.int64), time.astype("datetime64[ns]").astype(np.int64)
        if not len(ticks):
            return {}
        known = self.entries[:, KNOWN]
        held = self.entries[np.searchsorted(known, ticks[0]):np.searchsorted(known, at, side="right")]
        if not len(held):
            return {}
        held = held[(held[:, STAMP] >= ticks[0]) & (held[:, STAMP] <= ticks[-1])]
        places = {node: place for place, node in enumerate(nodes)}
        columns = np.array([places.get(node, -1) for node in self.nodes], int)[held[:, NODE]]
        rows = np.searchsorted(ticks, held[:, STAMP])
        here = (columns >= 0) & (ticks[rows] == held[:, STAMP])
        held, rows, columns = held[here], rows[here], columns[here]
        found = {}
        for variable in np.unique(held[:, VARIABLE]).tolist():
            mine, mask = held[:, VARIABLE] == variable, np.zeros((len(ticks), len(nodes)), np.uint16)
            mask[rows[mine], columns[mine]] = held[mine, MASK]  # in order of known time: numpy lets the last one win
            if mask.any():
                found[self.variables[variable]] = mask
        return found

    def between(self, since: np.datetime64, now: np.datetime64, variables: tuple[str, ...]) -> xr.Dataset:
        """The masks of ``variables`` as known at ``now``, from the first flag after ``since`` to the last, for all
        nodes; empty where nothing is flagged."""
        stamps = self.entries[(self.entries[:, STAMP] > instant(since).astype(np.int64))
                              & (self.entries[:, KNOWN] <= instant(now).astype(np.int64)), STAMP]
        step = nanoseconds(self.step)
        time = np.arange(stamps.min(), stamps.max() + step, step) if len(stamps) else stamps
        masks = self.masks(time.astype("datetime64[ns]"), self.nodes, now)
        return xr.Dataset({name: (("time", "node"), masks[name]) for name in variables if name in masks},
                          {"time": time.astype("datetime64[ns]"), "node": list(self.nodes)},
                          {"step": span_text(pd.Timedelta(self.step))})

    def set_aside(self, panel: xr.Dataset, now: np.datetime64, labels: int = int(SET_ASIDE)) -> xr.Dataset:
        """The panel with values that bear one of ``labels``, as known at ``now``, as missing."""
        masks = self.masks(panel["time"].values, _names(panel["node"].values), now)
        changed = {}
        for name, mask in masks.items():
            aside = (mask & labels) > 0
            if name in panel and aside.any():
                one = panel[name].transpose("time", "node")
                changed[name] = (("time", "node"), np.where(aside, np.nan, one.values), one.attrs)
        return panel.assign(changed) if changed else panel

    def flagged(self, variable: str, time: np.ndarray, nodes: tuple[str, ...], now: np.datetime64) -> np.ndarray:
        """Which values (time, node) of a variable are set aside, as known at ``now``."""
        mask = self.masks(time, nodes, now).get(variable, np.zeros((len(time), len(nodes)), np.uint16))
        return np.asarray((mask & int(SET_ASIDE)) > 0)

    def changed(self, masks: Mapping[str, np.ndarray], time: np.ndarray, nodes: tuple[str, ...],
                known: np.datetime64) -> KnownFlags:
        """The same where ``masks`` (time, node) of some variables are what is known from ``known`` on; nothing where
        they say what was known. All names must have joined."""
        before, new = self.masks(time, nodes, known), []
        places = np.array([self.nodes.index(node) for node in nodes], int)
        at, ticks = instant(known).astype(np.int64), time.astype("datetime64[ns]").astype(np.int64)
        for name, mask in masks.items():
            rows, columns = np.nonzero(mask != before.get(name, 0))
            one = np.empty((len(rows), 5), np.int64)
            one[:, KNOWN], one[:, STAMP], one[:, VARIABLE] = at, ticks[rows], self.variables.index(name)
            one[:, NODE], one[:, MASK] = places[columns], mask[rows, columns]
            new.append(one)
        return self.followed_by(np.concatenate(new)) if new else self

    def followed_by(self, entries: np.ndarray) -> KnownFlags:
        """The same with later entries at its end."""
        return self if not len(entries) else replace(self, entries=np.concatenate([self.entries, entries]))


def _names(values: np.ndarray) -> tuple[str, ...]:
    return tuple(map(str, values.tolist()))
