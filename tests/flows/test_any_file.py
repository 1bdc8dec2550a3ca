"""Files as people really have them, by the commands a user types: what `init` finds is what `ingest` reads."""

from __future__ import annotations

import gzip
import json
import re
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from terracast.flows.command import app
from terracast.flows.settings import read_settings
from terracast.flows.workspace import Workspace
from tests.streams.tables_of_others import TABLES, write

CASES = Path(__file__).parents[1] / "cases"
FATES = ("new", "late", "duplicate", "revised", "missing", "joined")


def typed(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def asked(*words: object) -> dict[str, Any]:
    done = typed(*words, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def begun(file: Path, folder: Path, *options: str) -> tuple[dict[str, Any], list[dict[str, Any]], xr.Dataset]:
    """What `init` answers, what `ingest` does, and what then is in the store of the target's domain."""
    found = asked("init", "mine", "--from", file, "--folder", folder, *options)
    files = asked("ingest", "--config", folder / "terracast.toml")["files"]
    for one in files:
        assert one["refused"] is None
        assert one["read"] == sum(one[fate] for fate in FATES) + sum(one["rejected"].values())
    workspace = Workspace.open(folder / "terracast.toml")
    domain = workspace.settings.stream.domain
    return found, files, workspace.store.read().as_known_at(domain, np.datetime64("2100-01-01"))


# file, options typed, steps and nodes in the store, first and last stamp, units by variable, values missing
RIGHT = [
    ("european-export.csv", (), 1321, 3, "2024-01-01T00:00", "2024-02-25T00:00",
     {"NO2": "µg m-3", "PM10": "µg m-3"}, 0),
    ("hour-24.csv", (), 1200, 1, "2024-01-01T01:00", "2024-02-20T00:00", {"pm25": "unknown"}, 0),
    ("monthly-series.csv", (), 312, 2, "1995-01-01T00:00", "2020-12-01T00:00", {"rain_mm": "mm"}, 0),
    ("own-column-names.csv", (), 261, 4, "2015-10-05T00:00", "2020-09-28T00:00", {"cases": "unknown"}, 0),
    ("parameter-value-unit.csv", (), 313, 3, "2024-01-01T00:00", "2024-01-14T00:00",
     {"pm25": "µg m-3", "no2": "µg m-3"}, 0),
    ("preamble-lines.csv", (), 1009, 1, "2024-01-01T00:00", "2024-02-12T00:00", {"no2": "unknown"}, 0),
    ("sentinel-999.csv", (), 1201, 3, "2024-01-01T00:00", "2024-02-20T00:00", {"pm10": "unknown"}, 256),
    ("start-end-validity.csv", (), 1009, 2, "2024-01-01T00:00", "2024-02-12T00:00", {"Value": "ug.m-3"}, 58),
    ("text-columns-beside.csv", (), 1009, 3, "2024-01-01T00:00", "2024-02-12T00:00", {"no2": "unknown"}, 0),
    ("thousands-commas.csv", (), 1009, 1, "2024-01-01T00:00", "2024-02-12T00:00", {"vehicles": "unknown"}, 0),
    ("twelve-hour-clock.csv", (), 1201, 1, "2024-01-01T00:00", "2024-02-20T00:00", {"Flow": "unknown"}, 0),
    ("unit-row.csv", (), 1201, 1, "2024-01-01T00:00", "2024-02-20T00:00", {"temp": "degC", "wind": "m s-1"}, 0),
    ("unsorted-rows.csv", (), 1201, 4, "2024-01-01T00:00", "2024-02-20T00:00", {"speed": "unknown"}, 0),
    ("utf-16.csv", (), 456, 4, "2024-01-01T00:00", "2024-01-19T23:00", {"speed": "unknown"}, 0),
    ("wide-detectors.csv", ("--wide", "speed"), 1201, 4, "2024-01-01T00:00", "2024-02-20T00:00",
     {"speed": "unknown"}, 0),
    ("year-and-week.csv", (), 261, 3, "2015-10-05T00:00", "2020-09-28T00:00", {"%ILI": "%", "TOTAL": "unknown"}, 13),
    ("a-stamp-in-2042.csv", (), 1009, 1, "2024-01-01T00:00", "2024-02-12T00:00", {"no2": "unknown"}, 0),
    ("day-first-or-month-first.csv", ("--time-format", "%d/%m/%Y %H:%M"), 288, 1, "2024-03-01T00:00",
     "2024-03-12T23:00", {"no2": "unknown"}, 0),
]


@pytest.mark.parametrize(("file", "options", "steps", "nodes", "first", "last", "units", "missing"), RIGHT,
                         ids=[row[0] for row in RIGHT])
def test_a_file_is_understood_and_read(tmp_path: Path, file: str, options: tuple[str, ...], steps: int, nodes: int,
                                       first: str, last: str, units: dict[str, str], missing: int) -> None:
    found, _, panel = begun(CASES / file, tmp_path, *options)
    assert panel.sizes == {"time": steps, "node": nodes}
    assert [str(panel["time"].values[at])[:16] for at in (0, -1)] == [first, last]
    assert {name: str(panel[name].attrs["units"]) for name in map(str, panel.data_vars)} == units
    assert int(panel[next(iter(units))].isnull().sum()) == missing
    (source,) = found["sources"]
    assert source["steps"] == steps and source["nodes"] == nodes
    assert source["rows"]["read"] == source["rows"]["kept"] + sum(source["rows"]["rejected"].values())


def test_a_river_gauge_export(tmp_path: Path) -> None:
    found, _, panel = begun(CASES / "usgs-rdb.txt", tmp_path)
    values = panel["12345_00060"].values
    assert (found["sources"][0]["steps"], np.isnan(values).sum()) == (961, 65) and np.nanmin(values) >= 0
    assert str(panel["time"].values[0])[:16] == "2024-01-01T05:00", "EST is five hours behind UTC"


def test_either_order_of_day_and_month_is_asked_for(tmp_path: Path) -> None:
    file = CASES / "day-first-or-month-first.csv"
    refused = typed("init", "mine", "--from", file, "--folder", tmp_path)
    assert refused.exit_code and not (tmp_path / "terracast.toml").exists()
    words = str(refused.exception)
    assert "2024-03-01" in words and "2024-01-03" in words and words.count("--time-format") == 2 and "\n" not in words
    told = typed("init", "mine", "--from", file, "--folder", tmp_path, "--time-format", "%m/%d/%Y %H:%M")
    assert told.exit_code == 0 and "96 % of the span" in told.stdout


def test_local_time_betrays_itself(tmp_path: Path) -> None:
    file = CASES / "local-time-spring.csv"
    told = typed("init", "mine", "--from", file, "--folder", tmp_path)
    assert "absent everywhere on 2024-03-31" in told.stdout and "--time-zone Europe/Berlin" in told.stdout
    assert re.search(r'^# time_zone = .*read as UTC', (tmp_path / "terracast.toml").read_text(), re.MULTILINE)
    _, _, panel = begun(file, tmp_path / "local", "--time-zone", "Europe/Berlin")
    assert (np.diff(panel["time"].values) == np.timedelta64(1, "h")).all()
    assert str(panel["time"].values[0])[:16] == "2024-03-10T00:00"


def test_the_year_2042_is_told_by_ingest(tmp_path: Path) -> None:
    _, (file,), _ = begun(CASES / "a-stamp-in-2042.csv", tmp_path)
    assert file["rejected"] == {"in the future": 1} and file["new"] == 1009


def test_a_sentinel_is_told(tmp_path: Path) -> None:
    told = typed("init", "mine", "--from", CASES / "sentinel-999.csv", "--folder", tmp_path)
    assert "-999.0 occurs 256 times" in told.stdout
    assert tomllib.loads((tmp_path / "terracast.toml").read_text())["sources"][0]["missing"] == ["-999.0"]


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    told = typed("init", "mine", "--from", CASES / "text-columns-beside.csv", "--folder", tmp_path)
    assert "no2_flag: a flag" in told.stdout and "comment: empty" in told.stdout


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_of_others_is_read_by_ingest_as_look_said(tmp_path: Path, name: str) -> None:
    """The settings alone read the same as was shown: nothing is guessed at ingest."""
    file = write(TABLES[name](), tmp_path)
    found, files, panel = begun(file, tmp_path / "out")
    shown = found["sources"][0]
    assert (shown["steps"], shown["nodes"]) == (panel.sizes["time"], panel.sizes["node"])
    assert {one["name"] for one in shown["variables"]} == set(panel.data_vars)
    read_settings(tmp_path / "out" / "terracast.toml")
    assert len(files) == len(found["sources"])


def words_of_options() -> set[str]:
    """All options of `init`, `add` and `look` that say how a file is read."""
    helped = [set(re.findall(r"--[a-z-]+", typed(verb, "--help").stdout)) for verb in ("init", "add", "look")]
    return set.intersection(*helped)


def test_all_that_is_advised_can_be_typed(tmp_path: Path) -> None:
    """Each doubt of each made-up export names options of `init`, `add` and `look`."""
    able, advised = words_of_options(), set()
    for name in sorted(TABLES):
        for doubt in asked("look", write(TABLES[name](), tmp_path))["doubts"]:
            advised |= set(re.findall(r"--[a-z-]+", doubt["option"]))
    assert len(advised) > 8 and advised <= able, advised - able


def test_hours_across_are_kept_by_their_own_words(tmp_path: Path) -> None:
    """What was found can be typed: the same panel comes of it, and another pattern is refused in one line."""
    file = write(TABLES["hours_ending_across"](), tmp_path)
    found = asked("look", file, "--across", "HE{hour}", "--value", "load")["sources"][0]
    assert (found["steps"], found["nodes"], found["variables"][0]["name"]) == (1440, 2, "load")
    for pattern, told in (("HE{our}", "{hour}"), ("Q{hour}", "OpDate")):
        refused = typed("look", file, "--across", pattern)
        assert refused.exit_code and told in str(refused.exception) and "\n" not in str(refused.exception)


def test_values_in_another_unit(tmp_path: Path) -> None:
    file = table(tmp_path / "air.csv", **{"temp (°F)": 50.0 + np.arange(400) % 9, "no2 (ppb)": np.arange(400.0) % 30})
    folder = tmp_path / "out"
    _, _, panel = begun(file, folder, "--convert", "temp=degC", "--domain", "temp=mine")
    assert panel["temp"].attrs["units"] == "degC" and float(panel["temp"][0, 0]) == pytest.approx(10.0)
    refused = typed("look", file, "--convert", "no2=mm")
    assert refused.exit_code and "no2 in 'ppb' is no 'mm'" in str(refused.exception)


def test_facts_of_places_are_kept_beside_them(tmp_path: Path) -> None:
    out = tmp_path / "panel.nc"
    file = write(TABLES["facts_of_places"](), tmp_path)
    found = asked("look", file, "--out", out)["sources"][0]
    assert [one["column"] for one in found["left_out"] if "kept beside it" in one["why"]] == ["road", "height"]
    with xr.open_dataset(out) as held:
        assert held["height"].values.tolist() == [12.0, 40.0] and held["road"].values.tolist() == ["motorway", "street"]


def test_places_are_drawn(tmp_path: Path) -> None:
    stamps = pd.date_range("2024-01-01", periods=100, freq="h", tz="UTC")
    frames = [pd.DataFrame({"time": stamps, "station": f"S{at}", "lat": lat, "lon": lon, "no2": np.arange(100.0) % 24})
              for at, (lat, lon) in enumerate(((48.0, 9.0), (48.0, 9.5), (48.4, 9.5), (48.4, 9.5)))]
    pd.concat(frames).to_csv(tmp_path / "air.csv", index=False)
    shown = typed("look", tmp_path / "air.csv").stdout.splitlines()
    drawn = [line.strip() for line in shown if re.fullmatch(r"  [.o2]+", line)]
    assert drawn[0] == "." * (len(drawn[0]) - 1) + "2" and drawn[-1][0] == drawn[-1][-1] == "o"


@pytest.mark.parametrize("ending", ["csv.gz", "zip"])
def test_packed_files_are_read_as_they_are(tmp_path: Path, ending: str) -> None:
    plain = table(tmp_path / "air.csv", no2=np.arange(400.0) % 24)
    packed = tmp_path / f"air.{ending}"
    if ending == "zip":
        with zipfile.ZipFile(packed, "w") as archive:
            archive.write(plain, "data/air.csv")
    else:
        packed.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    found, files, panel = begun(packed, tmp_path / "out")
    assert found["sources"][0]["file"].endswith(ending) and files[0]["new"] == panel.sizes["time"] == 400


def table(path: Path, start: str = "2024-01-01", hours: int = 400, **columns: object) -> Path:
    time = pd.date_range(start, periods=hours, freq="h")
    pd.DataFrame({"time": time, **columns}).to_csv(path, index=False)
    return path


def test_a_corrected_export_is_a_revision_known_from_now_on(tmp_path: Path) -> None:
    values = np.arange(400.0) % 24
    file = table(tmp_path / "air.csv", no2=values)
    typed("init", "mine", "--from", file, "--folder", tmp_path)
    config = tmp_path / "terracast.toml"
    asked("ingest", "--config", config)
    table(file, no2=np.where(np.arange(400) == 7, 99.0, values))
    (answer,) = asked("ingest", "--config", config)["files"]
    assert (answer["revised"], answer["duplicate"], answer["rejected"]) == (1, 399, {})
    view = Workspace.open(config).store.read()
    old, new = (view.as_known_at("mine", np.datetime64(stamp))["no2"].values[7, 0]
                for stamp in ("2024-02-01", "2100-01-01"))
    assert (old, new) == (7.0, 99.0)
    with file.open("a") as more:
        more.write("2024-01-17 16:00:00,5\n")
    (answer,) = asked("ingest", "--config", config)["files"]
    assert (answer["new"], answer["revised"], answer["duplicate"]) == (1, 0, 400), "the correction is known by now"


def test_several_files_and_one_more(tmp_path: Path) -> None:
    wave = np.sin(np.arange(400) / 9)
    air = table(tmp_path / "air.csv", no2=20 + 5 * wave, temp=10 + wave, is_holiday=(np.arange(400) // 24 % 7 == 6) * 1)
    rain = table(tmp_path / "rain.csv", rain_mm=np.maximum(wave, 0))
    traffic = table(tmp_path / "traffic.csv", vehicles=np.round(500 + 100 * wave))
    found = asked("init", "city", "--from", air, "--from", rain, "--folder", tmp_path, "--domain", "temp=city")
    assert [(one["domain"], one["variables"][0]["name"]) for one in found["sources"]] == [
        ("city", "no2"), ("calendar", "is_holiday"), ("weather", "rain_mm")]
    config = tmp_path / "terracast.toml"
    asked("add", traffic, "--config", config, "--delay", "15min")
    settings = read_settings(config)
    assert [one.domain for one in settings.sources] == ["city", "calendar", "weather", "traffic"]
    assert settings.sources[0].variables == ("no2", "temp") and settings.sources[3].delay == pd.Timedelta("15min")
    assert sum(one["new"] for one in asked("ingest", "--config", config)["files"]) == 1600
    daily = tmp_path / "daily.csv"
    days = pd.date_range("2024-01-01", periods=30)
    pd.DataFrame({"time": days, "vehicles": np.arange(30.0) % 7}).to_csv(daily, index=False)
    refused = typed("add", daily, "--config", config, "--domain", "traffic")
    assert refused.exit_code and "--domain NAME" in str(refused.exception)


def test_look_writes_what_it_read(tmp_path: Path) -> None:
    out = tmp_path / "panel.nc"
    found = asked("look", CASES / "european-export.csv", "--out", out)
    assert set(found) == {"sources", "doubts"}
    assert set(found["sources"][0]) == {"file", "domain", "kind", "step", "anchor", "time_zone", "steps", "first",
                                        "last", "nodes", "variables", "left_out", "rows"}
    with xr.open_dataset(out) as held:
        assert held.sizes["time"] == 1321 and set(held.data_vars) == {"NO2", "PM10"}


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    told = typed("init", "mine", "--from", CASES / "unit-row.csv", "--folder", tmp_path, "--dry-run")
    assert told.exit_code == 0 and "degC" in told.stdout and not list(tmp_path.iterdir())


def test_on_a_terminal_it_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from terracast.flows import look

    asked_for: list[str] = []

    def answer(question: str, default: str) -> str:
        asked_for.append(question)
        return default

    monkeypatch.setattr(look, "_is_terminal", lambda: True)
    monkeypatch.setattr(look.typer, "prompt", answer)
    schema = look.understood(CASES / "day-first-or-month-first.csv", {}, "air")
    assert len(asked_for) == 1 and "--time-format" in asked_for[0] and not schema.undecided
    assert schema.sources[0].options["time_format"] == "%d/%m/%Y %H:%M", "the likelier one is proposed"
