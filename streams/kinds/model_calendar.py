"""Climate models' calendars (360 days, no leap years, …) on the panel's clock, and back without loss.

The rule: a date becomes 2000-01-01 plus the time that passed since 2000-01-01 *in its own calendar*. Equal steps
stay equal, so a panel has a regular clock and its year has the calendar's own length (360 days); the same date gets
the same stamp in every file. The price: far from 2000 a stamp is not the date that people read (a 360-day calendar
is about 5.25 days a year off); the readable date stays in the coordinate ``calendar_time``, the calendar in the attr
``calendar``.
"""

from __future__ import annotations

from typing import Any

import cftime
import numpy as np
import xarray as xr

from terracast.streams.errors import PanelError

ORIGIN = np.datetime64("2000-01-01", "us")
COUNTED = "microseconds since 2000-01-01"


def to_panel_time(dates: np.ndarray) -> np.ndarray:
    """cftime dates as ``datetime64[ns]`` by the rule above (exact to the microsecond).

    >>> to_panel_time(np.array([cftime.datetime(2001, 2, 30, calendar="360_day")])).astype("M8[D]").tolist()
    [datetime.date(2001, 2, 23)]
    """
    calendar = dates.flat[0].calendar
    passed = np.asarray(cftime.date2num(dates, COUNTED, calendar=calendar), dtype=np.int64)
    stamps = ORIGIN + passed.astype("timedelta64[us]")
    first, last = np.datetime64("1677-09-22", "us"), np.datetime64("2262-04-11", "us")
    if (stamps < first).any() or (stamps > last).any():
        raise PanelError("a date is out of reach", where=f"calendar {calendar}", expected="years 1680 to 2260",
                         remedy="cut the file, or shift its years")
    return stamps.astype("datetime64[ns]")


def on_panel_clock(grid: xr.Dataset) -> xr.Dataset:
    """The grid with ``datetime64`` time; a model calendar leaves ``calendar`` and ``calendar_time`` behind."""
    time = grid["time"]
    if time.dtype.kind == "M":
        return grid.assign_coords(time=time.astype("datetime64[ns]"))
    dates: Any = time.values
    if dates.dtype.kind != "O" or not isinstance(dates.flat[0], cftime.datetime):
        raise PanelError(f"time holds {dates.dtype} values", where=str(grid.attrs.get("domain", "grid")),
                         expected="stamps or dates of a calendar", remedy="give read(…, time=stamps)")
    labels = np.array([date.isoformat() for date in dates])
    moved = grid.assign_coords(time=("time", to_panel_time(dates), time.attrs), calendar_time=("time", labels))
    return moved.assign_attrs(calendar=dates.flat[0].calendar)


def on_its_labels(grid: xr.Dataset) -> xr.Dataset:
    """A grid of ``on_panel_clock`` with its stamps at the dates that people read, where the panel's calendar has all of
    them: calendars without leap days, and steps of months or years of any calendar. Others stay: a 30th of February is
    nowhere else.

    >>> dates = np.array([cftime.datetime(1860 + year, 6, 1, calendar="360_day") for year in range(3)])
    >>> grid = on_panel_clock(xr.Dataset(coords={"time": dates}))
    >>> [str(stamp)[:10] for stamp in on_its_labels(grid).time.values]
    ['1860-06-01', '1861-06-01', '1862-06-01']
    """
    if "calendar_time" not in grid.coords:
        return grid
    gaps = np.diff(grid["time"].values)
    long = len(gaps) > 0 and bool((gaps >= np.timedelta64(28, "D")).all())
    if not long and grid.attrs["calendar"] not in ("noleap", "365_day"):
        return grid
    try:
        stamps = grid["calendar_time"].values.astype("datetime64[ns]")
    except ValueError:
        return grid
    moved = grid.assign_coords(time=("time", stamps, grid["time"].attrs)).drop_vars("calendar_time")
    return moved.assign_attrs(file_calendar=moved.attrs.pop("calendar"))
