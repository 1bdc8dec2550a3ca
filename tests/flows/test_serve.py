"""``terracast serve`` as a program meets it: a real process on a free loopback port, asked over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families

from terracast.flows.command import run_verb
from terracast.flows.reporting.freshness import freshness
from terracast.flows.running.exposition import resident_bytes
from terracast.flows.serving.snapshot_reader import SnapshotReader
from terracast.flows.watch import watch_once
from terracast.flows.workspace import Workspace
from terracast.streams.storage.compaction import compact
from tests.flows.conftest import BERLIN
from tests.streams.servers import answers, free_port, stop, wait_for

pytestmark = pytest.mark.integration

COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]
TOKEN = "a-token-of-some-length"
AGE = "newest_value_age_seconds"
HOUR = np.timedelta64(1, "h")
ROUTES = ("/forecast", "/episodes", "/history", "/status", "/metrics", "/openapi.json")


def typed(*arguments: str, folder: Path, token: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "300", "TERRACAST_TOKEN": token}
    return subprocess.run([*COMMAND, *arguments], cwd=folder, env=environment, capture_output=True, text=True,
                          timeout=60)


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], harbour: Path) -> Callable[..., str]:
    """What a verb prints, in this process: one of its own only takes longer."""
    def printed(*arguments: str) -> str:
        monkeypatch.chdir(harbour)
        monkeypatch.setattr(sys, "argv", ["terracast", *arguments])
        capsys.readouterr()
        with suppress(SystemExit):
            run_verb()
        return capsys.readouterr().out

    return printed


@contextmanager
def serving(folder: Path, *options: str, token: str = "") -> Iterator[httpx.Client]:
    """A running ``terracast serve``, ended by its pid; ``client.pid`` names it."""
    port = free_port()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TERRACAST_TOKEN": token}
    server = subprocess.Popen([*COMMAND, "serve", "--port", str(port), *options], cwd=folder, env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: answers(port) or server.poll() is not None, "terracast serve")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            client.pid = server.pid  # type: ignore[attr-defined]
            yield client
            server.terminate()
            said, errors = server.communicate(timeout=20)
            assert (server.returncode, errors) == (0, "") and said.splitlines()[-1] == "ended"
    finally:
        stop(server)


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stream in service whose newest step is less than two hours old, by the clock on the wall."""
    folder = tmp_path_factory.mktemp("harbour")
    newest = pd.Timestamp.now("UTC").tz_localize(None).floor("h") - pd.Timedelta("1h")
    clock, random = pd.date_range(end=newest, periods=24 * 12, freq="h"), np.random.default_rng(0)
    rows = [pd.DataFrame({"time": clock.strftime("%Y-%m-%d %H:%M"), "station": node, "lat": 52.5 + place / 20,
                          "lon": 13.4, "no2": (30 + 10 * np.sin(clock.hour / 4 + place)
                                               + random.normal(0, 3, len(clock))).round(2),
                          "wind": random.normal(4, 1, len(clock)).round(2)})
            for place, node in enumerate(("quay north", "quay south"))]
    pd.concat(rows).to_csv(folder / "air.csv", index=False)
    settings = BERLIN.replace('cadence = "6h"', 'cadence = "1h"').replace('delay = "1h"', 'delay = "1min"')
    settings = settings.replace('first_fit = "20d"', 'first_fit = "8d"')
    (folder / "terracast.toml").write_text(settings.replace('time_zone = "Europe/Berlin"\n', ""), encoding="utf-8")
    step = watch_once(Workspace.open(folder / "terracast.toml"), newest.to_datetime64() + np.timedelta64(5, "m"))
    assert step.waiting is None and step.forecast is not None
    return folder


@pytest.fixture(scope="module")
def live(harbour: Path) -> Iterator[httpx.Client]:
    with serving(harbour) as client:
        yield client


@pytest.fixture(scope="module")
def guarded(berlin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server with a token, on a stream whose last step was long ago; few requests a second are allowed."""
    folder = tmp_path_factory.mktemp("guarded") / "berlin"
    shutil.copytree(berlin, folder)
    with serving(folder, "--rate", "5", token=TOKEN) as client:
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield client


def aged(answer: dict[str, Any]) -> dict[str, Any]:
    """A forecast without its age, which is one of the instant."""
    return {name: value for name, value in answer.items() if name != AGE}


def test_every_address_answers_what_its_verb_prints(harbour: Path, live: httpx.Client,
                                                    verb: Callable[..., str]) -> None:
    typed_in = json.loads(typed("forecast", "--json", folder=harbour).stdout)
    told = live.get("/forecast").json()
    assert aged(told) == aged(typed_in) and len(told["rows"]) == 24 and 0 <= told[AGE] - typed_in[AGE] < 60
    some = live.get("/forecast", params={"node": ["quay s*"], "lead": "3h"}).json()
    chosen = json.loads(verb("forecast", "--node", "quay s*", "--lead", "3h", "--json"))
    assert aged(some) == aged(chosen) and len(some["rows"]) == 3
    stood = json.loads(verb("status", "--json"))
    assert live.get("/status").json() == stood and stood["streams"][0]["champion"] == "1"
    assert live.get("/episodes", params={"open": "true"}).json() == {"episodes": stood["streams"][0]["episodes"]}
    past = json.loads(verb("history", "--json"))
    assert live.get("/history").json() == past and past["history"][0]["action"] == "began"


def test_the_numbers_are_those_of_the_verb(live: httpx.Client, verb: Callable[..., str]) -> None:
    def samples(text: str) -> dict[tuple[str, str], float]:
        return {(one.name, json.dumps(one.labels)): one.value for family in text_string_to_metric_families(text)
                for one in family.samples if "age" not in one.name and "store_" not in one.name}

    asked = live.get("/metrics", params={"nodes": "1"})
    assert asked.headers["content-type"].startswith("text/plain; version=")
    assert samples(asked.text) == samples(verb("metrics", "--nodes"))
    assert samples(asked.text)[("terracast_champion_version", '{"stream": "berlin"}')] == 1


def test_health_is_200_while_steps_come_and_503_with_a_reason_when_not(live: httpx.Client,
                                                                      guarded: httpx.Client) -> None:
    well = live.get("/health")
    assert well.status_code == 200 and well.json()["ready"] is True, well.text
    ill = guarded.get("/health")
    assert ill.status_code == 503 and ill.json()["error"].startswith("The newest step stands at 2024-01-25T00:00:00Z, ")


def test_a_thousand_requests_read_the_store_once(live: httpx.Client, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(50):
        live.get("/forecast")
    before, began, seen = resident_bytes(live.pid), time.perf_counter(), set()  # type: ignore[attr-defined]
    for _ in range(1000):
        told = live.get("/forecast")
        assert told.status_code == 200
        seen.add((told.headers["terracast-snapshot"], told.headers["terracast-read-at"]))
    lasted, after = time.perf_counter() - began, resident_bytes(live.pid)  # type: ignore[attr-defined]
    with capsys.disabled():
        print(f"\n{1000 / lasted:.0f} requests/s of /forecast, readings: {len(seen)}, "
              f"memory {before / 2**20:.1f} -> {after / 2**20:.1f} MiB")
    assert len(seen) == 1 and after - before < 8 * 2**20
    assert lasted < 20, "an answer waits for something"


def test_a_step_committed_meanwhile_is_seen_by_the_next_request(harbour: Path, live: httpx.Client,
                                                                verb: Callable[..., str]) -> None:
    before = live.get("/forecast")
    now = pd.Timestamp.now("UTC").tz_localize(None)
    step = watch_once(Workspace.open(harbour / "terracast.toml"), now.to_datetime64().astype("datetime64[ns]"))
    assert step.forecast is not None
    after, stood = live.get("/forecast"), live.get("/status").json()["streams"][0]
    assert after.headers["terracast-snapshot"] != before.headers["terracast-snapshot"]
    assert after.json()["issue_time"] > before.json()["issue_time"] and stood["last_step"] == (
        f"{after.json()['issue_time']}Z")
    assert aged(after.json()) == aged(json.loads(verb("forecast", "--json")))


def test_many_at_once_while_the_store_is_tidied(harbour: Path, live: httpx.Client) -> None:
    """Readers of snapshots that expire fail; whoever asks here notices nothing."""
    workspace, failed = Workspace.open(harbour / "terracast.toml"), []

    def asks(number: int) -> None:
        with httpx.Client(base_url=live.base_url, timeout=30) as client:
            for turn in range(40):
                told = client.get(("/forecast", "/history", "/status", "/metrics")[(number + turn) % 4])
                if told.status_code != 200 or "unread" in told.text:
                    failed.append(told.text)

    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(asks, number) for number in range(4)]
        for number in range(4):
            with workspace.store.transaction("a note") as step:
                step.set_state("note", {"number": number})
            compact(workspace.store, older_than=np.datetime64("2100-01-01", "ns"))
        for one in asked:
            one.result()
    assert failed == []
    assert live.get("/forecast").headers["terracast-snapshot"] == workspace.store.read().snapshot


@pytest.mark.parametrize(("address", "status", "words"), [
    ("/forecast?node=Pankow", 404, "no node 'Pankow' (node): expected some of Mitte, Wedding"),
    ("/forecast?node=%00%0a%1b[31m", 404, "no node '\\x00\\n\\x1b[31m'"),
    ("/forecast?node=../../etc/passwd", 404, "no node '../../etc/passwd'"),
    ("/forecast?node=[z-a]", 404, "no node"),
    ("/forecast?node=" + "*a" * 90 + "b", 404, "no node"),
    ("/forecast?node=" + "x" * 201, 400, "at most 200 characters"),
    ("/forecast?" + "&".join(["node=M*"] * 201), 400, "at most 200 items"),
    ("/forecast?lead=10min", 404, "no lead of 10 minutes or less (lead)"),
    ("/forecast?lead=soon", 400, "'soon' is not a length of time (lead)"),
    ("/forecast?lead=1e300d", 400, "is not a length of time"),
    ("/forecast?lead=-6h", 400, "is not a length of time"),
    ("/forecast?lead=" + "9" * 39 + "d", 400, "is not a length of time"),
    ("/forecast?lead=6h&lead=7h", 400, "'lead' is given twice"),
    ("/forecast?now=2024-01-01", 400, "no parameter 'now': expected one of node, lead"),
    ("/episodes?open=perhaps", 400, "open: "),
    ("/metrics?nodes=all", 400, "nodes: "),
    ("/history?x=<script>", 400, "no parameter 'x': expected no parameter"),
    ("/docs", 404, "expected one of /episodes, /forecast"),
    ("/forecast/%2e%2e/status", 404, "nothing is at"),
    ("/forecast?node=" + "x" * 9000, 414, "exceeds 8192 bytes"),
])
def test_what_cannot_be_answered_is_one_line(guarded: httpx.Client, address: str, status: int, words: str) -> None:
    told = patiently(guarded, "GET", address)
    assert told.status_code == status, told.text
    (error,) = told.json().values()
    assert words in error and "\n" not in error and "Traceback" not in error and len(error) < 400


def patiently(client: httpx.Client, method: str, address: str, **more: Any) -> httpx.Response:
    """Ask again where too many were asked a moment ago."""
    while (told := client.request(method, address, **more)).status_code == 429:
        assert "Retry-After" in told.headers
        time.sleep(1)
    return told


def test_other_methods_bodies_and_heads(guarded: httpx.Client) -> None:
    assert patiently(guarded, "POST", "/forecast").json() == {"error": "only GET and HEAD are taken"}
    large = patiently(guarded, "GET", "/forecast", content=b"x" * 100_000)
    assert large.status_code == 413 and "no body" in large.json()["error"]
    pieces = patiently(guarded, "GET", "/forecast", content=iter([b"x" * 1000] * 5))
    assert pieces.status_code == 413
    head = patiently(guarded, "HEAD", "/forecast")
    assert head.status_code == 200 and head.content == b"" and int(head.headers["content-length"]) > 500


def test_every_answer_has_the_headers_and_the_description_needs_no_network(guarded: httpx.Client) -> None:
    for address in (*ROUTES, "/health", "/nothing"):
        headers = patiently(guarded, "GET", address).headers
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'") and "server" not in headers
    described = patiently(guarded, "GET", "/openapi.json").json()
    assert set(described["paths"]) == {"/forecast", "/episodes", "/history", "/status", "/health", "/metrics"}
    assert {one["name"] for one in described["paths"]["/forecast"]["get"]["parameters"]} == {"node", "lead"}
    assert "HTTPBearer" in described["components"]["securitySchemes"]


def test_too_many_requests_are_put_off(guarded: httpx.Client) -> None:
    told = [guarded.get("/history") for _ in range(120)]
    refused = [one for one in told if one.status_code == 429]
    assert refused and {one.status_code for one in told} <= {200, 429}
    assert refused[0].headers["retry-after"] == "1" and "too many requests" in refused[0].json()["error"]
    time.sleep(1.1)
    assert guarded.get("/history").status_code == 200


def test_ten_wrong_tokens_shut_an_address_out(berlin: Path, tmp_path: Path) -> None:
    folder = tmp_path / "berlin"
    shutil.copytree(berlin, folder)
    before = _files(folder)
    with serving(folder, token=TOKEN) as client:
        assert client.get("/history").status_code == 401  # none is no wrong one
        for address in (*ROUTES, "/health"):
            right = client.get(address, headers={"Authorization": f"Bearer {TOKEN}"})
            assert right.status_code == (503 if address == "/health" else 200), right.text
            assert client.get(address).status_code == 401
        for number in range(10):
            wrong = client.get("/history", headers={"Authorization": f"Bearer {TOKEN}{number}"})
            assert wrong.status_code == 401 and wrong.headers["www-authenticate"] == "Bearer"
            assert TOKEN not in wrong.text
        shut = client.get("/history", headers={"Authorization": f"Bearer {TOKEN}"})
        assert shut.status_code == 429 and 50 < int(shut.headers["retry-after"]) <= 60
    assert _files(folder) == before, "it wrote something"


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("options", "token", "words"), [
    (("--host", "0.0.0.0"), "", "no bearer token (TERRACAST_TOKEN): expected at least 16 characters"),
    (("--host", "::"), "short", "the bearer token is short (TERRACAST_TOKEN)"),
    (("--host", "0.0.0.0", "--token-env", "OTHER"), TOKEN, "no bearer token (OTHER)"),
    ((), "short", "the bearer token is short (TERRACAST_TOKEN)"),
    (("--host", "no.such.host.invalid"), TOKEN, "no listening there"),
    (("--rate", "0"), "", "0 requests a second (--rate)"),
    (("--config", "absent.toml"), "", "no settings file"),
])
def test_what_it_cannot_begin_with_is_one_line(berlin: Path, options: tuple[str, ...], token: str, words: str) -> None:
    done = typed("serve", *options, folder=berlin, token=token)
    assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_a_taken_port_is_one_line(berlin: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = typed("serve", "--port", str(taken.getsockname()[1]), folder=berlin)
    assert done.returncode == 1 and "choose others with --host and --port" in done.stderr
    assert done.stderr.count("\n") == 1


def test_before_the_first_step_it_says_so_and_makes_no_store(harbour: Path, tmp_path: Path) -> None:
    shutil.copy(harbour / "terracast.toml", tmp_path)
    with serving(tmp_path) as client:
        for address in ("/forecast", "/status", "/health"):
            told = client.get(address)
            assert told.status_code == 503 and "`terracast watch --once`" in told.json()["error"]
        numbers = client.get("/metrics")
        assert numbers.status_code == 200 and 'terracast_up_trouble{stream="berlin"} 1.0' in numbers.text
        assert client.get("/history", headers={"Host": "evil.example"}).status_code == 400
        assert {path.name for path in tmp_path.iterdir()} == {"terracast.toml"}
        shutil.copytree(harbour, tmp_path, dirs_exist_ok=True)
        assert client.get("/forecast").status_code == 200


def test_what_the_clock_alone_turns_is_read_again_at_that_instant(berlin: Path) -> None:
    """Between two turns freshness is the same: at any instant the reader's is the one that is read then."""
    workspace, reader = Workspace.open(berlin / "terracast.toml"), SnapshotReader(berlin / "terracast.toml")
    view, start = workspace.store.read(), np.datetime64("2024-01-25T00:00", "ns")
    read = set()
    for minutes in [*range(0, 600, 7), *range(14_000, 17_000, 97)]:
        at = start + np.timedelta64(minutes, "m")
        held = reader.ask(at, lambda one: (one.at, one.part("status").sources))
        read.add(held[0])
        fresh = freshness(workspace, view, at)
        assert [(one.newest, one.overdue, one.silent) for one in held[1]] == [
            (one.newest, one.overdue, one.silent) for one in fresh]
    assert 10 < len(read) < 60 and any(one.overdue for one in fresh)
