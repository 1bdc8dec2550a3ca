"""Events, movers and moving points as other people export them, by the commands a user types."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from terracast.flows.command import app
from terracast.flows.workspace import Workspace

COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]


def asked(*words: object) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def begun(file: Path, folder: Path, *options: str) -> tuple[dict[str, Any], dict[str, Any], xr.Dataset]:
    """What `init` understood, what `ingest` did with the last piece, and what then is in the store."""
    found = asked("init", "mine", "--from", file, "--folder", folder, *options)
    done = asked("ingest", "--config", folder / "terracast.toml")
    assert done["refused"] is None
    view = Workspace.open(folder / "terracast.toml").store.read()
    domain = found["sources"][0]["domain"]
    return found, done["files"][-1], view.as_known_at(domain, np.datetime64("2261-01-01", "ns"))


def accidents(many: int = 6000, days: int = 300, seed: int = 0) -> pd.DataFrame:
    """A police force's accidents: date and time apart, day first, codes for words, rows in no order."""
    random = np.random.default_rng(seed)
    time = pd.Timestamp("2018-01-01") + pd.to_timedelta(random.integers(0, days * 1440, many), "min")
    return pd.DataFrame({"Accident_Index": [f"2018{at:06d}" for at in range(many)],
                         "Longitude": random.normal(-1.55, 0.05, many).round(6),
                         "Latitude": random.normal(53.8, 0.05, many).round(6),
                         "Accident_Severity": random.choice([1, 2, 3], many), "Date": time.strftime("%d/%m/%Y"),
                         "Day_of_Week": time.day_of_week + 1, "Time": time.strftime("%H:%M"),
                         "Speed_limit": random.choice([20, 30, 60], many)})


def test_accidents_with_a_date_and_a_time(tmp_path: Path) -> None:
    table = accidents()
    table.loc[:9, ["Longitude", "Latitude"]] = np.nan
    table.to_csv(tmp_path / "accidents.csv", index=False)
    found, done, panel = begun(tmp_path / "accidents.csv", tmp_path)
    (source,) = found["sources"]
    assert source["kind"] == "event" and source["step"] == "1d"
    assert done["missing"] == 10 and not done["rejected"] and float(panel["events"].sum()) == len(table) - 10
    assert [doubt["option"] for doubt in found["doubts"]] == ["--time-zone Europe/London"]
    toml = (tmp_path / "terracast.toml").read_text(encoding="utf-8")
    assert 'time_format = "%d/%m/%Y"' in toml and 'model = "counts"' in toml
    (tmp_path / "typed").mkdir()
    _, _, hourly = begun(tmp_path / "accidents.csv", tmp_path / "typed", "--time-zone", "Europe/London", "--step", "1h",
                         "--cell", "0.5", "--event-type", "Accident_Severity")
    assert set(hourly.data_vars) == {"events", "1", "2", "3"} and hourly.attrs["cell"] == "0.5,0.5"
    summer = pd.to_datetime(table["Date"] + " " + table["Time"], dayfirst=True)[10:].dt.tz_localize(
        "Europe/London", nonexistent="shift_forward", ambiguous=np.ones(len(table) - 10, bool)).dt.tz_convert("UTC")
    expected = summer.dt.tz_localize(None).dt.floor("1h").value_counts().sort_index()
    told = hourly["events"].sum("node").to_series()
    pd.testing.assert_series_equal(told[told > 0].astype(int), expected.astype(int), check_names=False,
                                   check_index_type=False, check_freq=False)


def test_a_corrected_export_of_events_is_a_revision_known_from_now_on(tmp_path: Path) -> None:
    first = accidents()
    first.to_csv(tmp_path / "accidents.csv", index=False)
    _, _, before = begun(tmp_path / "accidents.csv", tmp_path)
    corrected = first.drop(index=range(100))
    corrected.loc[100:149, ["Latitude", "Longitude"]] = 53.81, -1.55
    alone = before["events"].sum("time").idxmin("node").item()  # a cell that loses all its events
    at_lat, at_lon = (float(before[axis].sel(node=alone)) for axis in ("lat", "lon"))
    half = float(str(before.attrs["cell"]).partition(",")[0]) / 2
    inside = (corrected["Latitude"] - at_lat).abs().lt(half) & (corrected["Longitude"] - at_lon).abs().lt(half)
    corrected = corrected[~inside]
    corrected.to_csv(tmp_path / "accidents.csv", index=False)
    done = asked("ingest", "--config", tmp_path / "terracast.toml")["files"][-1]
    assert done["revised"] > 0 and not done["rejected"] and done["refused"] is None
    view = Workspace.open(tmp_path / "terracast.toml").store.read()
    after = view.as_known_at("mine", np.datetime64("2261-01-01", "ns"))
    assert float(after["events"].sum()) == len(corrected)
    assert float(after["events"].sel(node=alone).sum()) == 0
    history = view.as_known_at("mine", np.datetime64("2020-01-01", "ns"))
    assert float(history["events"].sum()) == len(first)  # nobody could know it then
    assert asked("ingest", "--config", tmp_path / "terracast.toml")["files"] == []


def test_a_second_export_beside_the_first_corrects_it_by_the_names_of_events(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    first = accidents()
    first.to_csv(folder / "2018-10.csv", index=False)
    begun(folder, tmp_path)
    second = first.iloc[3000:].copy()
    second.loc[second.index[:40], "Latitude"] += 0.1
    second.to_csv(folder / "2018-11.csv", index=False)
    asked("ingest", "--config", tmp_path / "terracast.toml")
    view = Workspace.open(tmp_path / "terracast.toml").store.read()
    after = view.as_known_at("mine", np.datetime64("2261-01-01", "ns"))
    assert float(after["events"].sum()) == len(first)  # told twice, counted once


def test_offences_by_district_need_no_place(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    time = pd.Timestamp("2021-01-01") + pd.to_timedelta(np.sort(random.integers(0, 300 * 1440, 4000)), "min")
    districts = random.choice(["Mitte", "Neukölln", "Spandau"], 4000)
    pd.DataFrame({"Vorgang": np.arange(4000), "Tatzeit": time.strftime("%d.%m.%Y %H:%M"), "Bezirk": districts,
                  "Delikt": random.choice(["Einbruch", "Fahrraddiebstahl"], 4000)}).to_csv(
        tmp_path / "delikte.csv", sep=";", index=False, encoding="cp1252")
    found, _, panel = begun(tmp_path / "delikte.csv", tmp_path)
    assert found["sources"][0]["kind"] == "event" and panel.node.values.tolist() == ["Mitte", "Neukölln", "Spandau"]
    assert panel["events"].sum("time").values.tolist() == pd.Series(districts).value_counts().sort_index().tolist()


def test_a_catalogue_whose_rows_are_updated_is_known_at_once(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    time = pd.Timestamp("2019-01-01") + pd.to_timedelta(np.sort(random.uniform(0, 400 * 86400, 5000)), "s")
    features = [{"type": "Feature", "id": f"us{at}", "properties": {
        "mag": 3.1, "place": "x", "time": int(one.timestamp() * 1000), "type": "earthquake",
        "updated": int((one + pd.Timedelta(random.exponential(40), "D")).timestamp() * 1000)},
        "geometry": {"type": "Point", "coordinates": [float(random.normal(142, 1)), float(random.normal(38, 1)), 10.0]}}
        for at, one in enumerate(time)]
    (tmp_path / "quakes.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found, done, panel = begun(tmp_path / "quakes.geojson", tmp_path)
    assert found["sources"][0]["kind"] == "event" and done["revised"] == 0 and found["doubts"] == []
    assert float(panel["events"].sum()) == 5000
    assert 'known_time = "updated"' not in (tmp_path / "terracast.toml").read_text(encoding="utf-8")


def test_ships_whose_header_looks_like_a_comment(tmp_path: Path) -> None:
    rows = []
    for ship in range(12):
        steps = np.arange(600)
        time = pd.Timestamp("2023-01-05") + pd.to_timedelta(steps * 600 + ship, "s")
        rows.append(pd.DataFrame({"# Timestamp": time.strftime("%d/%m/%Y %H:%M:%S"), "Type of mobile": "Class A",
                                  "MMSI": 219000000 + ship,
                                  "Latitude": (55.7 + 0.3 * np.sin(steps / 60 + ship)).round(5),
                                  "Longitude": (10.6 + 0.4 * np.cos(steps / 60 + ship)).round(5),
                                  "SOG": 10.1 + 0.1 * (steps % 7), "COG": 13.7, "Name": f"Ship {ship}"}))
    pd.concat(rows).sort_values("# Timestamp").to_csv(tmp_path / "aisdk.csv", index=False)
    doubts = asked("look", tmp_path / "aisdk.csv")["doubts"]
    assert doubts[0]["option"] == '--time-format "%d/%m/%Y %H:%M:%S" or --time-format "%m/%d/%Y %H:%M:%S"'
    found, _, panel = begun(tmp_path / "aisdk.csv", tmp_path, "--time-format", "%d/%m/%Y %H:%M:%S")
    assert found["sources"][0]["kind"] == "trajectory" and set(panel.data_vars) == {"movers", "speed"}
    assert panel["movers"].sum("node").max() >= 12 and str(panel.time.values[0])[:10] == "2023-01-05"


def test_snapshots_of_buses_and_rides_that_are_too_few(tmp_path: Path) -> None:
    folder = tmp_path / "feed"
    folder.mkdir()
    for minute in range(240):
        stamp = 1_700_000_000 + 60 * minute
        entities = [{"id": str(bus), "vehicle": {
            "vehicle": {"id": f"b{bus}"}, "timestamp": str(stamp - bus % 7),
            "position": {"latitude": 59.33 + 0.05 * np.sin(bus + minute / 40),
                         "longitude": 18.06 + 0.09 * np.cos(bus + minute / 40)}}} for bus in range(8)]
        feed = {"header": {"timestamp": str(stamp)}, "entity": entities}
        (folder / f"{minute:03d}.json").write_text(json.dumps(feed))
    (source,) = asked("look", folder)["sources"]
    assert source["kind"] == "trajectory" and source["step"] == "1min" and source["steps"] >= 239
    points = "".join(f'<trkpt lat="{47.3 + at / 1e4}" lon="8.5"><time>2023-05-{day:02d}T06:{at:02d}:00Z</time></trkpt>'
                     for day in range(1, 21) for at in range(40))
    (tmp_path / "rides.gpx").write_text(f"<gpx><trk><name>Ride</name><trkseg>{points}</trkseg></trk></gpx>")
    said = asked("look", tmp_path / "rides.gpx")
    assert said["sources"][0]["steps"] == 20 and "too few to learn from" in said["doubts"][0]["what"]


def buoys(path: Path, steps: int = 400) -> None:
    rows = []
    for buoy in range(4):
        random = np.random.default_rng(buoy)
        rows.append(pd.DataFrame({"ID": 6300000 + buoy, "date": pd.date_range("2022-01-01", periods=steps, freq="6h"),
                                  "latitude": (-30 + buoy + np.cumsum(random.normal(0, 0.02, steps))).round(3),
                                  "longitude": (20 + buoy + np.cumsum(random.normal(0, 0.02, steps))).round(3),
                                  "sst": (20 + np.sin(np.arange(steps) / 30) + random.normal(0, 0.1, steps)).round(2)}))
    pd.concat(rows).to_csv(path, index=False)


def test_drifting_buoys_keep_their_positions(tmp_path: Path) -> None:
    buoys(tmp_path / "buoys.csv")
    found, done, panel = begun(tmp_path / "buoys.csv", tmp_path)
    assert found["sources"][0]["kind"] == "point" and done["new"] == 1600 and done["rejected"] == {}
    assert panel["lat"].dims == ("time", "node") and set(panel.data_vars) == {"sst"}


@pytest.mark.slow
@pytest.mark.integration
def test_drifting_buoys_are_watched_to_a_report_with_a_map(tmp_path: Path) -> None:
    buoys(tmp_path / "buoys.csv")
    now = ("--now", "2022-04-11T06:00:00")
    for words in (("init", "buoys", "--from", "buoys.csv"), ("ingest",), ("watch", "--once", *now), ("forecast", *now),
                  ("discover", *now), ("report", *now), ("status", *now)):
        done = subprocess.run([*COMMAND, *words], cwd=tmp_path, capture_output=True, text=True,
                              env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert done.returncode in (0, 3), (words, done.stderr)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'id="map"' in page and "have no positions" not in page and "unit not stated" in page


def test_grids_without_degrees_are_refused_with_the_way_out(tmp_path: Path) -> None:
    time = pd.date_range("2022-01-01", periods=120, freq="h")
    flat = xr.Dataset({"t": (("time", "y", "x"), np.zeros((120, 3, 4)))}, {"time": time, "y": np.arange(3.0),
                                                                            "x": np.arange(4.0)})
    curved = flat.assign_coords(lat=(("y", "x"), np.ones((3, 4))), lon=(("y", "x"), np.ones((3, 4))))
    for name, grid in (("metres.nc", flat), ("curved.nc", curved)):
        grid.to_netcdf(tmp_path / name)
        done = subprocess.run([*COMMAND, "look", name], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 1 and "regrid it" in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_longitudes_round_the_pacific_and_files_a_day(tmp_path: Path) -> None:
    folder = tmp_path / "days"
    folder.mkdir()
    random = np.random.default_rng(0)
    for day in range(120):
        stamp = np.datetime64("2022-01-01", "ns") + np.timedelta64(day, "D")
        sea = random.normal(20, 1, (1, 3, 4)).astype("f4")
        sea[:, 0, 0] = np.nan
        xr.Dataset({"sst": (("time", "lat", "lon"), sea, {"units": "degC"})}, {
            "time": [stamp], "lat": [10.0, 9.0, 8.0], "lon": [358.0, 359.0, 360.0, 361.0]}).to_netcdf(
            folder / f"{day:03d}.nc")
    found, _, panel = begun(folder, tmp_path)
    assert found["sources"][0]["steps"] == 120 and panel.sizes == {"time": 120, "node": 11}
    assert sorted(set(panel["lon"].values)) == [-2.0, -1.0, 0.0, 1.0] and panel.attrs["cell"] == "1,1"
