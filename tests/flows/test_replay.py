"""``terracast replay`` the way a person types it, and what the report makes of the last one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from terracast.flows.report import report_on
from terracast.flows.reporting.replay_words import lines
from terracast.flows.service.replay_state import last_replay, place_of
from terracast.flows.workspace import Workspace

COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]


@pytest.fixture(scope="module")
def replayed(berlin: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A copy of the stream, and the answer of a replay of five days."""
    folder = tmp_path_factory.mktemp("replay") / "berlin"
    shutil.copytree(berlin, folder)
    asked = ["replay", "--policies", "frozen,loop", "--start", "2024-01-25", "--stop", "2024-01-30", "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*COMMAND, *asked], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_its_rows_hold_the_baselines_and_the_alarms_in_words(replayed: tuple[Path, dict]) -> None:
    answer = replayed[1]
    rows = {row["policy"]: row for row in answer["rows"]}
    assert set(rows) - {"seasonal-naive-day"} == {"seasonal-naive", "last-value", "frozen", "loop"}
    assert answer["protocol"]["seasons"].endswith(("by a day", "by a week"))
    assert answer["protocol"]["units"] == "ug m-3"
    # the stream repeats itself every day, so a day or a week ago is as good, and the last value is not
    assert rows["seasonal-naive"]["mae"] < 0.7 * rows["last-value"]["mae"]
    for row in rows.values():
        assert len(row["episodes"]) == row["alarms"]
        for one in row["episodes"]:
            assert {"id", "start", "nodes", "alarm"} <= one.keys() and one["alarm"].endswith(".")


def test_its_lines_fit_80_columns_and_end_with_advice(replayed: tuple[Path, dict]) -> None:
    told = lines(replayed[1])
    assert max(map(len, told)) <= 80
    text = " ".join(told)
    assert "air.no2 at 2 nodes, 12 hours ahead, every 6 hours" in text and text.count("µg m⁻³") >= 2
    assert 'adapt.policy = "' in " ".join(told[-4:]) and told[-1].endswith(".")
    assert any(line.startswith("seasonal-naive ") for line in told)
    assert ("would have raised no alarm" in text) == (not replayed[1]["alarms"])


def test_the_report_shows_the_last_replay_of_the_folder(replayed: tuple[Path, dict], tmp_path: Path) -> None:
    workspace = Workspace.open(replayed[0] / "terracast.toml")
    page = report_on(workspace, np.datetime64("2024-01-25T00:30", "ns"), tmp_path / "report.html").read_text()
    worth = page.split('id="worth"')[1].split("</section>")[0]
    assert "Replayed on " in worth and "air.no2 at 2 nodes" in worth and "seasonal-naive" in worth
    assert "from 2024-01-25 00:00 to 2024-01-30 00:00 UTC" in worth


def test_the_report_opens_with_past_and_forecast_from_the_first_step_on(berlin: Path, tmp_path: Path) -> None:
    workspace = Workspace.open(berlin / "terracast.toml")
    page = report_on(workspace, np.datetime64("2024-01-25T00:30", "ns"), tmp_path / "report.html").read_text()
    opening = page.split('id="next"')[1].split("</section>")[0]
    assert opening.count('<svg class="fan"') == 2 and opening.count('class="point"') == 24
    observed = opening.split('class="observed" d="')[1].split('"')[0]
    assert observed.count("L") == 47  # two days of hours before the forecast, not only since service began
    assert "issued 25 Jan 2024, 00:00 UTC" in opening and "Europe/Berlin" in opening
    assert "calm" in opening and "90 minutes old" in opening
    chart = page.split('id="timeline-chart"')[1].split("</script>")[0]
    assert chart.count('"observed"') > 20, "every stored day is in the chart"


def test_a_feed_that_ended_is_an_outage_on_the_page(berlin: Path, tmp_path: Path) -> None:
    workspace, now = Workspace.open(berlin / "terracast.toml"), np.datetime64("2026-01-25T00:30", "ns")
    page = report_on(workspace, np.datetime64("2024-01-25", "ns"), tmp_path / "report.html", seen_at=now).read_text()
    opening = page.split('id="next"')[1].split("</section>")[0]
    assert 'class="verdict outage"' in opening and "calm" not in opening
    assert "Nothing came from air after 2024-02-04 22:00 UTC" in opening and "All 2 stations are silent." in opening
    assert "0 of 2" in page and "2 in an outage" in page and "not affected" not in page


def test_a_folder_that_cannot_be_written_to_or_a_broken_file_stops_nothing(
        replayed: tuple[Path, dict], capsys: pytest.CaptureFixture[str]) -> None:
    workspace = Workspace.open(replayed[0] / "terracast.toml")
    path = place_of(workspace)
    kept = path.read_text()
    try:
        path.write_text("{")
        assert last_replay(workspace) is None
        assert "run `terracast replay` again" in capsys.readouterr().err
    finally:
        path.write_text(kept)
    assert last_replay(workspace) is not None
