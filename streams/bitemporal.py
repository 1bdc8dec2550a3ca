"""Bitemporal histories: every value has two times, what it is about (valid time), and when it was known here.

``History.as_known_at(domain, now)`` is the only door through which anything above ``streams`` reads data, so
nothing can use what was not known at its time. ``InMemoryHistory`` holds one in memory; the store offers the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.clock import Clock
from terracast.streams.errors import PanelError
from terracast.streams.instant import instant
from terracast.streams.panel import axes_of, check_panel

REVISION_COLUMNS = ("time", "node", "variable", "value", "known_time")


class History(Protocol):
    """What can be asked for a domain's panel as it was known at an instant."""

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains held."""
        ...

    def as_known_at(self, domain: str, now: np.datetime64, since: np.datetime64 | None = None) -> xr.Dataset:
        """The panel with every value known after ``now`` removed; rows from ``since`` (default: all) on a
        regular clock up to the last row of which anything is known."""
        ...


def known_after(panel: xr.Dataset, delay: pd.Timedelta) -> xr.Dataset:
    """Give a panel the known-time rule "value time + delay" as its ``known_time`` coordinate; on a calendar clock the
    delay is counted in its months or days, so that what takes a month is there when the next one begins.

    >>> city = xr.Dataset(coords={"time": pd.date_range("2020-01-01", periods=1, freq="h"), "node": ["a"]})
    >>> str(known_after(city, pd.Timedelta("1h")).known_time.values[0])[:16]
    '2020-01-01T01:00'
    """
    known = panel["time"].values.astype("datetime64[ns]") + delay.to_timedelta64()
    if panel.attrs.get("calendar") and (clock := Clock.of(panel.attrs)).calendar:
        known = clock.shown(clock.even(panel["time"].values) + delay.to_timedelta64())
    return panel.assign_coords(known_time=("time", known))


def no_revisions() -> pd.DataFrame:
    """An empty ledger of revisions: values that replaced an earlier one, each with its own known time."""
    return pd.DataFrame({"time": pd.Series(dtype="datetime64[ns]"), "node": pd.Series(dtype=str),
                         "variable": pd.Series(dtype=str), "value": pd.Series(dtype=float),
                         "known_time": pd.Series(dtype="datetime64[ns]")})


@dataclass(frozen=True)
class RecordedDomain:
    """One domain in memory: first reports with their known times, and the ledger of later revisions."""

    panel: xr.Dataset
    revisions: pd.DataFrame = field(default_factory=no_revisions)


class InMemoryHistory:
    """A bitemporal history held in memory: what was measured when, and from when on it was known.

    ``as_known_at`` costs O(rows since ``since`` × variables).

    Parameters
    ----------
    panels : mapping of str to Dataset, dims (time, node)
        By domain, each with the coordinate ``known_time`` (see ``known_after``); a row (time, node) is one report with
        one known time, NaT where none came.
    revisions : mapping of str to DataFrame, optional
        By domain: columns time, node, variable, value, known_time.

    Raises
    ------
    PanelError
        Where a panel is none.

    Examples
    --------
    >>> air = xr.Dataset({"pm25": (("time", "node"), [[1.0], [2.0]], {"units": "ug m-3", "long_name": "PM2.5"})},
    ...                  {"time": pd.date_range("2020-01-01", periods=2, freq="h"), "node": ["a"]},
    ...                  {"domain": "air", "kind": "sensor", "step": "1h"})
    >>> history = InMemoryHistory({"air": known_after(air, pd.Timedelta("30min"))})
    >>> history.as_known_at("air", np.datetime64("2020-01-01T01:00")).pm25.values.tolist()
    [[1.0]]
    """

    def __init__(self, panels: Mapping[str, xr.Dataset],
                 revisions: Mapping[str, pd.DataFrame] | None = None) -> None:
        ledgers = revisions or {}
        self._domains = {
            name: RecordedDomain(_with_row_known_times(check_panel(panel)),
                                 ledgers.get(name, no_revisions()).sort_values("known_time", kind="stable"))
            for name, panel in panels.items()
        }

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(self._domains)

    def recorded(self, domain: str) -> RecordedDomain:
        """All that is held of a domain, later knowledge included: for writing it elsewhere, never for models."""
        if domain not in self._domains:
            raise PanelError(f"no domain {domain!r}", where="history", expected="one of " + ", ".join(self.domains),
                             remedy="add its panel to the history")
        return self._domains[domain]

    def as_known_at(self, domain: str, now: np.datetime64, since: np.datetime64 | None = None) -> xr.Dataset:
        return known_part(self.recorded(domain), now, since)


def known_part(held: RecordedDomain, now: np.datetime64, since: np.datetime64 | None = None) -> xr.Dataset:
    """The part of a recorded domain that was known at ``now``: later reports and revisions removed."""
    now = instant(now)
    panel = held.panel
    time = panel["time"].values
    first = 0 if since is None else int(np.searchsorted(time, instant(since)))
    last = int(np.searchsorted(time, now, side="right"))  # nothing is known before its own time
    known = panel["known_time"].values[first:last] <= now
    rows = np.flatnonzero(known.any(axis=1))
    stop = first + (int(rows[-1]) + 1 if len(rows) else 0)
    known = known[: stop - first]
    # one Dataset from arrays: this runs at every step of the loop, and xarray's assign copies again and again
    hidden = {name: (one.dims, np.where(known, one.values[first:stop], np.nan), one.attrs)
              for name, one in panel.variables.items() if one.dims == ("time", "node") and name != "known_time"}
    cut = panel.drop_vars([*hidden, "known_time"]).isel(time=slice(first, stop))
    part = xr.Dataset({name: hidden[name] for name in panel.data_vars}, axes_of(cut, *map(str, cut.coords)),
                      panel.attrs)
    moving = {name: hidden[name] for name in panel.coords if name in hidden}
    part = part.assign_coords(moving) if moving else part
    _apply_revisions(part, held.revisions, now)
    return _on_regular_clock(part)


def _with_row_known_times(panel: xr.Dataset) -> xr.Dataset:
    if "known_time" not in panel.coords:
        raise PanelError("no known_time", where=str(panel.attrs["domain"]),
                         expected="the coordinate known_time", remedy="apply known_after(panel, delay) first")
    known = panel["known_time"].broadcast_like(panel[next(iter(panel.data_vars))])
    return panel.assign_coords(known_time=(("time", "node"), known.transpose("time", "node").values))


def _apply_revisions(part: xr.Dataset, revisions: pd.DataFrame, now: np.datetime64) -> None:
    """Write the revisions known at ``now`` into ``part``'s own arrays; the latest known wins."""
    if revisions.empty or not part.sizes["time"]:
        return
    time = part["time"].values
    due = revisions[(revisions["known_time"] <= now) & (revisions["time"] >= time[0])
                    & (revisions["time"] <= time[-1])]
    rows = pd.Index(time).get_indexer(due["time"])
    columns = pd.Index(part["node"].values).get_indexer(due["node"])
    there, values, names = (rows >= 0) & (columns >= 0), due["value"].to_numpy(), due["variable"].to_numpy()
    for name in pd.unique(names):
        mine = there & (names == name)
        if name in part:  # rows come in the order in which they became known: numpy lets the last one win
            part[name].values[rows[mine], columns[mine]] = values[mine]


def _on_regular_clock(part: xr.Dataset) -> xr.Dataset:
    time, clock = part["time"].values, Clock.of(part.attrs)
    if len(time) < 2 or (not clock.calendar and bool((np.diff(time) == clock.step).all())):
        return part
    if not clock.calendar:
        return part.reindex(time=np.arange(time[0], time[-1] + clock.step, clock.step))
    ticks = clock.between(time[0], time[-1])
    return part if np.array_equal(ticks, time) else part.reindex(time=ticks)
