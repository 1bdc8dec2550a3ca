"""Any stream starts: one variable, nothing that varies, a dead sensor, a short file, weather as the target."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.adapt.clock import Moment
from terracast.flows.discover import discover_now, refuse_if_silent
from terracast.flows.ingest import ingest_new
from terracast.flows.init import write_settings
from terracast.flows.replay import run_replay
from terracast.flows.retrain import begin_service
from terracast.flows.service.first_service import first_start, too_early
from terracast.flows.settings import in_words, read_settings
from terracast.flows.watch import watch_once
from terracast.flows.workspace import Workspace
from terracast.streams.errors import TerracastError

COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]
DAYS = 120


def typed(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=folder, capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})


def gauges(path: Path, days: int = DAYS, nodes: int = 2, **columns: str) -> Path:
    """A daily table: ``level`` moves, further ``columns`` are ``still`` or ``moving``; the last node of several says
    0 throughout where ``columns`` has ``dead``."""
    draws = np.random.default_rng(1)
    stamps = pd.date_range("2021-01-01", periods=days, freq="D")
    rows = []
    for node in range(nodes):
        table = pd.DataFrame({"date": stamps, "station": f"Gauge {node + 1}",
                              "level": np.round(2 + np.sin(np.arange(days) / 9) + 0.1 * draws.normal(size=days), 2)})
        for name, sort in columns.items():
            if name != "dead":
                table[name] = 3.0 if sort == "still" else np.round(draws.normal(size=days), 3)
        if "dead" in columns and node == nodes - 1:
            table["level"] = 0.0
        rows.append(table)
    pd.concat(rows).to_csv(path, index=False)
    return path


def workspace_of(folder: Path, data: Path, steps: int = 4) -> Workspace:
    """A workspace as ``init`` makes it, with few steps of training, and its data in the store."""
    config = write_settings("river", data, folder)
    config.write_text(re.sub(r"(\[base\][^\[]*?\nsteps = )\d+", rf"\g<1>{steps}", config.read_text()))
    workspace = Workspace.open(config)
    assert all(file.refused is None for file in ingest_new(workspace))
    return workspace


def end_of(workspace: Workspace) -> Moment:
    return Moment(np.datetime64("2021-01-01", "ns") + np.timedelta64(DAYS, "D"), workspace.store.read().history())


def test_the_plainest_file_there_is_replays_as_the_guide_says(tmp_path: Path) -> None:
    """One variable: nothing can drive it, one line says so, and replay gives its table."""
    gauges(tmp_path / "level.csv")
    written = typed("init", "level", "--from", "level.csv", folder=tmp_path)
    assert written.returncode == 0, written.stderr
    config = tmp_path / "terracast.toml"
    config.write_text(config.read_text().replace("steps = 800", "steps = 4"))
    done = typed("replay", "--policies", "frozen", "--stop", "2021-04-20", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {row["policy"] for row in json.loads(done.stdout)["rows"]} == {"seasonal-naive", "last-value", "frozen"}
    assert done.stderr.count("No drivers are used: level.level is the only series that varies.") == 1
    assert "yearly seasons are not known yet" in done.stderr and "beginning service: begins" in done.stderr
    found = typed("discover", "--now", "2021-05-01", "--json", folder=tmp_path)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["graph"]["links"] == [] and json.loads(found.stdout)["drivers"] == []


@pytest.mark.parametrize(("nodes", "columns", "words"), [
    (1, {}, "river.level is the only series that varies"),
    (2, {"gate": "still"}, "river.level is the only series that varies"),
    (1, {"dead": "yes"}, "no series varies"),
    (2, {"one": "moving", "two": "moving", "three": "moving"}, "steps"),  # too few for so many lags
])
def test_discovery_never_stops_a_stream(tmp_path: Path, nodes: int, columns: dict[str, str], words: str,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    days = 40 if len(columns) > 2 else DAYS
    workspace = workspace_of(tmp_path, gauges(tmp_path / "river.csv", days=days, nodes=nodes, **columns))
    found = discover_now(workspace, end_of(workspace))
    (reason,) = found.graph.assumptions
    assert found.graph.links == () and found.drivers == () and found.inputs() == {}
    assert reason.startswith("No drivers are used: ") and words in reason
    assert capsys.readouterr().err.count("No drivers are used") == 1
    assert found.made_by == discover_now(workspace, end_of(workspace)).made_by != ""


def test_what_was_told_of_earlier_graphs_is_kept_where_none_is_found(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, gauges(tmp_path / "river.csv"))
    found = discover_now(workspace, end_of(workspace))
    assert found.story.news == ()


def test_an_all_zero_sensor_is_served_without_error_or_alarm(tmp_path: Path) -> None:
    data = gauges(tmp_path / "river.csv", nodes=3, dead="yes")
    workspace = workspace_of(tmp_path, data)
    answer = run_replay(workspace.settings.folder / "terracast.toml", ["frozen"], None, None, _no_bar)
    frozen = {row["policy"]: row for row in answer["rows"]}["frozen"]
    assert np.isfinite(frozen["mae"])
    begun = begin_service(workspace, end_of(workspace).now)
    assert begun is None and workspace.registry.champion() == "1"


def _no_bar(label: str, total: int):  # type: ignore[no-untyped-def]
    from contextlib import nullcontext
    return nullcontext(lambda steps: None)


def test_quarters_are_known_when_the_next_one_begins_and_none_of_them_is_an_outage(tmp_path: Path) -> None:
    stamps = pd.date_range("1980-01-01", periods=170, freq="QS")
    swing = 10 * np.sin(np.arange(170) * np.pi / 2) + np.random.default_rng(5).normal(0, 3, 170)
    pd.DataFrame({"date": stamps, "orders": np.round(100 + swing, 1)}).to_csv(tmp_path / "orders.csv", index=False)
    workspace = workspace_of(tmp_path, tmp_path / "orders.csv")
    settings = workspace.settings
    assert in_words(settings.stream.step) == "3mo" and "us" not in in_words(settings.discovery.window)
    known = workspace.store.read().history().recorded("river").panel["known_time"].values.ravel()
    np.testing.assert_array_equal(known[:-1], stamps.to_numpy("datetime64[ns]")[1:])
    found = run_replay(settings.folder / "terracast.toml", ["frozen"], None, None,
                       lambda what, ticks: nullcontext(lambda done: None))
    assert not [one for row in found["rows"] for one in row["episodes"] if one["sort"] == "health"]


def test_a_weekend_is_no_outage_where_nothing_ever_came_at_weekends(tmp_path: Path) -> None:
    stamps = pd.bdate_range("2021-01-01", periods=260)
    sales = 200 + np.random.default_rng(6).normal(0, 8, 260)
    pd.DataFrame({"date": stamps, "sales": np.round(sales)}).to_csv(tmp_path / "sales.csv", index=False)
    config = workspace_of(tmp_path, tmp_path / "sales.csv").settings.folder / "terracast.toml"
    found = run_replay(config, ["frozen"], None, None, lambda what, ticks: nullcontext(lambda done: None))
    assert not [one for row in found["rows"] for one in row["episodes"] if one["sort"] == "health"]


def test_a_stream_that_never_moves_replays_without_an_alarm(tmp_path: Path) -> None:
    config = workspace_of(tmp_path, gauges(tmp_path / "river.csv", nodes=1, dead="yes")).settings.folder
    found = run_replay(config / "terracast.toml", ["frozen", "loop"], None, None,
                       lambda what, ticks: nullcontext(lambda done: None))
    assert [row["mae"] for row in found["rows"]] == [0.0] * len(found["rows"]) and found["alarms"] == []
    assert found["summary"]["mae_ratio_to_frozen"] == found["summary"]["worst_node_ratio"] == 1.0


@pytest.mark.parametrize("silent", [(70, 90), (100, 119)], ids=["before", "in the end"])
def test_a_silence_longer_than_what_a_forecaster_sees_is_passed_over(tmp_path: Path, silent: tuple[int, int]) -> None:
    """In the past that service begins with, and in what is replayed: nothing is forecast from nothing."""
    data = gauges(tmp_path / "river.csv")
    first, last = (pd.Timestamp("2021-01-01") + pd.Timedelta(days=day) for day in silent)
    table = pd.read_csv(data, parse_dates=["date"])
    table[(table["date"] <= first) | (table["date"] >= last)].to_csv(data, index=False)
    config = write_settings("river", data, tmp_path)
    text = re.sub(r'history = "[^"]*"', 'history = "7d"', config.read_text())
    config.write_text(re.sub(r"(\[base\][^\[]*?\nsteps = )\d+", r"\g<1>4", text))
    found = run_replay(config, ["frozen", "loop"], None, None, lambda what, ticks: nullcontext(lambda done: None))
    assert {row["policy"] for row in found["rows"]} >= {"seasonal-naive", "last-value", "frozen", "loop"}
    assert all(np.isfinite([row["mae"], row["crps"]]).all() for row in found["rows"])
    step = watch_once(Workspace.open(config), np.datetime64("2021-05-02", "ns"))
    assert step.champion == "1" and step.ticks == 1 and step.forecast is not None


def test_a_feed_that_ended_is_named_with_the_way_back(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, gauges(tmp_path / "river.csv"))
    history = workspace.store.read().history()
    with pytest.raises(TerracastError, match="2021-04-30") as refused:
        refuse_if_silent(workspace, Moment(np.datetime64("2031-01-01"), history))
    assert "--now 2021-04-30" in str(refused.value) and "\n" not in str(refused.value)
    refuse_if_silent(workspace, Moment(np.datetime64("2021-05-02"), history))


def test_a_short_file_begins_with_what_it_holds_and_leaves_something_to_score(tmp_path: Path) -> None:
    """61 days of days: england_covid."""
    workspace = workspace_of(tmp_path, gauges(tmp_path / "river.csv", days=61, nodes=3))
    start = first_start(workspace, workspace.store.read().history())
    last = np.datetime64("2021-03-02", "ns")
    assert np.datetime64("2021-01-30") < start < last - np.timedelta64(10, "D")
    answer = run_replay(workspace.settings.folder / "terracast.toml", ["frozen"], None, None, _no_bar)
    assert answer["summary"]["issue_times"] >= 10
    assert begin_service(workspace, last + np.timedelta64(1, "D")) is None


def test_a_replay_that_ends_before_a_forecast_is_over_is_refused_before_anything_is_fitted(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, gauges(tmp_path / "river.csv", days=61, nodes=1))
    with pytest.raises(TerracastError, match="before the first forecast, of 2021-02-15T00:00, is over") as refused:
        run_replay(workspace.settings.folder / "terracast.toml", ["frozen"], "2021-02-15", "2021-02-17", _no_bar)
    assert "--stop" in str(refused.value)


def test_too_short_says_how_much_there_is_and_what_to_set(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, gauges(tmp_path / "river.csv", days=61))
    config = workspace.settings.folder / "terracast.toml"
    config.write_text(config.read_text().replace('model = "shipped"', 'model = "native"\nfirst_fit = "365d"'))
    config.write_text(config.read_text().replace('history = "60d"', 'history = "7d"'))
    moment = Moment(np.datetime64("2021-03-03", "ns"), workspace.store.read().history())
    waiting = too_early(Workspace.open(config), moment)
    assert waiting is not None and "60 of 365 days of river are known" in waiting
    wanted = re.findall(r'base\.first_fit = "(\w+)"', waiting)
    assert wanted == ["60d"]
    config.write_text(config.read_text().replace('first_fit = "365d"', f'first_fit = "{wanted[0]}"'))
    assert too_early(Workspace.open(config), moment) is None, "what is said can be typed"
    config.write_text(config.read_text().replace('history = "7d"', 'history = "60d"'))
    waiting = too_early(Workspace.open(config), moment)
    assert waiting is not None and 'stream.history = "' in waiting


def weather_and_air(path: Path) -> Path:
    stamps = pd.date_range("2021-01-01", periods=90, freq="D")
    draws = np.random.default_rng(2)
    names = {"tas": "air_temperature", "pr": "precipitation_flux", "no2": "", "snow": ""}
    panel = xr.Dataset({name: (("time", "node"), draws.normal(size=(90, 2)),
                               {"units": "1", "long_name": name} | ({"standard_name": cf} if cf else {}))
                        for name, cf in names.items()},
                       {"time": stamps, "node": ["a", "b"]}, {"domain": "x", "kind": "sensor", "step": "1D"})
    panel.to_netcdf(path)
    return path


@pytest.mark.parametrize(("name", "target", "own", "weather"), [
    ("can", "tas", {"tas", "no2"}, {"pr", "snow"}),
    ("can", "no2", {"no2"}, {"tas", "pr", "snow"}),
    ("can", None, {"no2"}, {"tas", "pr", "snow"}),
    ("weather", "tas", {"tas", "pr", "no2", "snow"}, set()),
    ("weather", "no2", {"tas", "pr", "no2", "snow"}, set()),
])
def test_the_target_is_in_the_streams_own_domain(tmp_path: Path, name: str, target: str | None, own: set[str],
                                                 weather: set[str]) -> None:
    config = write_settings(name, weather_and_air(tmp_path / "x.nc"), tmp_path, target=target)
    settings = read_settings(config)
    held = {source.domain: set(source.variables) for source in settings.sources}
    assert settings.stream.target in held[settings.stream.domain]
    assert held == {name: own} | ({"weather": weather} if weather else {})


def test_a_weather_variable_is_watched(tmp_path: Path) -> None:
    config = write_settings("can", weather_and_air(tmp_path / "x.nc"), tmp_path, target="tas")
    config.write_text(config.read_text().replace("steps = 800", "steps = 4"))
    workspace = Workspace.open(config)
    ingest_new(workspace)
    assert begin_service(workspace, np.datetime64("2021-04-01", "ns")) is None
