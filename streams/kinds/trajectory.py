"""Trajectories: tracks of any length as CF contiguous ragged arrays.

The form ("tracks"): an ``xarray.Dataset`` with dims ``obs`` and ``trajectory``; ``time``, ``lat``, ``lon`` (coords) and
any values on ``obs``, one track after the other; ``trajectory`` names them and ``row_size`` says how many
observations each has (CF 1.8, H.4.3). Attrs ``domain``, ``kind = "trajectory"``, ``featureType = "trajectory"``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.stats.great_circle import haversine_km
from terracast.streams.errors import PanelError, ReadError
from terracast.streams.instant import instants

COLUMNS = {"trajectory": ("trajectory", "trajectory_id", "track", "trip", "id"), "time": ("time", "t", "timestamp"),
           "lat": ("lat", "latitude", "Y", "y"), "lon": ("lon", "longitude", "X", "x")}


def of_table(table: pd.DataFrame, *, domain: str, where: str = "table", **names: str) -> xr.Dataset:
    """Tracks from a table with a row per observation; rows of a track are sorted by time (stable).

    Columns: ``trajectory``, ``time``, ``lat``, ``lon`` (or the usual other names, or as given by ``names``); numeric
    columns are kept as values, and a column that is constant on every track becomes a value of the track. Stamps
    with an offset become UTC. Raises ``ReadError``.

    >>> table = pd.DataFrame({"id": [7, 8, 7], "t": ["2020-01-01T00:05", "2020-01-01T00:00", "2020-01-01T00:00"],
    ...                       "lat": [0.1, 5.0, 0.0], "lon": 0.0, "depth": [1.0, 2.0, 3.0]})
    >>> tracks = of_table(table, domain="sea")
    >>> tracks.row_size.values.tolist(), tracks.lat.values.tolist(), tracks.depth.values.tolist()
    ([2, 1], [0.0, 0.1, 5.0], [3.0, 1.0, 2.0])
    """
    found = {ours: names.get(ours) or next((one for one in usual if one in table), None)
             for ours, usual in COLUMNS.items()}
    for ours, theirs in found.items():
        if theirs is None or theirs not in table:
            raise ReadError(f"no column {ours!r}", where=where, remedy=f"name it: {ours}='…'",
                            expected="one of " + ", ".join(map(str, table.columns)))
    stamps = pd.to_datetime(table[found["time"]])
    if stamps.dt.tz is not None:
        stamps = stamps.dt.tz_convert("UTC").dt.tz_localize(None)
    codes, held = pd.factorize(table[found["trajectory"]])
    unnamed = ["nan"] if bool((codes < 0).any()) else []
    names_of, place = np.unique(np.array([*map(str, held), *unnamed]), return_inverse=True)
    track = place[codes]
    time = instants(stamps.to_numpy())
    order = np.lexsort((np.arange(len(time)), time, track))
    rest = [name for name in table.columns if name not in found.values() and table[name].dtype.kind in "fiub"]
    sizes = np.bincount(track, minlength=len(names_of))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    data: dict[str, Any] = {"row_size": ("trajectory", sizes, {"sample_dimension": "obs",
                                                               "long_name": "observations of the track"})}
    for name in map(str, rest):
        values = table[name].to_numpy()[order]
        constant = bool((values == np.repeat(values[starts], sizes)).all())
        data[name] = ("trajectory", values[starts]) if constant else ("obs", values)
    coords = {name: ("obs", table[found[name]].to_numpy(float)[order]) for name in ("lat", "lon")}
    return check(xr.Dataset(data, {"trajectory": names_of, "time": ("obs", time[order]), **coords},
                            {"domain": domain, "kind": "trajectory", "featureType": "trajectory"}))


def check(tracks: xr.Dataset) -> xr.Dataset:
    """Return the tracks; raise ``PanelError`` naming the first thing that is wrong. O(observations)."""
    where = str(tracks.attrs.get("domain", "tracks"))
    for name, dim in (("time", "obs"), ("lat", "obs"), ("lon", "obs"), ("trajectory", "trajectory"),
                      ("row_size", "trajectory")):
        if name not in tracks.variables or tracks[name].dims != (dim,):
            raise PanelError(f"no {name} on {dim}", where=where, expected="contiguous ragged arrays",
                             remedy="make the tracks with trajectory.of_table or read")
    if tracks.attrs.get("kind") != "trajectory":
        raise PanelError(f"kind is {tracks.attrs.get('kind')!r}", where=where, expected="'trajectory'",
                         remedy="use the check of that kind")
    sizes = tracks["row_size"].values
    if sizes.sum() != tracks.sizes["obs"] or (sizes < 1).any():
        raise PanelError(f"row_size adds up to {sizes.sum()}", where=where, remedy="drop empty tracks",
                         expected=f"{tracks.sizes['obs']} observations, one or more a track")
    lat, lon = tracks["lat"].values, tracks["lon"].values
    if not (np.abs(lat) <= 90).all() or not (np.abs(lon) <= 360).all() or np.isnat(tracks["time"].values).any():
        raise PanelError("an observation has no stamp or no place on Earth", where=where,
                         expected="time, lat and lon in degrees", remedy="drop it")
    back = seconds_since_last(tracks) < 0
    if back.any():
        track = tracks["trajectory"].values[track_of(tracks)[back][0]]
        raise PanelError("time goes backwards", where=f"{where}, track {track}", expected="stamps in order",
                         remedy="make the tracks with trajectory.of_table, which sorts")
    return tracks


def track_of(tracks: xr.Dataset) -> np.ndarray:
    """The number of each observation's track."""
    return np.repeat(np.arange(tracks.sizes["trajectory"]), tracks["row_size"].values)


def seconds_since_last(tracks: xr.Dataset) -> np.ndarray:
    """Seconds since the track's previous observation; NaN at its first."""
    passed = np.diff(tracks["time"].values).astype(np.int64) / 1e9
    return np.where(_first(tracks), np.nan, np.concatenate([[np.nan], passed])[: tracks.sizes["obs"]])


def speeds_kmh(tracks: xr.Dataset) -> np.ndarray:
    """Speed from the track's previous observation, km/h; NaN at its first, infinite for a jump in no time."""
    lat, lon = tracks["lat"].values, tracks["lon"].values
    away = np.concatenate([[0.0], haversine_km(lat[:-1], lon[:-1], lat[1:], lon[1:])])[: len(lat)]
    passed = seconds_since_last(tracks)
    with np.errstate(divide="ignore", invalid="ignore"):
        speed = away / (passed / 3600)
    return np.where((passed == 0) & (away == 0), 0.0, speed)


def _first(tracks: xr.Dataset) -> np.ndarray:
    first = np.zeros(tracks.sizes["obs"], bool)
    first[np.concatenate([[0], np.cumsum(tracks["row_size"].values)[:-1]])] = True
    return first
