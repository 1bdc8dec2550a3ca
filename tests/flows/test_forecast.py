"""``terracast forecast`` the way a person gets it: the command in a subprocess on a stream in service."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.flows.command import run_verb
from terracast.flows.forecast import as_json, forecast
from terracast.flows.reporting.forecast_words import all_lines, short_lines
from terracast.flows.reporting.freshness import NodeFreshness, SourceFreshness

COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]
NOW = "2024-01-25T01:30"
Run = Callable[..., subprocess.CompletedProcess[str]]


def typed(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run([*COMMAND, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The same command in this process, for what a process of its own would only make slower."""
    def command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["terracast", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run_verb()
        shown = capsys.readouterr()
        return subprocess.CompletedProcess(list(arguments), int(ended.value.code or 0), shown.out, shown.err)

    return command


def instant(text: str) -> np.datetime64:
    return np.datetime64(text, "ns")


def test_the_table_has_every_lead_in_both_times_with_units_in_80_columns(berlin: Path) -> None:
    done = typed("forecast", "--now", NOW, folder=berlin)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "Forecast of no2 (µg m⁻³) in air: median and 80 % interval"
    assert lines[1] == "issued 2024-01-25 00:00 UTC; newest value: 2024-01-25 00:00 UTC, 90 minutes old"
    assert max(map(len, lines)) <= 80
    for node in ("Mitte", "Wedding"):
        at = lines.index(node)
        assert lines[at + 1].split("  ")[0] == "Europe/Berlin" and "median (µg m⁻³)" in lines[at + 1]
        assert len(lines[at + 2:at + 14]) == 12
        assert lines[at + 2].startswith("Thu 2024-01-25 02:00  2024-01-25 01:00")


def test_json_holds_what_the_store_holds(berlin: Path) -> None:
    answer = json.loads(typed("forecast", "--now", NOW, "--json", folder=berlin).stdout)
    assert (answer["issue_time"], answer["target"], answer["units"]) == ("2024-01-25T00:00:00", "no2", "ug m-3")
    assert answer["newest_value"] == "2024-01-25T00:00:00" and answer["newest_value_age_seconds"] == 5400
    rows = pd.DataFrame(answer["rows"])
    assert list(rows.columns) == ["node", "valid_time", "median", "low", "high"] and len(rows) == 24
    issued = forecast(berlin / "terracast.toml", instant(NOW))
    stored = issued.values.sel(node="Wedding", quantile=0.9)
    mine = rows[rows["node"] == "Wedding"]
    np.testing.assert_allclose(mine["high"], stored.values, rtol=1e-6)
    assert (pd.to_datetime(mine["valid_time"]) == stored["valid_time"].values).all()
    assert (rows["low"] <= rows["median"]).all() and (rows["median"] <= rows["high"]).all()


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".nc"])
def test_files_hold_the_same_numbers(run: Run, berlin: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / "deep" / f"forecast{suffix}"
    done = run("forecast", "--now", NOW, "--out", str(out), "--json", folder=berlin)
    rows = pd.DataFrame(json.loads(done.stdout)["rows"])
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    if suffix != ".nc":
        table = pd.read_csv(out) if suffix == ".csv" else pd.read_parquet(out)
        np.testing.assert_allclose(table["median"], rows["median"], rtol=1e-6)
        assert table["units"].unique().tolist() == ["ug m-3"] and table["lat"].iloc[0] == 52.5
        assert table["local_time"].iloc[0] == "2024-01-25T02:00:00+0100"
        assert pd.to_datetime(table["valid_time"], utc=True).iloc[0] == pd.Timestamp("2024-01-25T01:00Z")
        return
    with xr.open_dataset(out) as held:
        assert held.attrs["Conventions"] == "CF-1.11" and held["no2"].dims == ("lead", "node", "quantile")
        assert held["no2"].attrs["units"] == held["median"].attrs["units"] == "ug m-3"
        assert held["valid_time"].attrs["standard_name"] == "time"
        assert held["issue_time"].values == instant("2024-01-25") and held["lat"].attrs["units"] == "degrees_north"
        np.testing.assert_allclose(held["median"].values.T.ravel(), rows["median"], rtol=1e-6)
        np.testing.assert_array_equal(held["low"], held["no2"].sel(quantile=0.1))


@pytest.mark.parametrize(("arguments", "words"), [
    (("--node", "Pankow"), "no node 'Pankow' (--node): expected some of Mitte, Wedding"),
    (("--out", "x.xlsx"), "no format '.xlsx'"),
    (("--out", "air.csv/x.csv"), "cannot be written"),
    (("--lead", "10min"), "no lead of 10 minutes or less"),
    (("--lead", "soon"), "not a length of time"),
    (("--issue-time", "2024-01-24T12:00"), "no forecast was issued of 2024-01-24 12:00 UTC"),
    (("--now", "2023-01-01"), "no forecast was issued by 2023-01-01 00:00 UTC"),
])
def test_mistakes_are_one_line(run: Run, berlin: Path, arguments: tuple[str, ...], words: str) -> None:
    done = run("forecast", *arguments, folder=berlin)
    assert done.returncode == 1 and done.stdout == ""
    assert words in done.stderr and done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")


def test_before_the_first_forecast_it_says_what_to_do(run: Run, berlin: Path, tmp_path: Path) -> None:
    shutil.copy(berlin / "terracast.toml", tmp_path)
    done = run("forecast", folder=tmp_path)
    assert done.returncode == 1 and "no forecast yet" in done.stderr and "`terracast watch --once`" in done.stderr


def test_what_a_person_asks_for_alone(run: Run, berlin: Path) -> None:
    done = run("forecast", "--now", NOW, "--node", "W*", "--lead", "3h", "--json", folder=berlin)
    rows = json.loads(done.stdout)["rows"]
    assert [row["valid_time"] for row in rows] == [f"2024-01-25T0{hour}:00:00" for hour in (1, 2, 3)]
    assert {row["node"] for row in rows} == {"Wedding"}


def test_a_silent_source_is_marked_beside_the_forecast(run: Run, berlin: Path) -> None:
    done = run("forecast", "--now", "2024-03-20T00:00", folder=berlin)
    assert "newest value: 2024-02-04 22:00 UTC, 44 days old" in done.stdout
    told = " ".join(done.stdout.split())
    assert "! Nothing came from air after 2024-02-04 22:00 UTC, 44 days ago. All 2 stations are silent." in told


def test_watch_ends_with_a_short_forecast_and_holds_it_in_json(run: Run, berlin: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(berlin, folder)
    done = typed("watch", "--once", "--now", "2024-01-25T06:30", folder=folder)
    lines = done.stdout.splitlines()
    assert lines[-1] == "more: terracast forecast" and max(map(len, lines[-7:])) <= 80, done.stdout
    assert "issued 2024-01-25 06:00 UTC; newest value: 2024-01-25 05:00 UTC, 90 minutes old" in lines
    assert [line.split("  ")[0] for line in lines[-3:-1]] == ["Mitte", "Wedding"]
    again = json.loads(run("watch", "--once", "--now", "2024-01-25T06:30", "--json", folder=folder).stdout)
    shown = json.loads(run("forecast", "--now", "2024-01-25T06:30", "--json", folder=folder).stdout)
    assert again["forecast"] == shown and again["ticks"] == 0


def test_many_nodes_are_a_line_each_and_the_rest_is_counted(berlin: Path) -> None:
    issued = forecast(berlin / "terracast.toml", instant(NOW))
    values = xr.concat([issued.values.isel(node=0)] * 200, "node").assign_coords(
        node=[f"station of the north, number {place}" for place in range(200)])
    lines = all_lines(replace(issued, values=values))
    assert len(lines) < 32 and max(map(len, lines)) <= 80
    assert "… and 180 further nodes" in lines and "--node NAME" in lines[-1]
    assert len({line.split("  ")[0] for line in lines if "number" in line}) == 20
    assert len(short_lines(replace(issued, values=values))) < 15


def test_a_node_called_0_is_named_where_it_was_chosen_from_many(berlin: Path) -> None:
    """"0" is also what a table without places calls its one place, which nobody wants to read."""
    whole = forecast(berlin / "terracast.toml", instant(NOW))
    alone = replace(whole, values=whole.values.isel(node=[0]).assign_coords(node=["0"]))
    assert "0" not in all_lines(alone) and "0" in all_lines(replace(alone, chosen_of=2))
    assert forecast(berlin / "terracast.toml", instant(NOW), nodes=["Mitte"]).chosen_of == 2


def test_levels_that_were_not_issued_are_said_honestly(berlin: Path) -> None:
    issued = forecast(berlin / "terracast.toml", instant(NOW))
    narrow = replace(issued, values=issued.values.sel(quantile=[0.2, 0.4, 0.6, 0.8]))
    assert narrow.interval == "60 % interval" and "60 % interval" in all_lines(narrow)[0]
    np.testing.assert_allclose(narrow.at(0.5), issued.values.sel(quantile=[0.4, 0.6]).mean("quantile"), rtol=1e-6)


def test_some_silent_nodes_are_named(berlin: Path) -> None:
    issued = forecast(berlin / "terracast.toml", instant(NOW))
    newest, old = instant("2024-01-25T00:00"), instant("2024-01-20T03:00")
    source = SourceFreshness("air", newest, None, False, (NodeFreshness("Mitte", newest, False),
                                                          NodeFreshness("Wedding", old, True)))
    told = replace(issued, sources=(source,))
    assert "! 1 of 2 stations of air is silent: Wedding since 2024-01-20 03:00 UTC." in all_lines(told)
    assert as_json(told)["sources"][0]["silent_nodes"] == ["Wedding"]
