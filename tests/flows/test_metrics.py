"""Numbers for dashboards: what they say, by the page and by the verb; dashboard and rules name no other."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from terracast.flows.metrics import _errors, measured, metrics
from terracast.flows.report import errors_compared
from terracast.flows.running.exposition import (
    KINDS,
    SAYS,
    STORED,
    StreamNumbers,
    exposition,
    numbers_of,
    resident_bytes,
)
from terracast.flows.running.failed_verbs import write_failure
from terracast.flows.running.page import served
from terracast.flows.running.place import RUNS, RunningPlace
from terracast.flows.running.run_status import now, stamp
from terracast.flows.watch import watch_once
from terracast.flows.workspace import Workspace
from tests.docs.prose import ROOT

COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]
NOW = "2024-01-29T00:30"
PROMETHEUS = ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
              "text/plain;version=0.0.4;q=0.2,*/*;q=0.1")  # what a Prometheus server sends
Told = dict[tuple[str, ...], float]
MONTHS = """\
[stream]
name = "river"
domain = "river"
target = "discharge"
step = "30d"
horizon = "30d"
cadence = "30d"
history = "360d"
label_timeout = "30d"

[[sources]]
domain = "river"
path = "incoming"
"""


@pytest.fixture(scope="module")
def in_service(berlin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stream with four days of scored forecasts; do not write into it. Answers its settings."""
    folder = tmp_path_factory.mktemp("metrics") / "berlin"
    shutil.copytree(berlin, folder)
    assert watch_once(Workspace.open(folder / "terracast.toml"), np.datetime64(NOW, "ns")).ticks == 16
    return folder / "terracast.toml"


@pytest.fixture
def copied(in_service: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    shutil.copytree(in_service.parent, tmp_path / "berlin")
    return tmp_path / "berlin" / "terracast.toml"


def numbers(text: str, families: Any = text_string_to_metric_families) -> Told:
    """Name and label values besides the stream's, by name of label: the value."""
    return {(one.name, *(value for name, value in sorted(one.labels.items()) if name != "stream")): one.value
            for family in families(text) for one in family.samples}


def of(told_by_up: StreamNumbers, *, by_node: bool = False) -> Told:
    return numbers(exposition(told_by_up, by_node=by_node)[1].decode(), text_string_to_metric_families)


def fully(config: Path) -> StreamNumbers:
    """All that a running ``up`` could tell, with runs as the runner writes them."""
    from terracast.flows.running.runs import _counted

    at = datetime(2024, 1, 29, 0, 30, tzinfo=UTC)
    stored = measured(config, np.datetime64(NOW, "ns"))
    stored["compared"] = errors_compared(Workspace.open(config), np.datetime64(NOW, "ns"))
    runs = {"ready": stamp(at), "began": stamp(at), "cadence_seconds": 21600.0, "failed": {"discover": "odd"},
            "runs": _counted(_counted({}, "watch", 2.5, failed=False), "discover", 9.0, failed=True)}
    return StreamNumbers("berlin", at, runs, stored, True, 300_000_000)


def test_the_numbers_are_those_of_the_store(in_service: Path) -> None:
    told, view = of(metrics(in_service, NOW), by_node=True), Workspace.open(in_service).store.read()
    ledger = view.ledger("scores/air")
    assert ledger is not None
    scores = ledger.to_dataframe().reset_index()
    for name, column in (("mean_absolute_error", "absolute_error"), ("interval_coverage_ratio", "hits")):
        by_node = {node: np.average(one[column], weights=one["labels"]) for node, one in scores.groupby("node")}
        units = ("ug m-3",) if column == "absolute_error" else ()
        assert told[(f"terracast_{name}", "no2", *units)] == pytest.approx(np.mean(list(by_node.values())))
        for node, value in by_node.items():
            assert told[(f"terracast_node_{name}", node, "no2", *units)] == pytest.approx(value)
    assert told["terracast_scored_forecasts", "no2"] == scores["issue_time"].nunique() >= 10
    assert told["terracast_last_step_age_seconds",] == 1800
    assert told["terracast_last_step_timestamp_seconds",] == datetime(2024, 1, 29, tzinfo=UTC).timestamp()
    assert told["terracast_newest_value_age_seconds", "air"] == 5400, "23:00 UTC is known an hour later, not midnight"
    assert told["terracast_source_overdue", "air"] == told["terracast_silent_nodes", "air"] == 0
    assert [told["terracast_open_episodes", kind] for kind in KINDS] == [0] * 8
    assert told["terracast_alarms_opened_total",] == told["terracast_up_trouble",] == told["terracast_up_running",] == 0
    assert told["terracast_champion_version",] == 1 and told["terracast_cadence_seconds",] == 21600
    size = sum(one.stat().st_size for one in (in_service.parent / "store").rglob("*") if one.is_file())
    assert told["terracast_store_bytes",] == size
    assert not any("node" in name[0] for name in of(metrics(in_service, NOW)) if "silent" not in name[0])


def test_ages_grow_between_two_runs_and_a_source_becomes_overdue(in_service: Path) -> None:
    first = fully(in_service)
    later = StreamNumbers(first.stream, first.at + timedelta(days=1), first.runs, first.stored, True)
    before, after = of(first), of(later)
    for name in (("terracast_newest_value_age_seconds", "air"), ("terracast_last_step_age_seconds",),
                 ("terracast_last_run_age_seconds", "watch")):
        assert after[name] - before[name] == 86400
    assert (before["terracast_source_overdue", "air"], after["terracast_source_overdue", "air"]) == (0, 1)
    assert (before["terracast_step_missed",], after["terracast_step_missed",]) == (0, 1)
    assert after["terracast_up_trouble",] == before["terracast_up_trouble",] + 1
    assert ("terracast_frozen_mean_absolute_error", "no2", "ug m-3") in after
    old = StreamNumbers(first.stream, first.at + timedelta(days=3), first.runs, first.stored, True)
    assert not any("frozen" in name[0] for name in of(old)), "a comparison of long ago is no news"


def test_the_frozen_base_is_compared_as_the_report_does(copied: Path) -> None:
    from terracast.flows.report import report

    told = of(metrics(copied, NOW, frozen=True))
    answer = report(str(copied), str(copied.parent / "report.html"), NOW)["compared"]
    frozen = told["terracast_frozen_mean_absolute_error", "no2", "ug m-3"]
    assert frozen == pytest.approx(answer["frozen_mean_absolute_error"])
    served_error = told["terracast_mean_absolute_error", "no2", "ug m-3"]
    assert served_error == pytest.approx(answer["mean_absolute_error"])
    assert told["terracast_error_to_frozen_ratio", "no2"] == pytest.approx(served_error / frozen)
    assert not any("frozen" in name[0] for name in of(metrics(copied, NOW)))


def test_whatever_signs_a_name_has_it_is_read_back() -> None:
    hostile = 'a "b"\n\\c{d="e"} # ü\t,'
    stored = {"target": hostile, "units": "°C", "errors": {"mean_absolute_error": 1.5, "coverage": 0.8, "forecasts": 3,
                                                           "nodes": {hostile: [1.5, 0.8]}},
              "sources": {hostile: {"newest": "2024-01-01T00:00:00Z", "overdue_from": None, "silent_nodes": 2}}}
    told_by_up = StreamNumbers(hostile, datetime(2024, 1, 2, tzinfo=UTC), {}, stored, False)
    for accept, read in (("", text_string_to_metric_families), (PROMETHEUS, openmetrics_families)):
        text = exposition(told_by_up, accept, by_node=True)[1].decode()
        found = {one.name: one.labels for family in read(text) for one in family.samples}
        assert found["terracast_node_mean_absolute_error"] == {"stream": hostile, "node": hostile, "target": hostile,
                                                               "units": "°C"}
        assert found["terracast_silent_nodes"] == {"stream": hostile, "domain": hostile}


@pytest.fixture
def page(in_service: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a page that is served as ``up`` serves it, from small files as the runner writes them."""
    place, full = RunningPlace(tmp_path / ".terracast"), fully(in_service)
    told = {name: one for name, one in full.runs.items() if name != "failed"}
    place.write(RUNS, {**told, "ready": stamp(now()), "began": stamp(now())})
    for verb, words in full.runs["failed"].items():
        write_failure(place, verb, words)
    place.write(STORED, full.stored)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with served(place.site, lambda: {"trouble": [], "waiting": ""}, port,
                lambda accept, by_node: exposition(numbers_of(place, "berlin"), accept, by_node)):
        yield f"http://127.0.0.1:{port}"


def test_a_page_serves_them(page: str) -> None:
    def get(path: str, **headers: str) -> tuple[str, str, float]:
        began = time.monotonic()
        with urllib.request.urlopen(urllib.request.Request(page + path, headers=headers), timeout=10) as answer:
            return answer.headers["Content-Type"], answer.read().decode(), time.monotonic() - began

    kind, text, _ = get("/metrics")
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    told = numbers(text)
    assert told["terracast_up_running",] == told["terracast_runs_total", "watch"] == 1
    assert told["terracast_last_run_duration_seconds", "watch"] == 2.5
    assert told["terracast_last_run_failed", "discover"] == told["terracast_runs_failed_total", "discover"] == 1
    assert not any(name[0].startswith("terracast_node") for name in told)
    nodes = numbers(get("/metrics?nodes=1")[1])
    assert {name[1] for name in nodes if name[0] == "terracast_node_interval_coverage_ratio"} == {"Mitte", "Wedding"}
    kind, text, _ = get("/metrics", Accept=PROMETHEUS)
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert numbers(text, openmetrics_families).keys() == told.keys()
    assert min(get("/metrics")[2] for _ in range(5)) < 0.2
    with pytest.raises(urllib.error.HTTPError):
        get("/metrics/")
    with urllib.request.urlopen(urllib.request.Request(f"{page}/metrics", method="HEAD"), timeout=10) as answer:
        assert int(answer.headers["Content-Length"]) > 1000 and answer.read() == b""


def test_a_page_of_nothing_yet_still_tells_what_up_knows(tmp_path: Path) -> None:
    told = of(numbers_of(RunningPlace(tmp_path / ".terracast"), "city"))
    assert told == {("terracast_up_running",): 1, ("terracast_up_trouble",): 0}


def test_memory_is_that_of_the_process_named() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"],
                          stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline(), "before that it is a copy of this process, or none"
        held = resident_bytes(other.pid)
        assert held is not None and 1e5 < held < 1e9
        other.kill()
        other.wait()
        assert resident_bytes(other.pid) is None


def test_the_process_of_up_stays_light() -> None:
    heavy = ("import sys, terracast.flows.up\n"
             "heavy = ('icechunk', 'zarr', 'torch', 'prefect', 'mlflow', 'numba')\n"
             "print([name for name in heavy if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_runner_writes_them_down_and_keeps_them_while_the_store_cannot_be_read(copied: Path) -> None:
    from terracast.flows.running.runs import Runner
    from terracast.flows.up import _status

    place = RunningPlace.of(copied)
    runner = Runner(copied, None)  # type: ignore[arg-type]
    runner._measure({"compared": {"mean_absolute_error": 2.0, "frozen_mean_absolute_error": 4.0, "at": stamp(now())}})
    before = of(numbers_of(place, "berlin"))
    assert before["terracast_champion_version",] == 1 and before["terracast_error_to_frozen_ratio", "no2"] == 0.5
    assert before["terracast_up_trouble",] == 0 and _status(place)["trouble"] == []
    (copied.parent / "store").rename(copied.parent / "elsewhere")
    (copied.parent / "store").write_text("no folder")
    runner._measure({})
    after = of(numbers_of(place, "berlin"))
    assert after["terracast_up_trouble",] == 1 and after.keys() == before.keys()
    (sentence,) = _status(place)["trouble"]
    assert "numbers for dashboards are old" in sentence and str(copied.parent / "store") in sentence
    (copied.parent / "store").unlink()
    (copied.parent / "elsewhere").rename(copied.parent / "store")
    runner._measure({})
    assert of(numbers_of(place, "berlin"))["terracast_up_trouble",] == 0
    copied.write_text("[stream\n")
    runner._measure({})
    after = of(numbers_of(place, "berlin"))
    assert after["terracast_up_trouble",] == 1 and after.keys() == before.keys(), "settings that are being edited"


def _typed(config: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, "metrics", "--now", NOW, *options], cwd=config.parent, capture_output=True,
                          text=True, timeout=120)


def test_the_verb_prints_writes_whole_and_answers_json(copied: Path) -> None:
    collected = copied.parent / "collected"
    collected.mkdir()
    done = _typed(copied, "--json", "--nodes", "--out", "collected/terracast.prom")
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    written = numbers((collected / "terracast.prom").read_text())
    assert [one.name for one in collected.iterdir()] == ["terracast.prom"]
    plain = {(each["name"], *(value for name, value in sorted(one["labels"].items()) if name != "stream")): one["value"]
             for each in answer["metrics"] for one in each["samples"]}
    assert plain == written and answer["unread"] == [] and answer["out"] == str(collected / "terracast.prom")
    assert ("terracast_node_interval_coverage_ratio", "Mitte", "no2") in written
    gone = _typed(copied, "--out", "nowhere/terracast.prom")
    assert gone.returncode == 1 and gone.stderr.count("\n") == 1 and "--out" in gone.stderr


def test_the_verb_says_what_cannot_be_read_and_writes_what_is_known(copied: Path) -> None:
    shutil.rmtree(copied.parent / "store")
    (copied.parent / "store").write_text("no folder")
    done = _typed(copied, "--out", "terracast.prom")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and done.stdout == ""
    told = numbers((copied.parent / "terracast.prom").read_text())
    assert told["terracast_up_trouble",] == 1 and told["terracast_cadence_seconds",] == 21600


def test_before_service_there_is_no_error_yet(small_city) -> None:  # type: ignore[no-untyped-def]
    told = of(metrics(small_city.config))
    assert told["terracast_silent_nodes", "air"] == 0 and told["terracast_up_trouble",] == 0
    assert not [name for name in told if "error" in name[0] or "champion" in name[0] or "episodes" in name[0]]


# Dashboard and rules

GRAFANA = ROOT / "docs" / "grafana"
NAME = re.compile(r"\bterracast_\w+")


def _dashboard() -> dict[str, Any]:
    return dict(json.loads((GRAFANA / "terracast.json").read_text(encoding="utf-8")))


def _rules() -> list[dict[str, Any]]:
    import yaml

    (group,) = yaml.safe_load((GRAFANA / "alert-rules.yaml").read_text(encoding="utf-8"))["groups"]
    return list(group["rules"])


def _expressions() -> dict[str, str]:
    """Every expression of dashboard and rules, by where it stands."""
    board = _dashboard()
    found = {f"{panel['title']} {one['refId']}": one["expr"] for panel in board["panels"] for one in panel["targets"]}
    found |= {one["name"]: one["query"]["query"] for one in board["templating"]["list"] if one["type"] == "query"}
    found |= {one["name"]: one["expr"] for one in board["annotations"]["list"]}
    return found | {one["alert"]: one["expr"] for one in _rules()}


def test_all_metrics_that_dashboard_rules_and_guide_name_are_really_given(in_service: Path) -> None:
    samples = [one for family in text_string_to_metric_families(exposition(fully(in_service), by_node=True)[1].decode())
               for one in family.samples]
    given: dict[str, set[str]] = {}
    for one in samples:
        given.setdefault(one.name, set()).update(one.labels)
    assert set(given) == set(SAYS), "all that is described is given, and nothing else"
    for where, expression in _expressions().items():
        named = NAME.findall(expression)
        assert named or expression.startswith("up{"), where
        assert set(named) <= set(given), where
        for name, inside in re.findall(r"(terracast_\w+)\{([^}]*)\}", expression):
            assert set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", inside)) <= given[name], where
        assert all(expression.count(one) == expression.count(other) for one, other in ("()", "[]", "{}")), where
    guide = (ROOT / "docs/guide/metrics.md").read_text(encoding="utf-8")
    assert set(NAME.findall(guide)) == set(given)


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    board = _dashboard()
    assert isinstance(board["schemaVersion"], int) and board["title"] and board["uid"]
    kinds = {one["name"]: one["type"] for one in board["templating"]["list"]}
    assert kinds == {"datasource": "datasource", "stream": "query"}
    panels = board["panels"]
    assert len({one["id"] for one in panels}) == len(panels) >= 15
    taken: set[tuple[int, int]] = set()
    for one in panels:
        place = one["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24 and not cells & taken, one["title"]
        taken |= cells
        assert one["title"] and one["description"] and one["targets"], one["title"]
        for each in (one, *one["targets"]):
            assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all("$stream" in each["expr"] and each["legendFormat"] for each in one["targets"]), one["title"]


def test_the_rules_speak_plainly() -> None:
    from tests.docs.prose import sentences, words

    rules = _rules()
    assert len({one["alert"] for one in rules}) == len(rules) >= 6
    for one in rules:
        assert set(one) == {"alert", "expr", "for", "labels", "annotations"}, one["alert"]
        assert re.fullmatch(r"\d+[smhd]", one["for"]) and one["labels"]["severity"] in ("critical", "warning", "info")
        for text in (one["annotations"]["summary"], one["annotations"]["description"]):
            assert text.endswith("."), text
            plain = re.sub(r"\{\{[^}]*\}\}", "x", text)
            assert all(len(words(each)) <= 25 for each in sentences(plain)), text


def test_help_is_short_and_whole() -> None:
    for name, says in SAYS.items():
        assert says.endswith(".") and max(len(one.split()) for one in says.split(". ")) <= 25, name
        assert name.startswith("terracast_") and ("bytes" not in says or name.endswith("_bytes")), name
        assert ("Seconds" not in says and "seconds since" not in says) or name.endswith("_seconds"), name


def test_a_stream_of_rare_steps_looks_back_on_24_of_them(tmp_path: Path) -> None:
    """28 days of a stream of months hold no scored forecast: the last 24 steps count, and none before."""
    (tmp_path / "terracast.toml").write_text(MONTHS)
    workspace, months = Workspace.open(tmp_path / "terracast.toml"), np.arange(40)
    stamps = np.datetime64("2020-01-01", "ns") + months * np.timedelta64(30, "D")
    table = {"absolute_error": months, "hits": months % 2, "labels": np.ones(40, int)}
    with workspace.store.transaction("scores") as step:
        step.append("scores/river", xr.Dataset(
            {name: (("issue_time", "node"), values[:, None].astype(float)) for name, values in table.items()},
            {"issue_time": stamps, "node": ["a"]}), along="issue_time")
    found = _errors(workspace, workspace.store.read(), stamps[-1] + np.timedelta64(60, "D"))  # two wait for labels
    assert found is not None and found["forecasts"] == 25, "24 steps back from the last that was scored"
    assert found["mean_absolute_error"] == np.mean(months[-25:]) and found["coverage"] == 13 / 25
