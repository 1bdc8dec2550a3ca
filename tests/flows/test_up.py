"""What ``terracast up`` is made of: what runs when, ports, the page, one a workspace, guards, steps that miss."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from terracast.flows.running.artefacts import show_step
from terracast.flows.running.failed_verbs import failed_verbs, runs_and_failures, write_failure
from terracast.flows.running.guard import AGAIN
from terracast.flows.running.page import page, served
from terracast.flows.running.place import RUNS, UP, RunningPlace
from terracast.flows.running.run_status import RENEWAL, missed, now, stamp, trouble
from terracast.flows.settings import read_settings
from terracast.flows.up import _forgets
from terracast.streams.errors import TerracastError

COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]
NOTHING: dict[str, Any] = {"trouble": [], "waiting": "Service waits: 3 of 30 days of air are known."}


def _free() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_what_runs_when(small_city, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from terracast.flows.scheduled import deployments

    found = {one.name: one for one in deployments(small_city.config, tmp_path / "site")}
    assert set(found) == {f"city-{verb}" for verb in ("watch", "discover", "report", "retrain", "ingest")}
    assert found["city-watch"].schedules and not found["city-retrain"].schedules
    assert not any(one.triggers for one in found.values()), "the step itself adapts; no event starts a run"
    assert all(one.parameters["config"] == str(small_city.config) for one in found.values())


@pytest.mark.parametrize("option", ["--prefect-port", "--mlflow-port", "--page-port"])
def test_a_port_that_is_taken_is_one_line(small_city, option: str) -> None:  # type: ignore[no-untyped-def]
    options = {name: str(_free()) for name in ("--prefect-port", "--mlflow-port", "--page-port")}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        options[option] = str(taken.getsockname()[1])
        done = subprocess.run([*COMMAND, "up", *(part for pair in options.items() for part in pair)],
                              cwd=small_city.folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert options[option] in done.stderr and option in done.stderr


def test_the_page_is_the_site_or_what_is_waited_for_and_no_folder(tmp_path: Path) -> None:
    site, port = tmp_path / "site", _free()
    told = dict(NOTHING)
    with served(site, lambda: told, port):
        def get(path: str = "/") -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return answer.read().decode()  # type: ignore[no-any-return]

        assert "3 of 30 days of air are known" in get()
        (site / "data").mkdir(parents=True)
        (site / "secret.txt").write_text("x")
        for name, mark in (("index.html", "<!-- served: notices -->"), ("report.html", "")):
            (site / name).write_text(f"<!doctype html><html><body class='a'>{mark}<p>{name}</p></body></html>")
        told["trouble"] = ["The step that was due at <noon> has not run."]
        for path, name in (("/", "index.html"), ("/index.html", "index.html"), ("/report.html", "report.html")):
            assert get(path).index("due at &lt;noon&gt;") < get(path).index(f"<p>{name}</p>")
        told["trouble"] = []
        assert "role=" not in get() and '"trouble"' in get("/status.json")
        for path in ("/secret.txt", "/data/", "/data", "/site/", "/../", "/data/../secret.txt", "/none.html"):
            with pytest.raises(urllib.error.HTTPError):
                get(path)
    assert "<body" in str(page(site, "index.html", NOTHING))


@pytest.mark.parametrize(("span", "seconds"), [("90d", 90 * 86400), ("30min", 7200)])
def test_prefect_forgets_ended_runs_as_it_understands_it(tmp_path: Path, span: str, seconds: int) -> None:
    """Each step makes a run, logs and artefacts there: nothing else would ever remove them."""
    (tmp_path / "terracast.toml").write_text(
        f'[stream]\nname = "a"\ndomain = "a"\ntarget = "x"\nstep = "1h"\n[upkeep]\nkeep_logs = "{span}"\n'
        '[[sources]]\ntype = "files"\ndomain = "a"\npath = "x.csv"\nvariables = ["x"]\nstep = "1h"\ndelay = "1h"\n')
    given = _forgets(read_settings(tmp_path / "terracast.toml"))
    ask = ("from prefect.settings import get_current_settings as now\n"
           "held = now().server.services.db_vacuum\n"
           "print(sorted(held.enabled_vacuum_types), held.retention_period.total_seconds())")
    told = subprocess.run([sys.executable, "-c", ask], env={**os.environ, **given}, capture_output=True, text=True)
    assert told.stdout.split("]") == ["['events', 'flow_runs', 'orphans'", f" {float(seconds)}\n"], told.stderr


def test_one_up_a_workspace_and_its_lock_dies_with_it(tmp_path: Path) -> None:
    place = RunningPlace(tmp_path / ".terracast")
    holder = ("import sys, time; from pathlib import Path; from terracast.flows.running.place import RunningPlace\n"
              "with RunningPlace(Path(sys.argv[1])).only_one():\n    print('held', flush=True); time.sleep(600)")
    with subprocess.Popen([sys.executable, "-c", holder, str(place.folder)], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None and first.stdout.readline() == b"held\n"
        place.write(UP, {"pid": first.pid, "page": "http://127.0.0.1:8478"})
        assert place.alive
        with pytest.raises(TerracastError, match=rf"process {first.pid}, page http://127.0.0.1:8478"), place.only_one():
            pass
        first.kill()
    assert not place.alive
    with place.only_one():
        assert place.alive


def test_a_guard_ends_its_child_and_all_that_it_started_when_the_pipe_closes() -> None:
    deaf = ("import os, signal, subprocess, sys, time\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
            "print(os.getpid(), child.pid, flush=True); time.sleep(600)")
    guard = subprocess.Popen([sys.executable, "-m", "terracast.flows.running.guard", "0.5", sys.executable, "-c", deaf],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert guard.stdout is not None and guard.stdin is not None
    pids = [int(pid) for pid in guard.stdout.readline().split()]
    os.kill(guard.pid, signal.SIGINT)  # a terminal's Ctrl-C is not for the guard
    threading.Event().wait(0.3)
    assert guard.poll() is None
    guard.stdin.close()
    guard.wait(15)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    guard.stdout.close()


def test_a_child_that_asks_for_it_is_started_again(tmp_path: Path) -> None:
    counts = ("import pathlib, sys\n"
              f"path = pathlib.Path({str(tmp_path / 'starts')!r}); path.open('a').write('.')\n"
              f"sys.exit({AGAIN} if len(path.read_text()) < 3 else 4)")
    guard = subprocess.Popen([sys.executable, "-m", "terracast.flows.running.guard", "0.5", sys.executable, "-c",
                              counts], stdin=subprocess.PIPE, start_new_session=True)
    assert guard.wait(60) == 4
    assert guard.stdin is not None
    guard.stdin.close()
    assert (tmp_path / "starts").read_text() == "..."


def test_a_step_that_did_not_come_is_told_within_two_cadences_of_when_it_was_due() -> None:
    at, runs = now(), {"cadence_seconds": 60.0, "failed": {}, "running": None}
    ready = stamp(at.replace(year=at.year - 1))
    assert missed({}, at) is None, "not before the schedules are on"
    assert missed(runs | {"ready": ready}, at) is not None
    assert missed(runs | {"ready": ready, "began": stamp(at)}, at) is None
    assert missed(runs | {"ready": ready, "running": {"verb": "watch", "since": ready}}, at) is None
    renewed = runs | {"ready": ready, "running": {"verb": RENEWAL, "since": stamp(at)}}
    assert missed(renewed, at) is None and trouble(renewed, at) == []
    (told,) = trouble(runs | {"ready": ready, "running": {"verb": "discover", "since": ready}}, at)
    assert "has not run" in told and "discover" in told
    assert trouble(runs | {"failed": {"watch": "the disk is full"}}, at) == [
        "The last run of `watch` failed: the disk is full"]


def test_a_damaged_mlflow_file_keeps_up_from_starting_anything(small_city) -> None:  # type: ignore[no-untyped-def]
    (small_city.folder / "mlflow.db").write_bytes(b"no database" * 200)
    done = subprocess.run([*COMMAND, "up"], cwd=small_city.folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "mlflow.db" in done.stderr
    assert not RunningPlace.of(small_city.config).alive


def test_a_server_that_ends_is_told_by_its_last_words(tmp_path: Path) -> None:
    from terracast.flows.up import Child, _await, _running

    child = Child("Python", [sys.executable, "-c", "print('cannot bind'); raise SystemExit(1)"], dict(os.environ),
                  tmp_path / "python.log", f"http://127.0.0.1:{_free()}/health")
    with pytest.raises(TerracastError, match="Python ended: cannot bind"), _running([child]):
        _await([child], RunningPlace(tmp_path))


def test_what_failed_stands_in_one_place_until_it_goes_well(tmp_path: Path) -> None:
    """By hand or by schedule; a place that cannot be written fails no run."""
    place = RunningPlace(tmp_path / ".terracast")
    place.write(RUNS, {"cadence_seconds": 60.0, "ready": stamp(now())})
    write_failure(place, "watch", "the disk is full")
    write_failure(place, "watch", "the disk is still full", ["json://people"])
    assert runs_and_failures(place)["failed"] == {"watch": "the disk is still full"}
    assert "failed" not in place.read(RUNS)
    write_failure(place, "watch", "and still")
    assert failed_verbs(place)["watch"]["told"] == ["json://people"]
    write_failure(place, "watch", None)
    assert failed_verbs(place) == {} and trouble(runs_and_failures(place), now()) == []
    (tmp_path / "no folder").write_text("")
    write_failure(RunningPlace(tmp_path / "no folder"), "watch", "the disk is full")


def test_a_server_that_is_absent_or_away_costs_a_step_nothing_but_a_line(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    step: dict[str, Any] = {"waiting": "3 of 30 days of air are known", "alarms": {}, "standing": {}, **dict.fromkeys(
        ("silent", "returned", "set_aside", "decisions", "approvals", "dropped", "receipts", "episodes"), ())}
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert show_step(tmp_path / "terracast.toml", "air", step, None) == 0 and capsys.readouterr().err == ""
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{_free()}/api")
    assert show_step(tmp_path / "terracast.toml", "air", step, None) == 0
    told = capsys.readouterr().err
    assert "is not shown by Prefect" in told and told.strip().count("\n") == 0
