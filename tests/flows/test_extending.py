"""The recipes of docs/extend, as they stand there: a source and a base model of one's own, nothing installed."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from terracast.flows.settings import SettingsError, read_settings
from terracast.stfm.bases import fit_base
from terracast.stfm.forecaster import ForecastError, Request
from terracast.streams.sources import Terms
from tests.conformance.forecaster import HOUR, ForecasterConformance, hourly_panel
from tests.conformance.source import SourceConformance

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]
PAGES = {"logger_source": "source.md", "persistence": "base-model.md"}
CODE = {module: re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "extend" / page).read_text(encoding="utf-8"), re.S)
        for module, page in PAGES.items()}
OWN: dict[str, Any] = {"json": json, "SourceConformance": SourceConformance,
                       "ForecasterConformance": ForecasterConformance, "NOW": np.datetime64("2020-03-01", "ns"),
                       "TERMS": Terms("air", pd.Timedelta("1h"), delay=pd.Timedelta("1h"))}
for _, _test in CODE.values():
    exec(_test, OWN)
TestLoggerSource, TestPersistence = OWN["TestLoggerSource"], OWN["TestPersistence"]

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
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on Python's path with both modules, and the entry point of the source as an installer writes it."""
    folder = tmp_path_factory.mktemp("own")
    for module, (text, _) in CODE.items():
        (folder / f"{module}.py").write_text(text, encoding="utf-8")
    described = folder / "logger_source-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: logger-source\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[terracast.sources]\nlogger = logger_source:LoggerSettings\n"
                                                "files = json:JSONDecoder\n")
    sys.path.insert(0, str(folder))
    for module in CODE:
        OWN.update(vars(importlib.import_module(module)))
    yield folder
    sys.path.remove(str(folder))
    for module in CODE:
        sys.modules.pop(module)


def table(hours: int) -> pd.DataFrame:
    stamps, random = pd.date_range("2024-01-01", periods=hours, freq="h"), np.random.default_rng(0)
    level = 30 + 10 * np.sin(2 * np.pi * stamps.hour / 24)
    return pd.concat([pd.DataFrame({"time": stamps.strftime("%Y-%m-%dT%H:%M"), "node": node,
                                    "no2": (level + random.normal(0, 3, hours)).round(2)}) for node in "ab"])


def run(folder: Path, own: Path, *words: str) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    done = subprocess.run([*COMMAND, *words, "--json"], cwd=folder, capture_output=True, text=True,
                          env={**environment, "PYTHONPATH": f"{own}{os.pathsep}{ROOT}"})
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
