"""``terracast up`` as an operator runs it: a real clock, nobody starts a run by hand, and a drift that arrives."""

from __future__ import annotations

import datetime
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from terracast.flows.running.exposition import SAYS
from terracast.flows.workspace import open_store
from terracast.streams.stateful import decoded
from tests.flows.receivers import Webhook, webhook

COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]
STEP = 5  # seconds between stamps, and between steps of the loop
SETTINGS = f"""\
[stream]
name = "tank"
domain = "tank"
target = "level"
step = "{STEP}s"
horizon = "{2 * STEP}s"
cadence = "{STEP}s"
history = "{30 * STEP}s"
label_timeout = "{4 * STEP}s"
false_alarms_per_month = 100

[base]
first_fit = "{250 * STEP}s"
steps = 10

[adapt]
policy = "drift-only"
steps = 5
window = "{100 * STEP}s"
cooldown = "1h"

[[sources]]
domain = "tank"
path = "incoming"
units = {{level = "m"}}
step = "{STEP}s"
delay = "1s"
"""


class Tank:
    """Three gauges whose values arrive while the test runs, a file at every stamp; ``drift`` moves them all."""

    def __init__(self, folder: Path, people: Webhook) -> None:
        self.folder, self.people = folder, people
        self.drift, self.over = threading.Event(), threading.Event()
        (folder / "incoming").mkdir(parents=True)
        (folder / "terracast.toml").write_text(f'{SETTINGS}\n[alerts]\nto = ["{people.address}"]\n')
        self.next = int(time.time()) // STEP * STEP
        self._deliver("history", range(self.next - 320 * STEP, self.next, STEP), 0.0)
        self.thread = threading.Thread(target=self._arrive, daemon=True)
        self.thread.start()

    def _arrive(self) -> None:
        while not self.over.wait(max(0.0, self.next + 0.2 - time.time())):
            self._deliver(str(self.next), range(self.next, self.next + STEP, STEP), 8.0 if self.drift.is_set() else 0.0)
            self.next += STEP

    def _deliver(self, name: str, stamps: range, shift: float) -> None:
        rows = ["time,node,level"]
        for stamp in stamps:
            noise = np.random.default_rng(stamp).normal(0, 0.3, 3)
            text = datetime.datetime.fromtimestamp(stamp, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
            rows += [f"{text},{node},{10 + place + np.sin(stamp / 300) + noise[place] + shift:.4f}"
                     for place, node in enumerate("abc")]
        scratch = self.folder / "incoming" / f"{name}.part"
        scratch.write_text("\n".join(rows) + "\n")
        scratch.rename(scratch.with_suffix(".csv"))

    @property
    def last_step(self) -> np.datetime64 | None:
        state = open_store(self.folder / "terracast.toml").read().state("loop")
        return None if state is None else decoded(state["last_tick"])  # type: ignore[return-value]

    @property
    def champion(self) -> int | None:
        with suppress(sqlite3.Error), sqlite3.connect(self.folder / "mlflow.db") as opened:
            row = opened.execute("select version from registered_model_aliases where alias = 'champion'").fetchone()
            return None if row is None else int(row[0])
        return None

    def missed_steps(self) -> list[str]:
        """The steps of which a person was told that they did not come; on a busy machine one may be late by itself."""
        return [title for title in self.people.titles if "has not run" in title]

    def alarms(self) -> list[dict[str, Any]]:
        """What a person was told of the level."""
        return [one for one in self.people.got if one["title"].startswith("tank: level")]

    @property
    def versions(self) -> int:
        with sqlite3.connect(self.folder / "mlflow.db") as opened:
            return int(opened.execute("select count(*) from model_versions").fetchone()[0])


class Up:
    """A running ``terracast up``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: _free() for name in ("prefect", "mlflow", "page")}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        options = [part for name, port in self.ports.items() for part in (f"--{name}-port", str(port))]
        self.log = folder / "up.out"
        with self.log.open("w") as log:
            self.process = subprocess.Popen([*COMMAND, "up", *options], cwd=folder, stdout=log, stderr=log,
                                            env={**environment, "OMP_NUM_THREADS": "1"}, start_new_session=True)
        began = time.monotonic()
        assert _until(lambda: "schedules are on" in self.said or self.process.poll() is not None, 180)
        assert self.process.poll() is None, self.said
        print(f"up is ready after {time.monotonic() - began:.0f} s")

    @property
    def said(self) -> str:
        return self.log.read_text()

    @property
    def logs(self) -> str:
        return "".join(path.read_text()[-3000:] for path in (self.folder / ".terracast" / "logs").iterdir())

    def ask(self, path: str, body: object) -> Any:
        return json.loads(_get(f"http://127.0.0.1:{self.ports['prefect']}/api{path}", body))

    def page(self, path: str = "/") -> str:
        return _get(f"http://127.0.0.1:{self.ports['page']}{path}").decode()

    def scrape_seconds(self) -> float:
        began = time.monotonic()
        self.page("/metrics")
        return time.monotonic() - began

    @property
    def runner(self) -> int | None:
        """The process that carries runs out, by pid; None while it is being started again."""
        found = [pid for pid in self.family if _command(pid)[1:3] == [b"-m", b"terracast.flows.running.runs"]]
        return found[0] if found else None

    def steps(self) -> list[dict[str, Any]]:
        """Runs of the step that the schedule made and that were carried out."""
        runs = self.ask("/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
                                              "deployments": {"name": {"any_": ["tank-watch"]}}})
        return [run for run in runs if run["auto_scheduled"]]

    def first_steps(self) -> list[dict[str, Any]]:
        """The steps that no schedule made."""
        return list(self.ask("/flow_runs/filter", {"flow_runs": {"name": {"any_": ["first step"]}}}))

    def events(self) -> list[tuple[str, str]]:
        """Every event of the stream and what it tells."""
        found = self.ask("/events/filter", {"filter": {"event": {"prefix": ["terracast."]}}, "limit": 50})["events"]
        return [(one["event"], one["payload"].get("state", "")) for one in found]

    def shown(self) -> dict[str, dict[str, Any]]:
        """What Prefect's pages show of steps: the newest artefact of each key."""
        found = self.ask("/artifacts/latest/filter", {"limit": 50})
        return {one["key"]: one for one in found}

    @property
    def family(self) -> set[int]:
        """The process and all that it started, by pid."""
        found, grown = {self.process.pid}, True
        parents = {int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
        while grown:
            more = {pid for pid, parent in parents.items() if parent in found} - found
            found, grown = found | more, bool(more)
        return found

    def runner_between_steps(self) -> int:
        """Hold the process that carries runs out, as if it hung, while none is under way; answers its pid."""
        runner = self.runner
        assert runner is not None
        for _ in range(1000):
            os.kill(runner, signal.SIGSTOP)
            if json.loads(self.page("/status.json"))["running"] is None:
                return runner
            os.kill(runner, signal.SIGCONT)
            threading.Event().wait(0.05)
        raise AssertionError("a step is under way all the time")

    def interrupt(self) -> float:
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        return time.monotonic() - began


@contextmanager
def _ended(up: Up) -> Iterator[Up]:
    try:
        yield up
    finally:
        if up.process.poll() is None:
            up.interrupt()


def _parent(path: Path) -> int:
    with suppress(OSError):
        return int((path / "stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _command(pid: int) -> list[bytes]:
    with suppress(OSError):
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")
    return []


def _alive(pid: int) -> bool:
    """Whether the process lives; one that only waits to be collected does not."""
    with suppress(OSError):
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _free() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _get(url: str, body: object = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": "application/json"}),
                                timeout=30) as answer:
        return bytes(answer.read())


def _until(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        threading.Event().wait(0.25)
    return true()


@pytest.fixture
def tank(tmp_path: Path) -> Iterator[Tank]:
    with webhook() as people:
        made = Tank(tmp_path / "tank", people)
        yield made
        made.over.set()
        made.thread.join()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes under /proc")
def test_steps_come_by_schedule_a_drift_is_answered_once_and_nothing_outlives_up(tank: Tank) -> None:
    with _ended(Up(tank.folder)) as up:
        assert "No report yet" in up.page() or "How does it stand?" in up.page()
        assert 'terracast_up_running{stream="tank"} 1.0' in up.page("/metrics"), "the first step is under way"
        with pytest.raises(urllib.error.HTTPError):
            up.page("/incoming/")
        assert _until(lambda: tank.last_step is not None, 180), up.logs
        first, beginner = tank.last_step, up.runner
        assert _until(lambda: len(up.steps()) >= 5, 120), up.logs
        assert tank.last_step >= first + np.timedelta64(4 * STEP, "s")  # type: ignore[operator]
        assert tank.champion == 1
        assert up.runner not in (None, beginner), "the memory of a first service is given back"
        assert len(up.first_steps()) == 1, "it went on and asked for no other first step"

        shown = up.shown()
        assert "steps up to 20" in shown["tank-step"]["data"] and "version 1" in shown["tank-step"]["data"]
        assert shown["tank-step"]["flow_run_id"] in {run["id"] for run in up.steps()} | {up.first_steps()[0]["id"]}
        assert isinstance(json.loads(shown["tank-open-episodes"]["data"]), list)
        assert f"127.0.0.1:{up.ports['page']})" in shown["tank-page"]["data"]

        second = subprocess.run([*COMMAND, "up"], cwd=tank.folder, capture_output=True, text=True, timeout=60)
        assert second.returncode == 1 and second.stderr.count("\n") == 1, second.stderr
        assert str(up.process.pid) in second.stderr and str(up.ports["page"]) in second.stderr
        calm = subprocess.run([*COMMAND, "status", "--json"], cwd=tank.folder, capture_output=True, text=True)
        (told,) = json.loads(calm.stdout)["streams"]
        assert calm.returncode == 0 and told["next_run"] and told["champion"] == "1" and told["store_bytes"] > 0
        assert (told["name"], told["sources"][0]["domain"], told["open_episodes"]) == ("tank", "tank", [])
        assert _until(lambda: "How does it stand?" in up.page(), 60), "the site is served"
        assert "<svg" in up.page("/report.html") and "Is the forecast still true?" in up.page("/report.html")
        assert _until(lambda: "terracast_mean_absolute_error" in up.page("/metrics"), 60), up.page("/metrics")
        given = {one.name: one.value for family in text_string_to_metric_families(up.page("/metrics"))
                 for one in family.samples}
        lacking = {name for name in SAYS if name not in given}  # nodes were not asked for; the base waits for a report
        assert all("node_" in name or "frozen" in name for name in lacking), lacking
        assert given["terracast_last_run_duration_seconds"] > 0 and given["terracast_up_trouble"] == 0
        assert 50e6 < given["terracast_runner_resident_memory_bytes"] < 5e9
        assert -STEP < given["terracast_newest_value_age_seconds"] < 20 * STEP
        print(f"a scrape takes {min(up.scrape_seconds() for _ in range(5)):.3f} s")

        assert _until(lambda: "has not run" not in up.page(), 60)
        before_it = len(tank.missed_steps())
        runner = up.runner_between_steps()
        try:
            assert _until(lambda: "has not run" in up.page(), 6 * STEP), "told within two cadences of when it was due"
            assert _until(lambda: ("terracast.step-missed", "") in up.events(), 30)
            assert json.loads(up.page("/status.json"))["trouble"]
            assert _until(lambda: len(tank.missed_steps()) > before_it, 30), up.said
        finally:
            os.kill(runner, signal.SIGCONT)
        assert _until(lambda: "has not run" not in up.page(), 60)

        assert len(set(tank.missed_steps())) == len(tank.missed_steps()), "each is told once"

        tank.drift.set()
        arrived = time.monotonic()
        assert _until(lambda: bool(tank.alarms()), 60), up.logs
        print(f"a person is told {time.monotonic() - arrived:.0f} s after the drift arrived")
        assert _until(lambda: tank.champion == 2, 60), f"{tank.champion}; {up.logs}"
        print(f"a version made for the drift serves {time.monotonic() - arrived:.0f} s after it arrived")
        before = len(up.steps())
        assert _until(lambda: len(up.steps()) >= before + 3, 90)
        assert tank.versions == 2, "the act was carried out once"
        assert _until(lambda: bool(up.events()), 30)
        alarms = [state for event, state in up.events() if event == "terracast.drift-alarm"]
        assert alarms.count("opened") == 1, alarms
        assert _until(lambda: "above" in up.shown()["tank-open-episodes"]["data"], 30), up.shown()
        (alarm,) = tank.alarms()
        assert " reads " in alarm["message"] and "above" in alarm["message"]
        assert alarm["attachments"][0]["mimetype"] == "image/png"

        family = up.family
        assert len(family) >= 7, "Prefect, MLflow and the runner, each with its guard"
        up.process.kill()
        up.process.wait()
        assert _until(lambda: not any(_alive(pid) for pid in family), 10), [pid for pid in family if _alive(pid)]

    with _ended(Up(tank.folder)) as again:
        assert _until(lambda: len(again.steps()) > before + 3, 120), again.logs
        assert tank.versions == 2
        seconds = again.interrupt()
        print(f"ended {seconds:.1f} s after the interrupt")
        assert seconds < 10 and again.process.returncode == 0
    for port in again.ports.values():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
