"""Small files that once failed, each walked as its owner would: the command, default settings, a folder of its own.

Only the number of optimisation steps of a fit is lowered, and where years tell no more, the oldest are left out.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.flows.cases import CASES, case_since
from tests.flows.made_once import MadeOnce

CALM, ERROR, TOLD = 0, 1, 3


class Owner:
    """Somebody with one file, a terminal and a folder; ``types`` answers what was printed there."""

    def __init__(self, file: Path, folder: Path, stream: str) -> None:
        self.folder = folder
        self.types("init", stream, "--from", str(file), "--folder", ".")
        self.config = folder / "terracast.toml"
        self.config.write_text(re.sub(r"(\[base\][^\[]*?\nsteps = )\d+", r"\g<1>20", self.config.read_text()))

    def types(self, *words: str, expect: int = CALM) -> str:
        done = subprocess.run([sys.executable, "-c", "from terracast.flows.command import main; main()", *words],
                              cwd=self.folder, capture_output=True, text=True, encoding="utf-8",
                              env={**os.environ, "COLUMNS": "80", "OMP_NUM_THREADS": "1"})
        assert done.returncode == expect, f"{words}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        assert "Traceback" not in done.stderr
        if expect == ERROR:
            assert done.stderr.strip().count("\n") == 0, "one line"
            return done.stderr
        return done.stdout

    def asks(self, *words: str, expect: int = CALM) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.types(*words, "--json", expect=expect))
        return found


@pytest.fixture
def owner(request: pytest.FixtureRequest, tmp_path: Path, made_once: MadeOnce) -> Owner:
    name, since = request.param
    made_once.give_registry(tmp_path)
    return Owner(case_since(name, since, tmp_path) if since else CASES / f"{name}.csv", tmp_path, "mine")


def case(name: str, since: str = "") -> pytest.MarkDecorator:
    return pytest.mark.parametrize("owner", [(name, since)], indirect=True, ids=[name])


@case("one-variable-stream", since="2023-09-01")
def test_one_variable_and_nothing_beside_it(owner: Owner) -> None:
    told = owner.types("replay", "--policies", "frozen,loop", "--start", "2024-11-01")
    assert re.search(r"frozen +\d", told) and re.search(r"loop +\d", told) and "adapt.policy" in told


@case("weekly-monday-counts", since="2021-11-29")
def test_weeks_that_begin_on_mondays(owner: Owner) -> None:
    found = owner.asks("replay", "--policies", "frozen")
    assert found["protocol"]["nodes"] == 4 and found["summary"]["issue_times"] > 75
    alarms = [one for row in found["rows"] for one in row["episodes"]]
    assert not [one for one in alarms if one["nodes"] == ["District 4"]], "it counts nothing, always"
    step = owner.asks("watch", "--once", "--now", "2026-11-24")
    assert step["champion"] == "1" and step["ticks"] >= 1
    rows = step["forecast"]["rows"]
    assert {row["median"] for row in rows if row["node"] == "District 4"} == {0.0}
    assert all(row["valid_time"].startswith(("2026-12", "2026-11-30", "2026-11-23")) for row in rows)


@case("days-that-begin-at-nine", since="2025-11-01")
def test_days_that_begin_at_nine(owner: Owner) -> None:
    found = owner.asks("replay", "--policies", "frozen", "--start", "2026-11-01")
    assert found["protocol"]["nodes"] == 2
    step = owner.asks("watch", "--once", "--now", found["protocol"]["stop"])
    assert step["champion"] == "1"
    assert all("T09:00" in row["valid_time"] for row in step["forecast"]["rows"])


@case("monthly-series")
def test_months(owner: Owner) -> None:
    assert 'step = "1mo"' in owner.config.read_text() and 'cooldown = "7mo"' in owner.config.read_text()
    assert "624 new" in owner.types("ingest")
    found = owner.asks("replay", "--policies", "frozen,loop")
    months = found["summary"]["issue_times"]
    for row in found["rows"]:
        assert row["alarms"] <= 2 * 0.03 * months, "nothing changes in this file"
        for one in row["episodes"]:
            start = date.fromisoformat(one["start"][:10])
            assert one["start"][8:] == "01T00:00:00" and start.strftime("1 %b %Y") in one["alarm"]


@case("stamps-with-seconds")
def test_stamps_that_jitter_by_seconds(owner: Owner) -> None:
    assert 'step = "10min"' in owner.config.read_text()
    rows = len((CASES / "stamps-with-seconds.csv").read_text().splitlines()) - 1
    (file,) = owner.asks("ingest")["files"]
    assert file["new"] >= 0.95 * rows


@case("feed-that-ended", since="2023-12-01")
def test_a_history_that_ended_long_ago(owner: Owner) -> None:
    told = owner.types("watch", "--once", "--now", "2026-11-28T22:00", expect=TOLD)
    assert "2024-12-31" in told and "All 3 stations are silent." in " ".join(told.split())
    owner.types("report", "--now", "2026-11-28T22:00")
    page = (owner.folder / "report.html").read_text()
    assert "2024-12-31" in page and "3 of 3 stations are calm" not in page
    refused = owner.types("discover", "--now", "2026-11-28T22:00", expect=ERROR)
    assert "2024-12-31" in refused and "--now" in refused


@case("clocks-that-never-shifted")
def test_clocks_that_never_shifted(owner: Owner) -> None:
    owner.types("ingest")
    assert owner.asks("quality")["tickets"] == []


@case("dead-sensors")
def test_dead_sensors(owner: Owner) -> None:
    owner.types("ingest")
    told = owner.asks("quality")["tickets"]
    by_node = {one["nodes"][0]: one for one in told}
    assert set(by_node) == {"S1", "S2", "S3"} and len(told) == 3
    assert all("up to the newest stamp" in by_node[node]["words"] for node in ("S1", "S3"))
    assert by_node["S2"]["cells"] == 2
