"""Trajectories: ragged arrays, cleaning, resampling without looking ahead, flows and next positions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.stats.great_circle import haversine_km
from terracast.streams.errors import PanelError, ReadError
from terracast.streams.kinds import counts, moving, plot, trajectory
from terracast.streams.kinds.cells import GridCells
from terracast.streams.kinds.check import check_kind
from terracast.streams.kinds.cleaning import clean

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "geolife_trajectories"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not here")


def _walks(seed: int = 0, tracks: int = 4, fixes: int = 60) -> xr.Dataset:
    random = np.random.default_rng(seed)
    rows = []
    for track in range(tracks):
        seconds = np.cumsum(random.integers(1, 40, fixes))
        lat, lon = np.array([[50.0], [8.0]]) + np.cumsum(random.normal(0, 1e-4, (2, fixes)), axis=1)
        rows.append(pd.DataFrame({"trajectory": f"t{track}", "lat": lat, "lon": lon,
                                  "time": pd.Timestamp("2020-01-01") + pd.to_timedelta(seconds, "s"),
                                  "height": random.normal(100, 5, fixes), "mover": track % 2}))
    return trajectory.of_table(pd.concat(rows), domain="city")


@pytest.mark.parametrize("ending", ["nc", "parquet"])
def test_written_and_read_is_the_same(tmp_path: Path, ending: str) -> None:
    tracks = _walks()
    assert tracks.mover.dims == ("trajectory",) and tracks.height.dims == ("obs",)
    trajectory.write(tracks, tmp_path / f"walks.{ending}")
    xr.testing.assert_equal(trajectory.read(tmp_path / f"walks.{ending}", domain="city"), tracks)


def test_foreign_cf_names_are_understood(tmp_path: Path) -> None:
    tracks = _walks()
    foreign = tracks.rename({"row_size": "count", "obs": "sample", "lat": "latitude", "lon": "longitude",
                             "trajectory": "drifter"})
    foreign["count"].attrs["sample_dimension"] = "sample"
    foreign["drifter"].attrs["cf_role"] = "trajectory_id"
    foreign.to_netcdf(tmp_path / "foreign.nc")
    again = trajectory.read(tmp_path / "foreign.nc", domain="city")
    np.testing.assert_array_equal(again.lat.values, tracks.lat.values)
    np.testing.assert_array_equal(again.row_size.values, tracks.row_size.values)


def test_what_is_no_track_is_refused(tmp_path: Path) -> None:
    tracks = _walks()
    with pytest.raises(PanelError, match="row_size adds up"):
        trajectory.check(tracks.isel(obs=slice(1, None)))
    with pytest.raises(PanelError, match="time goes backwards"):
        trajectory.check(tracks.assign_coords(time=("obs", tracks.time.values[::-1])))
    xr.Dataset({"x": ("y", [1.0])}).to_netcdf(tmp_path / "no.nc")
    with pytest.raises(ReadError, match="ragged"):
        trajectory.read(tmp_path / "no.nc", domain="city")


def test_jumps_go_and_a_mover_who_stays_begins_a_new_trip() -> None:
    lat = np.arange(30) * 1e-4
    lat[10] += 1.0  # a jump: one bad fix
    lat[20:] += 1.0  # moved for good
    table = pd.DataFrame({"id": "a", "lat": lat, "lon": 0.0,
                          "time": pd.date_range("2020-01-01", periods=30, freq="10s")})
    cleaned = clean(trajectory.of_table(table, domain="city"), 100.0, "1min")
    assert cleaned.trips.row_size.values.tolist() == [19, 10] and cleaned.split_at.because.tolist() == ["moved"]
    assert cleaned.left_out.time.tolist() == [pd.Timestamp("2020-01-01T00:01:40")]
    assert not (trajectory.speeds_kmh(cleaned.trips) > 100).any()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_cleaned_trips_keep_the_limit_and_the_gap(seed: int) -> None:
    tracks = _walks(seed, 3, 40)
    random = np.random.default_rng(seed)
    lat = tracks.lat.values.copy()
    lat[random.random(len(lat)) < 0.1] += random.normal(0, 0.5)
    tracks = tracks.assign_coords(lat=("obs", lat))
    cleaned = clean(tracks, 60.0, "35s", stays_after=3)
    assert np.nanmax(trajectory.speeds_kmh(cleaned.trips), initial=0) <= 60 + 1e-6
    assert cleaned.trips.sizes["obs"] + len(cleaned.left_out) == tracks.sizes["obs"]
    assert set(cleaned.trips.parent.values) == set(tracks.trajectory.values)
    at_gap = trajectory.seconds_since_last(tracks) > 35
    assert (cleaned.split_at.because == "gap").sum() == at_gap.sum()
    mover = [int(name[1]) % 2 for name in cleaned.trips.parent.values]
    np.testing.assert_array_equal(cleaned.trips.mover.values, mover)


def test_resampling_interpolates_and_knows_only_what_was_fixed() -> None:
    tracks = _walks()
    even = moving.resample(tracks, "10s")
    fixed = trajectory.to_table(tracks).groupby("trajectory")
    table = trajectory.to_table(even).assign(known=even.known_time.values)
    for name, part in table.groupby("trajectory"):
        own = fixed.get_group(name)
        stamps = own["time"].to_numpy()
        assert part["time"].min() >= stamps[0] and part["time"].max() <= stamps[-1]
        np.testing.assert_array_equal(part["known"], stamps[np.searchsorted(stamps, part["time"].to_numpy())])
        exact = np.interp(part["time"].astype("int64"), own["time"].astype("int64"), own["height"])
        np.testing.assert_allclose(part["height"], exact)
        assert np.abs(np.interp(part["time"].astype("int64"), own["time"].astype("int64"), own["lat"])
                      - part["lat"]).max() < 1e-8  # so near, a great circle is a line
        whole = pd.date_range(pd.Timestamp(stamps[0]).ceil("10s"), stamps[-1], freq="10s")
        assert len(part) == len(whole)


def test_later_fixes_change_no_position_known_before() -> None:
    tracks = _walks()
    now = np.datetime64("2020-01-01T00:08:00", "ns")
    wild = tracks.assign_coords(lat=("obs", np.where(tracks.time.values > now, -33.0, tracks.lat.values)))
    one, two = (moving.to_panel(held, "15s") for held in (tracks, wild))
    seen = one.known_time.values <= now
    np.testing.assert_array_equal(seen, two.known_time.values <= now)
    for name in ("lat", "lon", "northward", "eastward", "latitude"):
        np.testing.assert_array_equal(one[name].values[seen], two[name].values[seen])


def test_a_panel_leads_back_and_on_to_the_next_position() -> None:
    tracks = _walks()
    panel = check_kind(moving.to_panel(tracks, "10s"))
    even = moving.resample(tracks, "10s")
    back = moving.to_tracks(panel)
    for name in ("lat", "lon", "time", "known_time", "row_size", "trajectory"):
        np.testing.assert_array_equal(back[name].values, even[name].values)
    lat, lon = moving.next_position(panel.lat.values[:-1], panel.lon.values[:-1], panel.northward.values[1:],
                                    panel.eastward.values[1:])
    moved = np.isfinite(lat)
    assert moved.sum() > 300
    assert np.nanmax(haversine_km(lat, lon, panel.lat.values[1:], panel.lon.values[1:])[moved]) < 1e-6


def test_flows_are_those_counted_by_hand() -> None:
    tracks = _walks(3, 6, 80)
    cells = GridCells.covering(tracks.lat, tracks.lon, 0.0005)
    found = moving.flows(tracks, cells, "1min")
    table = trajectory.to_table(moving.resample(tracks, "1min"))
    table["cell"] = cells.names[cells.cell_of(table["lat"], table["lon"])]
    table["to"] = table.groupby("trajectory")["cell"].shift(-1)
    expected = table.dropna().groupby(["time", "cell", "to"]).size()
    stamp = counts.times_of(found)[found.step_number.values]
    ends = [found[name].values[found.cell] for name in ("origin", "destination")]
    ours = pd.Series(found["count"].values, index=pd.MultiIndex.from_arrays([stamp, *ends]))
    assert ours.to_dict() == expected.to_dict() and int(found["count"].sum()) == len(table.dropna())
    panel = check_kind(counts.to_panel(found))
    assert (panel.known_time.values >= panel.time.values + np.timedelta64(1, "m")).all()


@needs_data
def test_geolife() -> None:
    tracks = trajectory.read(DATA / "geolife.parquet", domain="people")
    plain = trajectory.read(DATA / "demodata_geolife.csv", domain="people")
    np.testing.assert_allclose(tracks.lat.values, plain.lat.values)
    np.testing.assert_array_equal(tracks.time.values, plain.time.values)
    assert tracks.sizes == {"obs": 5908, "trajectory": 5} and tracks.tracker.dims == ("trajectory",)
    assert 380 < np.nanmax(trajectory.speeds_kmh(tracks)) < 400
    cleaned = clean(tracks, 150.0, "10min")
    assert np.nanmax(trajectory.speeds_kmh(cleaned.trips)) <= 150
    assert set(cleaned.split_at.trajectory) == {"2", "3", "5"} and len(cleaned.left_out) < 20
    panel = check_kind(moving.to_panel(cleaned.trips, "5s"))
    assert panel.attrs["kind"] == "trajectory" and panel.nbytes < 40e6  # only stamps at which someone is there
    found = moving.flows(cleaned.trips, GridCells.covering(tracks.lat, tracks.lon, 0.01), "1min")
    assert found.attrs["unplaced"] == 0 and found.sizes["node"] < 400
    assert plot.plot_trajectory(cleaned.trips).axes
