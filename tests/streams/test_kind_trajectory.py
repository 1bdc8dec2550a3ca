"""Movers: cleaning, resampling without looking ahead, what is counted on cells and between them; forms of files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from terracast.streams.errors import PanelError, ReadError
from terracast.streams.kinds import moving, trajectory
from terracast.streams.kinds.check import check_kind
from terracast.streams.kinds.cleaning import clean
from terracast.streams.kinds.columns import find_columns
from terracast.streams.kinds.movers import Following, Measure, mover_panels
from terracast.streams.kinds.placed import Placed, placed
from terracast.streams.kinds.recognise import recognise
from terracast.streams.kinds.records import records

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


def _table_of(tracks: xr.Dataset) -> pd.DataFrame:
    sizes = tracks["row_size"].values
    return pd.DataFrame({"trajectory": np.repeat(tracks["trajectory"].values, sizes),
                         **{name: tracks[name].values for name in ("time", "lat", "lon", "height")}})


def _buses(seed: int = 0, buses: int = 5, fixes: int = 200) -> pd.DataFrame:
    """Buses that go to and fro, a fix every 30 s or so."""
    random = np.random.default_rng(seed)
    rows = []
    for bus in range(buses):
        time = pd.Timestamp("2024-05-06T06:00") + pd.to_timedelta(np.arange(fixes) * 30 + random.integers(0, 9), "s")
        along = 0.02 * np.sin(np.arange(fixes) / 20 + bus)
        rows.append(pd.DataFrame({"Linie": f"bus {bus}", "Zeitpunkt": time, "Breite": 48.1 + along,
                                  "Laenge": 11.5 + 0.5 * along + 0.01 * bus}))
    return pd.concat(rows, ignore_index=True).sort_values("Zeitpunkt", ignore_index=True)


def _rows(table: pd.DataFrame) -> Placed:
    return placed(table, find_columns(table, "x"), "x")


def test_what_is_no_track_is_refused() -> None:
    tracks = _walks()
    with pytest.raises(PanelError, match="row_size adds up"):
        trajectory.check(tracks.isel(obs=slice(1, None)))
    with pytest.raises(PanelError, match="time goes backwards"):
        trajectory.check(tracks.assign_coords(time=("obs", tracks.time.values[::-1])))


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
    fixed = _table_of(tracks).groupby("trajectory")
    table = _table_of(even).assign(known=even.known_time.values)
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


def test_on_cells_each_mover_is_counted_once_a_step() -> None:
    table, rows = _buses(), _rows(_buses())
    panels, jumps = mover_panels(rows, table["Linie"].to_numpy(str), Following("bus", 0.01, "5min"))
    (panel,) = map(check_kind, panels)
    cell = [np.floor(table[name] / 0.01 + 1e-9) for name in ("Breite", "Laenge")]
    expected = table.groupby([table["Zeitpunkt"].dt.floor("5min"), *cell])["Linie"].nunique()
    held = panel["movers"].to_dataframe().reset_index()
    held = held[held["movers"] > 0]
    assert jumps == 0 and int(held["movers"].sum()) == int(expected.sum()) and len(held) == len(expected)
    assert panel["movers"].attrs["cell_methods"] == "time: sum" and not panel["movers"].isnull().any()
    assert 5 < float(panel["speed"].mean()) < 60 and panel.attrs["cell"] == "0.01,0.01"


def test_a_step_in_which_nobody_was_followed_is_not_zero() -> None:
    table = _buses()
    morning, evening = table, table.assign(Zeitpunkt=table["Zeitpunkt"] + pd.Timedelta("10h"))
    both = pd.concat([morning, evening], ignore_index=True)
    panels, _ = mover_panels(_rows(both), both["Linie"].to_numpy(str), Following("bus", 0.01, "5min"))
    (panel,) = panels
    assert panel.sizes["time"] == 2 * len(np.unique(table["Zeitpunkt"].dt.floor("5min")))


def test_flows_and_positions() -> None:
    table = _buses()
    for measure, name in (("flows", "flow"), ("positions", "northward")):
        made: Measure = measure  # type: ignore[assignment]
        panels, _ = mover_panels(_rows(table), table["Linie"].to_numpy(str), Following("bus", 0.01, "5min", made))
        (panel,) = map(check_kind, panels)
        assert name in panel.data_vars
    assert panel.node.values.tolist() == [f"bus {bus}" for bus in range(5)] and panel.lat.dims == ("time", "node")
    flows = check_kind(next(mover_panels(_rows(table), table["Linie"].to_numpy(str),
                                         Following("bus", 0.01, "5min", "flows"))[0]))
    assert all(" to " in name for name in flows.node.values) and float(flows["flow"].sum(axis=1).max()) <= 5


def test_buses_are_told_from_events_and_stations(tmp_path: Path) -> None:
    _buses().to_csv(tmp_path / "bus.csv", sep=";", decimal=",", index=False, encoding="latin-1")
    found = recognise(tmp_path / "bus.csv")
    assert (found.kind, found.mover) == ("trajectory", "Linie")
    random = np.random.default_rng(0)
    _buses().assign(Wassertemperatur=random.normal(8, 1, 1000)).to_csv(tmp_path / "boats.csv", index=False)
    assert recognise(tmp_path / "boats.csv").kind == "point"
    wards = pd.DataFrame({"Fecha": pd.date_range("2022-01-01", periods=900, freq="3h").strftime("%d/%m/%Y %H:%M"),
                          "Latitud": random.normal(-34.6, 0.05, 900), "Longitud": random.normal(-58.4, 0.05, 900),
                          "barrio": random.integers(1, 9, 900), "tipo": random.choice(["robo", "hurto"], 900)})
    wards.to_csv(tmp_path / "delitos.csv", index=False)
    found = recognise(tmp_path / "delitos.csv")
    assert (found.kind, found.event_type) == ("event", "tipo")
    stations = pd.DataFrame({"time": np.repeat(pd.date_range("2022-01-01", periods=100, freq="h"), 3),
                             "station": ["a", "b", "c"] * 100, "lat": [1.0, 2, 3] * 100, "lon": [4.0, 5, 6] * 100,
                             "no2": random.normal(size=300)})
    stations.to_csv(tmp_path / "air.csv", index=False)
    assert recognise(tmp_path / "air.csv").kind == "sensor"
    assert recognise(tmp_path / "air.csv", kind="event").kind == "event"
    with pytest.raises(ReadError, match="kind is 'cloud'"):
        recognise(tmp_path / "air.csv", kind="cloud")


def test_forms_of_files(tmp_path: Path) -> None:
    (tmp_path / "run.gpx").write_text(
        '<gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><name>Run</name><trkseg>'
        + "".join(f'<trkpt lat="{48 + n / 1e4}" lon="11.5"><time>2024-05-06T06:{n:02d}:00Z</time></trkpt>'
                  for n in range(30)) + "</trkseg></trk></gpx>", encoding="utf-8")
    gpx = records(tmp_path / "run.gpx")
    assert gpx.track.unique().tolist() == ["Run"] and len(gpx) == 30
    assert recognise(tmp_path / "run.gpx").kind == "trajectory"
    (tmp_path / "bomb.gpx").write_text('<!DOCTYPE a [<!ENTITY b "c">]><gpx/>', encoding="utf-8")
    with pytest.raises(ReadError, match="entities"):
        records(tmp_path / "bomb.gpx")
    folder = tmp_path / "007" / "Trajectory"
    folder.mkdir(parents=True)
    (folder / "20081023.plt").write_text("x\n" * 6 + "39.9,116.3,0,492,39744.1,2008-10-23,02:53:04\n", encoding="utf-8")
    assert records(folder / "20081023.plt").iloc[0].tolist() == ["007", "2008-10-23 02:53:04", 39.9, 116.3]
    (tmp_path / "now.json").write_text(json.dumps({"header": {"timestamp": "1715000000"}, "entity": [
        {"id": "1", "vehicle": {"vehicle": {"id": "b7"}, "position": {"latitude": 1.5, "longitude": 2.5},
                                "timestamp": "1715000001"}}, {"id": "2", "alert": {}}]}), encoding="utf-8")
    held = records(tmp_path / "now.json")
    assert held.vehicle.tolist() == ["b7"] and str(held.time[0]) == "2024-05-06 12:53:21+00:00"
    (tmp_path / "line.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [
        {"type": "Feature", "id": "t1", "properties": {"coordTimes": ["2024-05-06T06:00:00Z", "2024-05-06T06:01:00Z"]},
         "geometry": {"type": "LineString", "coordinates": [[11.5, 48.1], [11.6, 48.2]]}}]}), encoding="utf-8")
    assert records(tmp_path / "line.geojson")[["lat", "lon"]].to_numpy().tolist() == [[48.1, 11.5], [48.2, 11.6]]
    (tmp_path / "no.geojson").write_text("{}", encoding="utf-8")
    with pytest.raises(ReadError, match="no list of objects"):
        records(tmp_path / "no.geojson")


@needs_data
def test_geolife() -> None:
    table, plain = records(DATA / "geolife.parquet"), records(DATA / "demodata_geolife.csv")
    one, other = _rows(table), _rows(plain)
    np.testing.assert_allclose(one.lat, other.lat)
    np.testing.assert_array_equal(one.time, other.time)
    assert recognise(DATA / "demodata_geolife.csv").mover == "tracker"
    tracks = trajectory.of_table(table.rename(columns={"trajectory_id": "trajectory"}), domain="people")
    assert tracks.sizes == {"obs": 5908, "trajectory": 5} and 380 < np.nanmax(trajectory.speeds_kmh(tracks)) < 400
    panels, jumps = mover_panels(one, table["tracker"].to_numpy(str), Following("people", 0.05, "1min"))
    (panel,) = panels
    assert panel.sizes["time"] == 322 and 0 < jumps < 20  # minutes with a fix
