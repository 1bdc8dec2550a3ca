"""The recipes of docs/extend, as they stand there: a source, a base model, a detector and a rung of one's own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from terracast.adapt.promotion.policy import AdaptationRequest
from terracast.flows.service.loop_state import load_loop, save_loop
from terracast.flows.settings import SettingsError, read_settings
from terracast.flows.workspace import Workspace
from terracast.stfm.bases import fit_base
from terracast.stfm.conformance import HOUR, hourly_panel
from terracast.stfm.forecaster import ForecastError, Request

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]
PAGES = {"logger_source": "source.md", "persistence": "base-model.md", "my_module": "detector.md", "my_rung": "rung.md"}
PARTS = re.compile(r"# --8<-- \[start:(?:wrapper|rung)\]\n(.*?)# --8<-- \[end", re.S)


def _blocks(page: str) -> tuple[str, str]:
    """The module that a page tells its reader to write, and the test of it; what it takes in from a file included."""
    text = (ROOT / "docs" / "extend" / page).read_text(encoding="utf-8")
    *code, test = re.findall(r"```python\n(.*?)```", text, re.S)
    if taken := re.search(r'--8<-- "(examples/\w+\.py):', text):
        code = PARTS.findall((ROOT / taken[1]).read_text(encoding="utf-8"))
    return "\n\n".join(code), test


CODE = {module: _blocks(page) for module, page in PAGES.items()}
BIASED = """
from persistence import Persistence


class Biased(Persistence):
    def forecast(self, context, request):
        made = super().forecast(context, request)
        return made.assign({request.target: made[request.target] + 40})

    def config(self):
        return {"forecaster": "biased:Biased"}
"""
FOLDER = tempfile.TemporaryDirectory()  # made when this module is read: pytest collects the classes of the pages
for _module, (_text, _) in {**CODE, "biased": (BIASED, "")}.items():
    (Path(FOLDER.name) / f"{_module}.py").write_text(_text, encoding="utf-8")
OWN: dict[str, Any] = {"__name__": __name__}
sys.path.insert(0, FOLDER.name)
for _, _test in CODE.values():
    exec(_test, OWN)
sys.path.remove(FOLDER.name)
TestLoggerSource, TestPersistence = OWN["TestLoggerSource"], OWN["TestPersistence"]
TestLargest, TestMeanShift = OWN["TestLargest"], OWN["TestMeanShift"]

SOURCE = """
[[sources]]
type = "logger"
domain = "air"
path = "logger.jsonl"
step = "1h"
delay = "1h"
units = {no2 = "ug m-3"}
"""


@pytest.fixture(scope="module", autouse=True)
def own() -> Iterator[Path]:
    """A folder on Python's path with all modules, and the entry points of two as an installer writes them."""
    folder = Path(FOLDER.name)
    described = folder / "own-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[terracast.sources]\nlogger = logger_source:LoggerSettings\n"
                                                "files = json:JSONDecoder\n"
                                                "[terracast.rungs]\nmean-shift = my_rung:MeanShift\n")
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    for module in (*CODE, "biased"):
        sys.modules.pop(module, None)
    FOLDER.cleanup()


def table(hours: int) -> pd.DataFrame:
    stamps, random = pd.date_range("2024-01-01", periods=hours, freq="h"), np.random.default_rng(0)
    level = 30 + 10 * np.sin(2 * np.pi * stamps.hour / 24)
    return pd.concat([pd.DataFrame({"time": stamps.strftime("%Y-%m-%dT%H:%M"), "node": node,
                                    "no2": (level + random.normal(0, 3, hours)).round(2)}) for node in "ab"])


def run(folder: Path, own: Path, *words: str) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    path = os.pathsep.join(filter(None, (str(own), os.environ.get("PYTHONPATH"), str(ROOT))))
    done = subprocess.run([*COMMAND, *words, "--json"], cwd=folder, capture_output=True, text=True,
                          env={**environment, "PYTHONPATH": path})
    assert done.returncode in (0, 3), done.stderr
    return dict(json.loads(done.stdout))


def test_from_init_to_a_forecast_with_both(tmp_path: Path, own: Path) -> None:
    whole = table(24 * 36)
    log, config = tmp_path / "logger.jsonl", tmp_path / "terracast.toml"
    whole[whole["time"] < "2024-02-04"].to_csv(tmp_path / "air.csv", index=False)
    run(tmp_path, own, "init", "air", "--from", "air.csv", "--model", "persistence:Persistence")
    config.write_text(config.read_text().split("[[sources]]")[0] + SOURCE)
    log.write_text(whole[whole["time"] < "2024-02-04"].to_json(orient="records", lines=True))
    first = run(tmp_path, own, "watch", "--once", "--now", "2024-02-04T00:30")
    assert (first["champion"], first["ticks"], first["files"][0]["new"]) == ("1", 1, 2 * 24 * 34)
    with log.open("a") as more:
        more.write(whole[(whole["time"] >= "2024-02-04T00") & (whole["time"] < "2024-02-04T06")].to_json(
            orient="records", lines=True))
    second = run(tmp_path, own, "watch", "--once", "--now", "2024-02-04T06:30")
    assert (second["champion"], second["ticks"], second["files"][0]["new"]) == ("1", 1, 12)
    issued = run(tmp_path, own, "forecast")
    assert issued["issue_time"].startswith("2024-02-04T06") and {one["node"] for one in issued["rows"]} == {"a", "b"}


def test_a_rung_of_ones_own_makes_a_version_that_other_processes_serve(tmp_path: Path, own: Path) -> None:
    config = tmp_path / "terracast.toml"
    table(24 * 36).to_csv(tmp_path / "air.csv", index=False)
    run(tmp_path, own, "init", "air", "--from", "air.csv", "--model", "biased:Biased")
    ladder = 'policy = "ladder"\nrungs = ["mean-shift", "retrain"]'
    config.write_text(re.sub(r"policy = .*", ladder, config.read_text()))
    assert run(tmp_path, own, "watch", "--once", "--now", "2024-02-04T00:30")["champion"] == "1"
    workspace = Workspace.open(config)
    assert [step.rung for step in workspace.policy.ladder.steps] == ["mean-shift", "retrain"]
    with workspace.store.transaction("a test asks for it") as step:
        loop = load_loop(workspace, step)
        since = loop.last_tick - np.timedelta64(8, "D")
        loop.adaptation_request = AdaptationRequest("e-1", loop.last_tick, "a test", "e", "mean-shift", since)
        save_loop(step, loop)
    assert run(tmp_path, own, "adapt")["version"] == "2"
    lineage = workspace.registry.version("2").lineage
    assert (lineage.parent, lineage.policy_rung) == ("1", "mean-shift")
    assert run(tmp_path, own, "watch", "--once", "--now", "2024-02-04T06:30")["ticks"] == 1
    assert workspace.registry.alias("challenger") == "2"
    run(tmp_path, own, "promote", "2")
    run(tmp_path, own, "watch", "--once", "--now", "2024-02-04T12:30")
    middle = [one["median"] for one in run(tmp_path, own, "forecast")["rows"]]
    assert 15 < np.median(middle) < 45  # version 1 says 40 more


def test_a_built_in_name_is_the_built_in_type(tmp_path: Path) -> None:
    config = tmp_path / "terracast.toml"
    config.write_text('[stream]\nname="a"\ndomain="air"\ntarget="x"\n[[sources]]\ntype="files"\ndomain="air"\npath="x"\n')
    assert type(read_settings(config).sources[0]).__name__ == "FilesSourceSettings"


@pytest.mark.parametrize(("name", "words"), [
    ("kafka", r"sources\.0\.type: no 'kafka' .*files, mqtt, push, sql, files, logger, or module:Class"),
    ("nowhere:Source", r"sources\.0\.type: 'nowhere:Source' cannot be imported"),
    ("json:dumps", r"sources\.0\.type: 'json:dumps' is no class"),
    ("json:JSONDecoder", r"sources\.0\.type: 'json:JSONDecoder' is no type of source"),
])
def test_a_type_that_leads_nowhere_is_one_line(tmp_path: Path, name: str, words: str) -> None:
    config = tmp_path / "terracast.toml"
    config.write_text(f'[stream]\nname="a"\ndomain="air"\ntarget="x"\n[[sources]]\ntype="{name}"\ndomain="air"\n')
    with pytest.raises(SettingsError, match=words) as refused:
        read_settings(config)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("part", "value", "words"), [
    ("config", lambda self: {"forecaster": "persistence:Persistence", "moves": self.moves}, r"config\(\) is not JSON"),
    ("config", lambda self: {}, "unknown forecaster"),
    ("config", lambda self: {"forecaster": "seasonal-naive", "season": None}, "leads to a SeasonalNaive"),
    ("weights", lambda self: {"moves": self.moves, "x": np.array(["a", None], dtype=object)}, "'x' of type object"),
    ("weights", lambda self: {}, "do not make a persistence:Persistence"),
])
def test_a_base_that_cannot_be_kept_is_refused_when_it_is_fitted(monkeypatch: pytest.MonkeyPatch, part: str,
                                                                 value: Any, words: str) -> None:
    monkeypatch.setattr(OWN["Persistence"], part, value)
    panel = hourly_panel()
    request = Request("no2", panel["time"].values[400], 6, HOUR, (0.1, 0.5, 0.9))
    with pytest.raises(ForecastError, match=words) as refused:
        fit_base("persistence:Persistence", panel, request, steps=1, seed=0)
    assert "\n" not in str(refused.value)


def test_a_class_that_is_no_base_says_what_it_lacks() -> None:
    panel = hourly_panel()
    with pytest.raises(ForecastError, match="has no capabilities, forecast, fit, build, config, weights"):
        fit_base("json:JSONDecoder", panel, Request("no2", panel["time"].values[400], 6, HOUR), steps=1, seed=0)
