"""Events as a stream: counts per cell (or region) and step, as known when the step was over, then as reports came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.clock import DAY, span, span_text
from terracast.streams.errors import ReadError
from terracast.streams.kinds.cells import cell_names, occupied
from terracast.streams.kinds.counts import counts_of, to_panel
from terracast.streams.kinds.grid import cell_areas_km2
from terracast.streams.kinds.placed import Placed
from terracast.streams.panel import check_panel

MONDAY = pd.Timestamp("1970-01-05")
ROUNDS = 12  # a count is told anew 1, 2, 4 … 2^11 steps after it was told first: no later report changes it
TOTAL = "events"


@dataclass(frozen=True)
class Counting:
    """How events are counted.

    Parameters
    ----------
    cell : float, optional
        Side of a cell in degrees; not read where ``node`` is given.
    step : str
        Length of a step.
    node, event_type : str, optional
        The column that names an event's region, in place of cells; and the one whose values are variables of their own.
    zone : str, optional
        Time zone whose days are counted, where the step is whole days.
    anchor : str, optional
        One stamp of the clock; weeks begin on Monday.
    delay : str, optional
        How long after its stamp a count is known; default: a step.
    earlier : tuple of str
        Nodes that were told before: where a correction leaves none of their events, they count zero.
    """

    domain: str
    cell: float | None
    step: str
    node: str | None = None
    event_type: str | None = None
    zone: str | None = None
    anchor: str | None = None
    delay: str | None = None
    earlier: tuple[str, ...] = ()


def event_panels(rows: Placed, how: Counting, now: np.datetime64 | None = None) -> Iterator[xr.Dataset]:
    """Panels of counts in the order in which they became known: first every step as known then, later what changed.

    Parameters
    ----------
    rows : Placed
        Events; ``known``, where it is given, says when each was reported.
    how : Counting
        Cells, steps and the clock.
    now : numpy.datetime64, optional
        Steps that are not over (and known) by then are left for the next look.

    Notes
    -----
    Zero is a count: within the first and the last event nothing seen is zero. An event that is reported later than
    ``delay`` is counted 1, 2, 4 … steps after that: a revision, which nobody could know before.
    """
    length = span(how.step)
    shift = _phase(how, length)
    local = _local(rows.time, how, length) - shift
    reported = None if np.isnat(rows.known).all() else np.where(
        np.isnat(rows.known), rows.time, np.maximum(rows.known, rows.time))
    known = None if reported is None else _local(reported, how, length) - shift
    delay = length if how.delay is None else max(span(how.delay), length)
    cell, names, coords, attrs = _nodes(rows, how)
    mark, kinds = _types(rows, how)
    first = local.min().astype(np.int64) // length.value * length.value
    stop = (local.max().astype(np.int64) // length.value + 1) * length.value
    seen: xr.Dataset | None = None
    for number in range(ROUNDS + 1 if known is not None else 1):
        wait = delay - length + (0 if not number else 2 ** (number - 1)) * length
        held = counts_of(local, cell, names, step=span_text(length), domain=how.domain, mark=mark, mark_names=kinds,
                         start=str(np.datetime64(int(first), "ns")), stop=str(np.datetime64(int(stop), "ns")),
                         known=known, patience=wait, name=TOTAL, long_name="events")
        panel = with_total(to_panel(held))
        last, seen = seen, panel
        if last is not None:  # only what has changed is told again
            panel = panel.assign({name: panel[name].where(panel[name] != last[name]) for name in panel.data_vars})
        panel = _on_clock(panel, how, length, shift, wait).assign_coords(coords).assign_attrs(attrs)
        panel = _with_earlier(panel, how.earlier)
        if now is not None:
            panel = panel.isel(time=np.flatnonzero(panel["known_time"].values <= now))
        told = np.zeros(panel.sizes["time"], bool)
        for name in panel.data_vars:
            told |= panel[name].notnull().any("node").values
        if told.any():
            yield check_panel(panel.isel(time=np.flatnonzero(told)))


def _with_earlier(panel: xr.Dataset, earlier: tuple[str, ...]) -> xr.Dataset:
    """With zeros at nodes that were told before and have no event any more; their places are known to the store."""
    gone = [name for name in earlier if name not in set(panel["node"].values.tolist())]
    if not gone:
        return panel
    wider = panel.reindex(node=[*panel["node"].values.tolist(), *gone])
    whole = panel[TOTAL].notnull().all("node")  # what is told anew says only what has changed
    return wider.assign({str(name): held.where(wider["node"].isin(panel["node"]) | ~whole, 0.0)
                         for name, held in wider.data_vars.items()})


def with_total(panel: xr.Dataset) -> xr.Dataset:
    """A panel of counts with the variable of all events, where its types are told apart."""
    if TOTAL in panel.data_vars:
        return panel
    names = [str(name) for name in panel.data_vars]
    if not names:
        return panel
    total = sum((panel[name].values for name in names), np.zeros(()))
    about = {**panel[names[0]].attrs, "long_name": "events"}
    return panel.assign({TOTAL: (("time", "node"), total, about)})[[TOTAL, *names]]


def waits(rows: Placed, how: Counting, now: np.datetime64) -> bool:
    """Whether a step with events is not over and known by ``now``, so that another look will find more."""
    length = span(how.step)
    delay = length if how.delay is None else max(span(how.delay), length)
    return bool((rows.time > now - delay.to_timedelta64() - (length.to_timedelta64())).any())


def usual_delay(rows: Placed, step: str) -> str:
    """The delay after which nine of ten events have been reported, in whole steps, at most 28 of them."""
    length = span(step)
    late = (rows.known - rows.time)[~np.isnat(rows.known)]
    if not len(late):
        return span_text(length)
    needed = np.quantile(late.astype(np.int64), 0.9)
    return span_text(length * int(np.clip(np.ceil(needed / length.value) + 1, 1, 28)))


def _phase(how: Counting, length: pd.Timedelta) -> np.timedelta64:
    """How far behind whole steps since 1970 the steps lie."""
    anchor = pd.Timestamp(how.anchor) if how.anchor else MONDAY if length % pd.Timedelta("7D") == pd.Timedelta(0) \
        else pd.Timestamp(0)
    if anchor.tzinfo is not None:
        anchor = anchor.tz_convert("UTC").tz_localize(None)
    if _days_of(how, length) and how.anchor:
        anchor = anchor.tz_localize("UTC").tz_convert(how.zone).tz_localize(None)
    return np.timedelta64(anchor.value % length.value, "ns")


def _days_of(how: Counting, length: pd.Timedelta) -> bool:
    return how.zone is not None and length % DAY == pd.Timedelta(0)


def _local(stamps: np.ndarray, how: Counting, length: pd.Timedelta) -> np.ndarray:
    """Stamps (UTC) as the clock on which they are counted reads them: local days are counted locally."""
    if not _days_of(how, length):
        return stamps
    index = pd.DatetimeIndex(stamps).tz_localize("UTC").tz_convert(how.zone).tz_localize(None)
    return np.asarray(index.to_numpy("datetime64[ns]"))


def _on_clock(panel: xr.Dataset, how: Counting, length: pd.Timedelta, shift: np.timedelta64,
              wait: pd.Timedelta) -> xr.Dataset:
    """The panel with its stamps in UTC, its clock in the attrs, and when its counts were known."""
    time = panel["time"].values + shift
    attrs = {"step": span_text(length), "kind": "event", "domain": how.domain}
    known = time + (length + wait).to_timedelta64()
    if _days_of(how, length):
        time, known = (pd.DatetimeIndex(one).tz_localize(how.zone, nonexistent="shift_forward", ambiguous=np.ones(
            len(one), bool)).tz_convert("UTC").tz_localize(None).to_numpy("datetime64[ns]") for one in (time, known))
        attrs |= {"calendar": str(how.zone)}
    attrs |= {"anchor": str(np.datetime_as_string(time[0], "s"))}
    whole = xr.Dataset({name: (("time", "node"), held.values, held.attrs) for name, held in panel.data_vars.items()},
                       {"time": time, "node": panel["node"].values}, attrs)
    return whole.assign_coords(known_time=("time", known))


def _nodes(rows: Placed, how: Counting) -> tuple[np.ndarray, np.ndarray, dict[str, tuple[str, np.ndarray]],
                                                 dict[str, str]]:
    """The node of each event, the nodes' names, places, and what the panel says of them."""
    if how.node is None and how.cell is not None:
        cell, lat, lon = occupied(rows.lat, rows.lon, how.cell)
        half = how.cell / 2
        area = np.array([cell_areas_km2([one - half, one + half], [0.0, how.cell])[0, 0] for one in lat])
        return cell, cell_names(lat, lon), {"lat": ("node", lat), "lon": ("node", lon), "exposure": ("node", area)}, {
            "cell": f"{how.cell:g},{how.cell:g}", "exposure": "cell area, km2"}
    if how.node not in rows.rest:
        raise ReadError(f"no column {how.node!r}", where=how.domain, remedy="mend node in [[sources]]",
                        expected="one of " + ", ".join(map(str, rows.rest.columns)))
    cell, found = pd.factorize(rows.rest[how.node].astype("string").str.strip(), sort=True)
    named = np.asarray(found).astype(str)
    inside = (cell >= 0) & np.isfinite(rows.lat) & np.isfinite(rows.lon)
    if not inside.any():
        return cell, named, {}, {"exposure": "region"}
    size = np.maximum(np.bincount(cell[inside], minlength=len(found)), 1e-9)
    lat, lon = (np.where(size >= 1, np.bincount(cell[inside], weights=values[inside], minlength=len(found)) / size,
                         np.nan) for values in (rows.lat, rows.lon))
    return cell, named, {"lat": ("node", lat), "lon": ("node", lon)}, {"exposure": "region"}


def _types(rows: Placed, how: Counting) -> tuple[np.ndarray | None, np.ndarray]:
    if how.event_type is None:
        return None, np.zeros(0, str)
    if how.event_type not in rows.rest:
        raise ReadError(f"no column {how.event_type!r}", where=how.domain, remedy="mend event_type in [[sources]]",
                        expected="one of " + ", ".join(map(str, rows.rest.columns)))
    code, names = pd.factorize(rows.rest[how.event_type].astype("string").str.strip(), sort=True)
    return code, np.array([str(name).replace("/", "-") for name in names], dtype=str)
