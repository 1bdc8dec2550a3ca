"""The bench of journeys: which files are walked, and that a journey is what a user types, failures told as they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.benchmarks.journeys.bench import JourneyBench, _typed
from terracast.benchmarks.journeys.files import Data, files_of, looked_into

COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]


def daily(path: Path, days: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"date": pd.date_range("2021-01-01", periods=days), "station": "a",
                  "level": np.random.default_rng(0).normal(size=days)}).to_csv(path, index=False)
    return path


def test_what_is_walked_and_what_is_left_out(tmp_path: Path) -> None:
    long = daily(tmp_path / "river" / "level.csv", 250)
    grid = tmp_path / "grid.nc"
    xr.Dataset({"t": (("time", "lat", "lon"), np.zeros((300, 2, 2)))},
               {"time": pd.date_range("2020-01-01", periods=300), "lat": [1.0, 2.0], "lon": [5.0, 6.0]}).to_netcdf(grid)
    months = tmp_path / "months.nc"
    xr.Dataset({"z": (("month", "lat", "lon"), np.zeros((2, 2, 2)))},
               {"month": [1, 7], "lat": [1.0, 2.0], "lon": [5.0, 6.0]}).to_netcdf(months)
    events = tmp_path / "events.parquet"
    random = np.random.default_rng(0)
    pd.DataFrame({"time": pd.date_range("2020-01-01", periods=4000, freq="h"), "lon": random.uniform(5, 6, 4000),
                  "lat": random.uniform(1, 2, 4000), "what": "fire"}).to_parquet(events)
    found = looked_into(long)
    assert isinstance(found, Data) and (found.steps, found.nodes) == (250, 1)
    assert found.end == found.first + pd.Timedelta("250D")
    steps = [(one.steps, one.nodes) for one in (looked_into(grid), looked_into(events)) if isinstance(one, Data)]
    assert steps[0] == (300, 4) and steps[1][0] == 167
    assert "month (2)" in str(looked_into(months)) and "100 steps or more" in str(looked_into(months))
    assert str(looked_into(daily(tmp_path / "short.csv", 12))).startswith("12 steps, under 20: too few")
    daily(tmp_path / "river" / "other.csv", 250)
    assert files_of(tmp_path / "river", 1) == [long] and len(files_of(tmp_path / "river", 2)) == 2


def test_a_file_that_init_refuses_is_a_failure_in_its_own_words(tmp_path: Path) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text("time,node,level\n" + "".join(f"2021-01-01 00:{n % 60:02d},a,x\n" for n in range(300)))
    rows: list[dict] = []  # type: ignore[type-arg]
    answer = JourneyBench(limit=120).answer([tmp_path], None, "terracast bench journeys", rows.append)
    (row,) = answer["rows"]
    assert row["failed"].startswith("init: error: ") and "traceback" not in row["failed"] and rows == [row]
    assert answer["summary"] == {"files": 1, "worked": 0, "failed": 1, "left_out": 0}


def test_a_verb_that_does_not_end_is_ended(tmp_path: Path) -> None:
    code, words = _typed(("bench", "--help"), tmp_path, 0.05)
    assert code is None and "not done within" in words


@pytest.mark.slow
def test_a_journey_from_init_to_status(tmp_path: Path) -> None:
    daily(tmp_path / "level.csv", 250)
    done = subprocess.run([*COMMAND, "bench", "journeys", "--data", "level.csv", "--training", "4", "--json"],
                          cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["failed"] is None, row["failed"]
    assert set(row["verbs"]) == {"init", "replay", "watch", "forecast", "discover", "report", "status"}
