"""Discovery through the store: drivers by trial, knowledge kept for good, evidence in MLflow, the page, a click."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.causal.graph.graph import Series
from terracast.drivers.driver_watch import DriverWatch, DroppedDriver
from terracast.drivers.negative_transfer import NegativeTransferMonitor
from terracast.flows.discover import discover
from terracast.flows.ingest import ingest_new
from terracast.flows.report import report_on
from terracast.flows.workspace import Workspace

SETTINGS = """\
[stream]
name = "town"
domain = "traffic"
target = "flow"
horizon = "3h"
cadence = "3h"
history = "2d"
label_timeout = "3h"

[base]
first_fit = "300d"

[discovery]
max_lag = 3
window = "120d"
trial_steps = 20

[[sources]]
domain = "traffic"
path = "traffic.nc"
delay = "1h"

[[sources]]
domain = "weather"
path = "weather.nc"
delay = "1h"
"""
START, DAYS = pd.Timestamp("2023-01-01"), 120
NOW = str(START + pd.Timedelta(DAYS, "D"))


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """Rain three hours ago lowers traffic; wind is a bystander."""
    rain, wind, flow = np.random.default_rng(3).normal(size=(3, 24 * DAYS, 2))
    flow[3:] += 50 - 0.9 * rain[:-3]
    axes = {"time": pd.date_range(START, periods=24 * DAYS, freq="h"), "node": ["a", "b"]}
    for domain, values in (("traffic", {"flow": flow}), ("weather", {"rain": rain, "wind": wind})):
        made = {name: (("time", "node"), one, {"units": "1", "long_name": name}) for name, one in values.items()}
        xr.Dataset(made, axes, {"domain": domain, "kind": "sensor", "step": "1h"}).to_netcdf(tmp_path / f"{domain}.nc")
    (tmp_path / "terracast.toml").write_text(SETTINGS)
    assert not [one.refused for one in ingest_new(Workspace.open(tmp_path / "terracast.toml")) if one.refused]
    return tmp_path / "terracast.toml"


def links(answer: dict[str, Any]) -> set[tuple[str, str, int]]:
    return {(f"{one['cause']['domain']}.{one['cause']['variable']}",
             f"{one['effect']['domain']}.{one['effect']['variable']}", one["lag"]) for one in answer["graph"]["links"]}


RAIN = ("weather.rain", "traffic.flow", 3)


def test_a_driver_is_used_after_its_trial_and_the_evidence_is_kept(town: Path) -> None:
    answer = discover(str(town), NOW)
    driver, = (one for one in answer["drivers"] if one["series"]["variable"] == "rain")
    assert driver["used"] and driver["gain"] > 0.05 and "forecasts lose" in driver["reason"]
    assert RAIN in links(answer) and answer["alarms"] == [] and answer["note"] == ""
    rain, = (one for one in answer["graph"]["links"] if one["cause"]["variable"] == "rain")
    assert rain["stability"] > 0.9
    workspace = Workspace.open(town)
    client, experiment = workspace.registry.place.client, workspace.registry.place.experiment
    run, = client.search_runs([experiment], f"tags.graph_digest = '{answer['digest']}'")
    assert {one.path for one in client.list_artifacts(run.info.run_id)} >= {
        "causal_graph.json", "causal_graph.graphml", "causal_graph.dot", "causal_graph.csv", "drivers.json"}
    assert run.data.tags["data_snapshot"] and json.loads(run.inputs.dataset_inputs[0].dataset.source)["snapshot"]
    discover(str(town), NOW)  # the same again is not kept twice
    assert len(client.search_runs([experiment], f"tags.graph_digest = '{answer['digest']}'")) == 1


def test_an_impossible_link_clicked_in_the_page_never_returns(town: Path) -> None:
    program = shutil.which("chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    if program is None:
        pytest.skip("no chromium on this machine")
    assert RAIN in links(discover(str(town), NOW))
    now = np.datetime64(NOW, "ns")
    page = report_on(Workspace.open(town), now, town.parent / "report.html")
    answers = town.parent / "answers.txt"
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(accept_downloads=True)
        tab.goto(page.as_uri())
        tab.locator('.choice[data-cause="weather.rain"][data-lag="3"] input[value="never"]').check()
        with tab.expect_download() as waiting:
            tab.get_by_role("button", name="Save my answers").click()
        waiting.value.save_as(answers)
        browser.close()
    given = discover(str(town), NOW, str(answers))
    assert not [one for one in links(given) if one[:2] == RAIN[:2]] and given["digest"]
    later = discover(str(town), NOW)  # the next scheduled run, without the file
    assert links(later) == links(given)
    text = report_on(Workspace.open(town), now, town.parent / "report.html").read_text()
    assert "What changed since" in text and "No longer found: that rain drives flow after 3 hours." in text
    assert page.stat().st_size < 3_000_000


def test_too_short_a_history_uses_nothing_and_says_so(town: Path) -> None:
    answer = discover(str(town), str(START + pd.Timedelta(5, "D")))
    assert not [one for one in answer["drivers"] if one["used"]]
    assert any("too short" in one["reason"] for one in answer["drivers"])
    assert "windows of 10 days are complete" in answer["note"]


def test_what_service_dropped_rests_in_the_next_discovery(town: Path) -> None:
    discover(str(town), NOW)
    workspace = Workspace.open(town)
    sentence = "rain is no longer used: since 1 Feb 2023 forecasts with it lose 9 % more than without it."
    lately = np.datetime64(NOW, "ns") - np.timedelta64(3, "D")
    watch = DriverWatch((), block=2)
    watch.dropped = (DroppedDriver(Series("weather", "rain"), lately, 0.09, 99.0, sentence),)
    with workspace.store.transaction("as after a drop") as step:
        step.set_state("drivers", NegativeTransferMonitor(watch, {}).state())
    kept = NegativeTransferMonitor.restore(workspace.store.read().state("drivers") or {})
    assert kept.dropped[0].sentence == sentence
    driver, = (one for one in discover(str(town), NOW)["drivers"] if one["series"]["variable"] == "rain")
    assert not driver["used"] and driver["reason"] == sentence
