"""``terracast up``: all on loopback in one command, runs started by hand and by an alarm, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows.up import ALARM, _page, _server, deployments
from streams.errors import TerracastError

COMMAND = [sys.executable, "-c", "from flows.command import main; main()"]


def _free() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _ask(url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return answer.read()


def _until(true: Callable[[], bool], seconds: int) -> bool:
    deadline = pd.Timestamp.now() + pd.Timedelta(seconds=seconds)
    while pd.Timestamp.now() < deadline:
        if true():
            return True
        threading.Event().wait(0.5)
    return False


def test_what_runs_when(small_city, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    config = str(small_city.folder / "terracast.toml")
    found = {one.name: one for one in deployments(config, tmp_path / "index.html")}
    assert set(found) == {"watch", "adapt", "discover", "report", "retrain", "ingest"}
    assert found["watch"].schedules and not found["retrain"].schedules
    assert found["adapt"].triggers[0].expect == {ALARM}
    assert all(one.parameters["config"] == config for one in found.values())


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TerracastError, match="free port"), _page(tmp_path, port):
            pass
    with pytest.raises(TerracastError, match="does not answer"), \
            _server("Python", ["this"], f"http://127.0.0.1:{_free()}"):  # prints and ends
        pass


@pytest.mark.slow
def test_up_serves_runs_and_leaves_nothing(small_city, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ports = {name: _free() for name in ("prefect", "mlflow", "page")}
    environment = {**os.environ, "PREFECT_HOME": str(tmp_path / "prefect"), "OMP_NUM_THREADS": "1"}
    environment.pop("PREFECT_API_URL", None)
    options = [part for name, port in ports.items() for part in (f"--{name}-port", str(port))]
    small_city.deliver(0, 32)
    with (tmp_path / "up.log").open("w") as log, subprocess.Popen(
            [*COMMAND, "up", *options], cwd=small_city.folder, env=environment, stdout=subprocess.PIPE, stderr=log,
            text=True, start_new_session=True) as running:
        try:
            assert running.stdout is not None
            for line in running.stdout:
                if line.startswith("schedules are on"):
                    break
            else:
                raise AssertionError((tmp_path / "up.log").read_text()[-3000:])
            api = f"http://127.0.0.1:{ports['prefect']}/api"
            assert b"<html" in _ask(f"http://127.0.0.1:{ports['page']}/")
            assert _ask(f"http://127.0.0.1:{ports['mlflow']}/health") == b"OK"
            assert _until(lambda: len(json.loads(_ask(f"{api}/deployments/filter", {}))) == 6, 60)
            ids = {one["name"]: one["id"] for one in json.loads(_ask(f"{api}/deployments/filter", {}))}

            def ended(runs: dict[str, object]) -> bool:
                found = json.loads(_ask(f"{api}/flow_runs/filter", runs))
                assert not any(run["state_type"] in ("FAILED", "CRASHED") for run in found), found
                return any(run["state_type"] == "COMPLETED" for run in found)

            given = {"config": str(small_city.config), "now": str(small_city.day(32))}
            run = json.loads(_ask(f"{api}/deployments/{ids['watch']}/create_flow_run", {"parameters": given}))["id"]
            assert _until(lambda: ended({"flow_runs": {"id": {"any_": [run]}}}), 120)
            _ask(f"{api}/events", [{"event": ALARM, "occurred": pd.Timestamp.now("UTC").isoformat(),
                                    "resource": {"prefect.resource.id": "terracast.stream.city"},
                                    "id": "00000000-0000-4000-8000-000000000001", "payload": {}}])
            assert _until(lambda: ended({"deployments": {"id": {"any_": [ids["adapt"]]}}}), 120)
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(60)
    for port in ports.values():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
