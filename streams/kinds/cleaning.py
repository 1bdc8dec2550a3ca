"""Cleaning of tracks: jumps over a speed limit are left out, gaps split a track into trips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.stats.great_circle import haversine_km
from terracast.streams.kinds.trajectory import check, seconds_since_last, speeds_kmh, track_of


@dataclass(frozen=True)
class Cleaned:
    """Trips (tracks called "track/number", with ``parent``), and what was left out or split and why."""

    trips: xr.Dataset
    left_out: pd.DataFrame  # trajectory, time, lat, lon, speed_kmh
    split_at: pd.DataFrame  # trajectory, time, because ("gap" or "moved")


def clean(tracks: xr.Dataset, speed_limit_kmh: float, gap: str | pd.Timedelta, stays_after: int = 5) -> Cleaned:
    """Split tracks at gaps longer than ``gap`` and leave out observations that need more than the speed limit.

    An observation is a jump when it cannot be reached from the last good one within the limit. After
    ``stays_after`` such in a row the mover is really there: nothing is left out and a new trip begins. The first
    observation of a trip is trusted. O(observations + jumps × ``stays_after``).

    >>> from terracast.streams.kinds.trajectory import of_table
    >>> table = pd.DataFrame({"id": "a", "time": pd.date_range("2020-01-01", periods=4, freq="min"),
    ...                       "lat": [0.0, 0.001, 1.0, 0.003], "lon": 0.0})
    >>> cleaned = clean(of_table(table, domain="city"), 100.0, "10min")
    >>> cleaned.trips.lat.values.tolist(), len(cleaned.left_out), cleaned.trips.trajectory.values.tolist()
    ([0.0, 0.001, 0.003], 1, ['a/0'])
    """
    passed, speed = seconds_since_last(tracks), speeds_kmh(tracks)
    after_gap = passed > pd.Timedelta(gap).total_seconds()
    begins = np.isnan(passed) | after_gap
    jump, moved = _jumps(tracks, begins, speed > speed_limit_kmh, speed_limit_kmh, stays_after)
    begins |= moved
    trip = np.cumsum(begins) - 1
    parent = track_of(tracks)[begins]
    first_of_parent = np.concatenate([[0], np.flatnonzero(np.diff(parent)) + 1])
    number = np.arange(len(parent)) - np.repeat(first_of_parent, np.bincount(parent)[np.unique(parent)])
    names = tracks["trajectory"].values
    labels = np.array([f"{names[track]}/{count}" for track, count in zip(parent, number, strict=True)])
    on_track: dict[str, Any] = {str(name): ("trajectory", held.values[parent], held.attrs)
                                for name, held in tracks.data_vars.items()
                                if held.dims == ("trajectory",) and name != "row_size"}
    trips = tracks.drop_dims("trajectory").isel(obs=~jump)
    trips = trips.assign(row_size=("trajectory", np.bincount(trip[~jump], minlength=len(parent)),
                                   tracks["row_size"].attrs), **on_track)
    trips = trips.assign_coords(trajectory=labels, parent=("trajectory", names[parent]))
    of_row = track_of(tracks)
    out = pd.DataFrame({"trajectory": names[of_row[jump]], **{name: tracks[name].values[jump] for name in
                                                      ("time", "lat", "lon")}, "speed_kmh": speed[jump]})
    splits = after_gap | moved
    at = pd.DataFrame({"trajectory": names[of_row[splits]], "time": tracks["time"].values[splits],
                       "because": np.where(after_gap[splits], "gap", "moved")})
    return Cleaned(check(trips), out, at)


def _jumps(tracks: xr.Dataset, begins: np.ndarray, fast: np.ndarray, limit: float,
           stays_after: int) -> tuple[np.ndarray, np.ndarray]:
    """Observations to leave out, and those at which a new trip begins because the mover stays there."""
    lat, lon = tracks["lat"].values, tracks["lon"].values
    hours = tracks["time"].values.astype(np.int64) / 3.6e12
    jump, moved = np.zeros(len(lat), bool), np.zeros(len(lat), bool)
    at = 0
    for start in np.flatnonzero(fast & ~begins):
        if start < at:
            continue
        good, at = start - 1, start
        while at < len(lat) and not begins[at] and at - start < stays_after and \
                haversine_km(lat[good], lon[good], lat[at], lon[at]) > limit * (hours[at] - hours[good]):
            at += 1
        if at - start >= stays_after:
            moved[start] = True
            at = start + 1
        else:
            jump[start:at] = True
            at += 1
    return jump, moved
