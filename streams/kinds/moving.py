"""Tracks on a clock: resampled trips as a panel of moving nodes, next positions, and flows between cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.stats.great_circle import EARTH_RADIUS_KM, positions_between
from terracast.streams.errors import PanelError
from terracast.streams.kinds.check import check_kind
from terracast.streams.kinds.trajectory import track_of


def resample(tracks: xr.Dataset, step: str | pd.Timedelta) -> xr.Dataset:
    """Tracks at whole multiples of ``step``, between two observations on the great circle; nothing beyond the ends.

    Values on ``obs`` are interpolated linearly. ``known_time`` (on ``obs``) is when the *later* of the two
    observations was made: a position between two fixes is not known before the second one. Split gaps first
    (``cleaning.clean``): a gap inside a track is bridged. O(observations + stamps).

    >>> from terracast.streams.kinds.trajectory import of_table
    >>> table = pd.DataFrame({"id": "a", "lat": [0.0, 3.0], "lon": 10.0,
    ...                       "time": pd.to_datetime(["2020-01-01T00:00", "2020-01-01T00:30"])})
    >>> even = resample(of_table(table, domain="sea"), "10min")
    >>> even.lat.values.round(6).tolist(), str(even.known_time.values[1])[11:16]
    ([0.0, 1.0, 2.0, 3.0], '00:30')
    """
    length = pd.Timedelta(step).value
    time, track = tracks["time"].values.astype(np.int64), track_of(tracks)
    same = track[1:] == track[:-1]
    left = np.flatnonzero(same & (time[1:] > time[:-1]))
    first = -(-time[left] // length)  # a pair holds the multiples in [its first stamp, its second one)
    count = np.maximum(-(-time[left + 1] // length) - first, 0)
    before = np.repeat(left, count)
    stamp = (np.repeat(first, count) + _ranks(count)) * length
    last = np.flatnonzero(np.concatenate([~same, [True]]))
    last = last[time[last] % length == 0]  # a track's last fix has no pair of its own
    before, stamp = np.concatenate([before, last]), np.concatenate([stamp, time[last]])
    order = np.lexsort((stamp, track[before]))
    before, stamp = before[order], stamp[order]
    exact = stamp == time[before]
    after = np.where(exact, before, np.minimum(before + 1, len(time) - 1))
    share = np.where(exact, 0.0, (stamp - time[before]) / np.maximum(time[after] - time[before], 1))
    fixes = np.stack([tracks["lat"].values, tracks["lon"].values], axis=1)
    lat, lon = positions_between(fixes[before], fixes[after], share)
    lat, lon = np.where(exact, fixes[before, 0], lat), np.where(exact, fixes[before, 1], lon)
    data: dict[str, Any] = {}
    for name, held in tracks.data_vars.items():
        if held.dims == ("obs",):
            values = held.values.astype(float)
            data[str(name)] = ("obs", values[before] + share * (values[after] - values[before]), held.attrs)
    kept, sizes = np.unique(track[before], return_counts=True)
    whole = tracks.drop_dims("obs").isel(trajectory=kept)
    known = (tracks["known_time"].values if "known_time" in tracks.coords else tracks["time"].values)[after]
    whole = whole.assign(row_size=("trajectory", sizes, tracks["row_size"].attrs), **data)
    return whole.assign_coords(time=("obs", stamp.astype("datetime64[ns]")), lat=("obs", lat), lon=("obs", lon),
                               known_time=("obs", known)).assign_attrs(step=str(step))


def to_panel(tracks: xr.Dataset, step: str | pd.Timedelta) -> xr.Dataset:
    """Resampled tracks as a panel of moving nodes, a row per stamp at which any is there: a node per track, or per
    ``parent`` whose trips they are (``cleaning.clean``).

    Variables: ``latitude``, ``longitude`` and ``northward``, ``eastward``, the way moved in the last step in metres:
    to forecast them one step ahead is to forecast the next position (``next_position``). A way is known when both
    its ends are. Memory: occupied stamps × tracks.
    """
    even = resample(tracks, step)
    stamps, row = np.unique(even["time"].values, return_inverse=True)
    names, mover = np.unique(even["parent" if "parent" in even.coords else "trajectory"].values, return_inverse=True)
    column = mover[track_of(even)]
    shape = (len(stamps), len(names))
    if not len(stamps):
        raise PanelError("no track lasts a step", where=str(tracks.attrs["domain"]), expected="fixes a step apart",
                         remedy="take a shorter step")
    lat, lon = np.full(shape, np.nan), np.full(shape, np.nan)
    known = np.full(shape, np.datetime64("NaT", "ns"))
    lat[row, column], lon[row, column] = even["lat"].values, even["lon"].values
    known[row, column] = even["known_time"].values
    following = np.concatenate([[False], np.diff(stamps) == pd.Timedelta(step).to_timedelta64()])
    north, east = np.full(shape, np.nan), np.full(shape, np.nan)
    north[1:], east[1:] = _way(lat[:-1], lon[:-1], lat[1:], lon[1:])
    north[~following] = east[~following] = np.nan
    about = {"latitude": (lat, "degrees_north", "latitude of the node"),
             "longitude": (lon, "degrees_east", "longitude of the node"),
             "northward": (north, "m", "way northward in the last step"),
             "eastward": (east, "m", "way eastward in the last step")}
    panel = xr.Dataset({name: (("time", "node"), values, {"units": units, "long_name": words})
                        for name, (values, units, words) in about.items()},
                       {"time": stamps, "node": names, "lat": (("time", "node"), lat.copy()),
                        "lon": (("time", "node"), lon.copy()), "known_time": (("time", "node"), known)},
                       {"domain": tracks.attrs["domain"], "kind": "trajectory", "step": str(step)})
    return check_kind(panel)


def _ranks(count: np.ndarray) -> np.ndarray:
    """0 … count−1 for each count, one after the other."""
    return np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)


def _way(lat: np.ndarray, lon: np.ndarray, to_lat: np.ndarray, to_lon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    metres = EARTH_RADIUS_KM * 1000
    east = np.deg2rad((to_lon - lon + 180) % 360 - 180) * np.cos(np.deg2rad((lat + to_lat) / 2))
    return np.deg2rad(to_lat - lat) * metres, east * metres
