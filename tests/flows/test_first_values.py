"""A stream that starts today: three stamps in a folder, and it is served, by the commands a user types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from terracast.flows.command import app
from terracast.flows.service.loop_state import load_loop
from terracast.flows.settings import read_settings
from terracast.flows.workspace import Workspace
from tests.flows.made_once import MadeOnce

pytestmark = pytest.mark.integration


def typed(*words: object, code: int = 0) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert done.exit_code == code, (done.output, done.exception)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def put(folder: Path, name: str, first: str, hours: int) -> None:
    stamps = pd.date_range(first, periods=hours, freq="h")
    rows = [(stamp, node, 30 + number + stamp.hour % 5) for stamp in stamps for number, node in enumerate("NSE")]
    pd.DataFrame(rows, columns=["time", "station", "no2"]).to_csv(folder / name, index=False)


def test_three_stamps_are_served_and_the_monitor_says_that_it_learns(tmp_path: Path, made_once: MadeOnce) -> None:
    made_once.give_registry(tmp_path)
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    put(incoming, "first.csv", "2024-03-01T00:00", 3)
    typed("init", "air", "--from", incoming, "--folder", tmp_path)
    config = tmp_path / "terracast.toml"
    assert "first_fit" not in config.read_text(encoding="utf-8")
    first = typed("watch", "--once", "--config", config, "--now", "2024-03-01T06:10")
    assert (first["waiting"], first["ticks"], first["alarms"]) == (None, 1, {})
    assert {(row["node"]) for row in first["forecast"]["rows"]} == {"N", "S", "E"}
    assert len(first["forecast"]["rows"]) == 3 * 24
    assert "no alarms of drift until 28 days are known" in first["standing"]["error"]
    stands = typed("status", "--config", config, "--now", "2024-03-01T06:20")
    assert stands["streams"][0]["learning"] == first["standing"]["error"]
    put(incoming, "more.csv", "2024-03-01T03:00", 9)
    second = typed("watch", "--once", "--config", config, "--now", "2024-03-01T12:30")
    assert (second["ticks"], second["forecast"]["issue_time"][:13]) == (1, "2024-03-01T12")


def test_before_the_first_value_it_says_what_it_waits_for(tmp_path: Path) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    put(incoming, "first.csv", "2024-03-01T00:00", 3)
    typed("init", "air", "--from", incoming, "--folder", tmp_path)
    early = typed("watch", "--once", "--config", tmp_path / "terracast.toml", "--now", "2024-03-01T00:30")
    assert early["waiting"] == "no value of air.no2 is known yet; service begins with the first"


def test_a_stream_of_seconds_reads_no_year_of_them(tmp_path: Path) -> None:
    stamps = pd.date_range("2024-03-01", periods=12, freq="10s")
    pd.DataFrame({"time": stamps, "flow": [3.5, 4.0, 3.2, 3.9] * 3}).to_csv(tmp_path / "flow.csv", index=False)
    typed("init", "creek", "--from", tmp_path / "flow.csv", "--folder", tmp_path)
    settings = read_settings(tmp_path / "terracast.toml")
    assert settings.discovery.window == settings.adapt.window == 105_120 * settings.stream.step


def test_what_is_read_beside_the_target_outlives_the_process(tmp_path: Path, made_once: MadeOnce) -> None:
    made_once.give_registry(tmp_path)
    stamps = pd.date_range("2024-03-01", periods=24 * 40, freq="h")
    draws = np.random.default_rng(0)
    table = pd.DataFrame({"time": stamps, "bikes": 100 + 40 * np.sin(stamps.hour * np.pi / 12) + draws.normal(size=960),
                          "parked": draws.normal(50, 5, 960), "temperature": 10 + 3 * draws.normal(size=960)})
    table.to_csv(tmp_path / "bikes.csv", index=False)
    typed("init", "city", "--from", tmp_path / "bikes.csv", "--folder", tmp_path, "--target", "bikes")
    config = tmp_path / "terracast.toml"
    for now in ("2024-04-09T12:00", "2024-04-09T18:00", "2024-04-10T00:00"):
        assert typed("watch", "--once", "--config", config, "--now", now)["ticks"] == 1
        workspace = Workspace.open(config)
        watched = load_loop(workspace, workspace.store.read()).watched
        assert watched.outside == {"weather": ("temperature",)} and watched.covariates_wanted
        assert watched.beside["city"] == ("parked",)
