"""Prefect beside the verbs: a run is written down, events arrive once, and a server that is away loses nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.adapt.monitoring.episodes.episodes import Episode, EvidenceSum
from terracast.flows.running.prefect_api import EPISODE, ask
from terracast.flows.running.recorded import recorded
from terracast.flows.service.events import deliver, post_episodes
from terracast.flows.workspace import Workspace

COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]
AT = np.datetime64("now", "h").astype("datetime64[ns]") - np.timedelta64(3, "h")  # what the server looks back on


def _runs(api: str, verb: str) -> list[str]:
    asked = urllib.request.Request(f"{api}/flow_runs/filter", json.dumps(
        {"flows": {"name": {"any_": [verb]}}}).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return [run["state"]["type"] for run in json.loads(answer.read())]


@contextmanager
def _line_to(api: str) -> Iterator[tuple[str, Any]]:
    """The server behind a line that can be cut: its address through the line, and what cuts it."""
    host, port = api.split("/")[2].split(":")
    listening, opened = socket.create_server(("127.0.0.1", 0)), []

    def carry(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        with suppress(OSError):
            other.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection((host, int(port)))
                opened.extend((near, far))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=carry, args=pair, daemon=True).start()

    def cut() -> None:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        for one in (listening, *opened):
            one.close()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/api", cut
    finally:
        cut()


def test_a_verb_by_hand_is_a_run_at_the_server_and_a_failure_is_told(
        small_city, prefect_server: str) -> None:  # type: ignore[no-untyped-def]
    small_city.deliver(0, 3)
    environment = {**os.environ, "PREFECT_API_URL": prefect_server}
    done = subprocess.run([*COMMAND, "ingest", "--json"], cwd=small_city.folder, env=environment, capture_output=True,
                          text=True)
    assert done.returncode == 0 and done.stderr == "" and len(json.loads(done.stdout)["files"]) == 2
    assert _runs(prefect_server, "ingest") == ["COMPLETED"]
    failed = subprocess.run([*COMMAND, "quality", "--now", "soon"], cwd=small_city.folder, env=environment,
                            capture_output=True, text=True)
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1
    assert _runs(prefect_server, "quality") == ["FAILED"]


def test_a_server_that_is_down_costs_a_line_and_no_step(small_city) -> None:  # type: ignore[no-untyped-def]
    small_city.deliver(0, 3)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/api"
    done = subprocess.run([*COMMAND, "ingest", "--json"], cwd=small_city.folder, capture_output=True, text=True,
                          env={**os.environ, "PREFECT_API_URL": address})
    assert done.returncode == 0 and json.loads(done.stdout)["files"][0]["new"] > 0
    assert done.stderr.count("\n") == 1 and "not recorded" in done.stderr and "Traceback" not in done.stderr


def test_a_server_that_goes_away_in_the_middle_loses_no_step(
        prefect_server: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    with _line_to(prefect_server) as (address, cut):
        monkeypatch.setenv("PREFECT_API_URL", address)

        def act() -> str:
            cut()
            return "the step"

        assert recorded("cut off", act) == "the step"
    assert _runs(prefect_server, "cut off") == ["RUNNING"]
    assert capfd.readouterr().err.count("\n") == 1


def _episode(**changed: Any) -> Episode:
    strength = changed.pop("strength", 5.0)
    found = EvidenceSum.of(AT, Evidence(AT, AT, ("a",), "level", "up", strength))
    return replace(Episode("air-no2-2024-01-05T06", "level", "opened", AT, AT, AT, {"a": 5.0}, {"level": found}),
                   **changed)


def _told(api: str, stream: str) -> list[str]:
    found = ask(api, "/events/filter", {"filter": {"event": {"prefix": [EPISODE]}, "resource": {
        "id": [f"terracast.stream.{stream}"]}}, "limit": 50}, label_timeout=30)["events"]
    return sorted(one["payload"]["state"] for one in found)


def test_an_episode_is_told_when_it_opens_grows_and_closes_once_each_whatever_the_storm(
        small_city, prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    workspace = small_city.open()
    opened = _episode()
    storm = [opened, _episode(phase="growing", strength=5.5), _episode(phase="growing", count=100)]
    grown = _episode(phase="growing", weights={"a": 5.0, "b": 4.0}, last_evidence=AT + np.timedelta64(1, "h"))
    _post(workspace, storm)
    assert len(_letters(workspace)) == 1, "nothing is sent without a server; it waits with the step"
    deliver(workspace)
    assert len(_letters(workspace)) == 1
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    ask(prefect_server, "/events", _letters(workspace))  # killed after it was handed over, before that was noted
    deliver(workspace)
    assert _letters(workspace) == []
    _post(workspace, [grown, grown])
    _post(workspace, [_episode(phase="recovering", weights=grown.weights)])
    deliver(workspace)
    _post(workspace, [_episode(phase="closed")])
    _post(workspace, [_episode(phase="closed")])
    deliver(workspace)
    pause = threading.Event()
    for _ in range(60):
        if len(_told(prefect_server, "city")) >= 3:
            break
        pause.wait(0.5)
    pause.wait(1.0)
    assert _told(prefect_server, "city") == ["closed", "grew", "opened"]


def _post(workspace: Workspace, episodes: list[Episode]) -> None:
    with workspace.store.transaction("a step") as step:
        post_episodes(step, episodes, "city")


def _letters(workspace: Workspace) -> list[dict[str, Any]]:
    return list((workspace.store.read().state("events") or {"letters": []})["letters"])  # type: ignore[call-overload]


def test_nothing_of_prefect_is_imported_by_a_verb(small_city) -> None:  # type: ignore[no-untyped-def]
    small_city.deliver(0, 3)
    heavy = ("import sys; from terracast.flows.command import run_verb; sys.argv = ['terracast', 'ingest', '--json']\n"
             "try:\n    run_verb()\nexcept SystemExit:\n    pass\n"
             "print([name for name in ('prefect', 'mlflow', 'torch') if name in sys.modules], file=sys.stderr)")
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    done = subprocess.run([sys.executable, "-c", heavy], cwd=Path(small_city.folder), env=environment,
                          capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "[]", done.stderr
