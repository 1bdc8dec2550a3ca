"""HTTP push against a real uvicorn: what was answered 202 is never lost and never counted twice."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from terracast.streams.sources import SourceError, Terms, drain
from terracast.streams.sources.http import TOKEN_FROM, inbox_folder, push_app
from terracast.streams.sources.inbox import InboxSource
from terracast.streams.sources.rate_limit import RateLimit
from terracast.streams.store import Store
from tests.streams.row_forms import FORMS, NAMES, RowForm, said_by
from tests.streams.servers import ROOT, answers, free_port, stop, wait_for

pytestmark = pytest.mark.integration

TOKEN = "a-token-of-some-length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
END = np.datetime64("2100-01-01")
AIR = Terms("air", pd.Timedelta("1h"), units={"no2": "ug m-3"})

SERVER = """
import itertools
import sys
from pathlib import Path
import numpy as np
import pandas as pd
import uvicorn
from terracast.streams.sources import Terms
from terracast.streams.sources.http import push_app
ticks = itertools.count(int(sys.argv[3]))
app = push_app(Path(sys.argv[1]), {"air": Terms("air", pd.Timedelta("1h"), units={"no2": "ug m-3"})},
               lambda: np.datetime64("2020-02-01", "ns") + np.timedelta64(next(ticks), "us"),
               most_body=2000, most_items=int(sys.argv[4]), retry_after=7)
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
"""


def start(folder: Path, port: int, first_tick: int = 0, most_items: int = 1000) -> subprocess.Popen:
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(folder), str(port), str(first_tick),
                               str(most_items)], cwd=ROOT, env={**os.environ, TOKEN_FROM: TOKEN})
    wait_for(lambda: answers(port), "uvicorn")
    return server


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Path]]:
    folder, port = tmp_path_factory.mktemp("inbox"), free_port()
    server = start(folder, port, most_items=5)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=BEARER) as client:
            yield client, folder
    finally:
        stop(server)


def source(folder: Path, **more: int) -> InboxSource:
    return InboxSource("push", AIR, inbox_folder(folder, "air"), **more)


def test_json_csv_and_the_same_again(pushed: tuple[httpx.Client, Path], tmp_path: Path) -> None:
    client, folder = pushed
    rows = [{"time": "2020-01-01T00:00Z", "node": "a", "no2": 1.5}, {"time": "2020-01-01T00:00Z", "node": "b",
                                                                     "no2": None}]
    first = client.post("/v1/air", json=rows)
    assert first.status_code == 202 and first.json()["rows"] == 2 and not first.json()["known"]
    again = client.post("/v1/air", json=rows)
    assert again.status_code == 202 and again.json() == {**first.json(), "known": True}
    table = "time,node,no2\n2020-01-01T01:00Z,a,2.5\n"
    as_csv = {"Content-Type": "text/csv; charset=utf-8"}
    assert client.post("/v1/air", content=table, headers=as_csv).json()["rows"] == 1
    store = Store.open(tmp_path)
    assert sum(one.new for one in drain([source(folder)], store)) == 2
    assert not list(inbox_folder(folder, "air").iterdir())
    assert not client.post("/v1/air", json=rows).json()["known"]  # the server has forgotten it, the cursor has not
    assert drain([source(folder)], store) == () and not list(inbox_folder(folder, "air").iterdir())
    key = {"Idempotency-Key": "said on purpose"}
    assert client.post("/v1/air", json=rows, headers=key).status_code == 202
    (answer,) = drain([source(folder)], store)
    assert answer.duplicate == 1
    assert store.read().as_known_at("air", END).no2.sel(node="a").values.tolist() == [1.5, 2.5]


@pytest.fixture(scope="module")
def all_forms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Path]]:
    """A server with a domain per form."""
    folder, port = tmp_path_factory.mktemp("forms"), free_port()
    server = subprocess.Popen([sys.executable, "-c", FORM_SERVER, str(folder), str(port)], cwd=ROOT,
                              env={**os.environ, TOKEN_FROM: TOKEN})
    wait_for(lambda: answers(port), "uvicorn")
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=BEARER) as client:
            yield client, folder
    finally:
        stop(server)


FORM_SERVER = """
import sys
from pathlib import Path
import numpy as np
import uvicorn
from terracast.streams.sources.http import push_app
sys.path.insert(0, ".")
from tests.streams.row_forms import FORMS
app = push_app(Path(sys.argv[1]), {str(number): form.terms() for number, form in enumerate(FORMS)},
               lambda: np.datetime64("2021-02-01", "ns"))
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
"""


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "csv"])
@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_pushes_in_the_forms_that_files_have(all_forms: tuple[httpx.Client, Path], tmp_path: Path, form: RowForm,
                                             as_json: bool) -> None:
    (client, folder), number = all_forms, str(FORMS.index(form))
    answer = client.post(f"/v1/{number}", json={"rows": form.rows}) if as_json else client.post(
        f"/v1/{number}", content=form.table().encode(), headers={"Content-Type": "text/csv"})
    assert answer.status_code == 202, answer.text
    store = Store.open(tmp_path)
    (answered,) = drain([InboxSource("push", form.terms(), inbox_folder(folder, number))], store)
    assert not answered.rejected and not answered.refused
    panel = store.read().as_known_at("air", END)
    assert said_by(panel) == form.said
    assert {variable: panel[variable].attrs["units"] for variable in form.units} == form.units


@pytest.mark.parametrize(("path", "headers", "body", "status", "words"), [
    ("/v1/air", {"Authorization": "Bearer wrong"}, "[]", 401, "token"),
    ("/v1/air", {"Authorization": f"Basic {TOKEN}"}, "[]", 401, "token"),
    ("/v1/air", {"Authorization": ""}, "[]", 401, "token"),
    ("/v1/sea", {}, "[]", 404, "no domain 'sea': expected one of air"),
    ("/v1/air", {"Content-Type": "text/plain"}, "[]", 415, "expected application/json or text/csv"),
    ("/v1/air", {}, "x" * 2001, 413, "exceeds 2000 bytes"),
    ("/v1/air", {}, "[", 422, "not JSON"),
    ("/v1/air", {}, "[1]", 422, "row 1 is no object"),
    ("/v1/air", {}, "[]", 422, "no rows"),
    ("/v1/air", {}, '[{"time": "2020-01-01", "node": "a", "no2": 1}, {"time": "soon", "node": "a", "no2": 1}]', 422,
     "time is 'soon' (row 2): expected a stamp"),
    ("/v1/air", {}, '{"time": "2030-01-01", "node": "a", "no2": 1}', 422, "check the clock"),
    ("/v1/air", {"Content-Type": "text/csv"}, "time,node,no2\n2020-01-01,a\n", 422, "2 fields (body line 2)"),
    ("/v1/air", {"Content-Type": "text/csv"}, b"\xff\xfe", 422, "UTF-8"),
])
def test_requests_refused_in_words(pushed: tuple[httpx.Client, Path], path: str, headers: dict[str, str],
                                   body: str | bytes, status: int, words: str) -> None:
    client, folder = pushed
    answer = client.post(path, content=body, headers={"Content-Type": "application/json", **headers})
    assert answer.status_code == status
    assert words in answer.json()["error"] and "\n" not in answer.json()["error"] and TOKEN not in answer.text
    assert not list(inbox_folder(folder, "air").glob("*"))


LISTENING = """\
[stream]
name = "air"
domain = "air"
target = "no2"
[[sources]]
type = "push"
domain = "air"
step = "1h"
units = {no2 = "ug m-3"}
"""


def test_who_guesses_tokens_waits_and_others_do_not(tmp_path: Path) -> None:
    (tmp_path / "terracast.toml").write_text(LISTENING)
    port, row = free_port(), {"time": "2020-01-01T00:00Z", "node": "a", "no2": 1.5}
    words = "from terracast.flows.command import main; main()"
    server = subprocess.Popen([sys.executable, "-c", words, "listen", "--port", str(port), "--proxy", "127.0.0.2"],
                              cwd=tmp_path, env={**os.environ, TOKEN_FROM: TOKEN})
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: answers(port), "terracast listen")
        with httpx.Client(base_url=address, headers={"Authorization": "Bearer wrong-token-of-length"}) as guesser:
            # a made-up X-Forwarded-For is no other address
            tried = [guesser.post("/v1/air", json=row, headers={"X-Forwarded-For": f"192.0.2.{number}"})
                     for number in range(200)]
        assert [one.status_code for one in tried] == [401] * 10 + [429] * 190
        assert 0 < int(tried[-1].headers["Retry-After"]) <= 60
        assert "wrong tokens" in tried[-1].json()["error"] and "server" not in tried[-1].headers
        with httpx.Client(base_url=address, headers=BEARER) as late:
            assert late.post("/v1/air", json=row).status_code == 429, "no guess can be right meanwhile"
        with httpx.Client(base_url=address, headers=BEARER, transport=httpx.HTTPTransport(
                local_address="127.0.0.2")) as other:
            assert other.post("/v1/air", json=row).status_code == 202
            assert other.post("/v1/air", json=row, headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 429
    finally:
        stop(server)


def test_too_many_requests_and_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_FROM, TOKEN)
    now = [np.datetime64("2020-02-01", "ns")]
    app = push_app(tmp_path, {"air": AIR}, lambda: now[0], most_wrong_tokens=2, most_requests=5)
    row = {"time": "2020-01-01T00:00Z", "node": "a", "no2": 1.5}

    def asks(token: str = TOKEN, path: str = "/v1/air") -> int:
        async def ask() -> int:
            bearer = {"Authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
                sent = client.get(path) if path == "/health" else client.post(path, json=row, headers=bearer)
                return (await sent).status_code

        return asyncio.run(ask())

    assert [asks() for _ in range(7)] == [202] * 5 + [429] * 2
    assert asks(path="/health") == 429
    now[0] += np.timedelta64(60, "s")
    assert [asks("wrong"), asks(), asks("wrong"), asks()] == [401, 202, 401, 429]
    now[0] -= np.timedelta64(1, "D")
    assert asks() == 202, "a clock that was set back keeps nobody out for a day"


def test_counts_of_addresses_take_bounded_memory() -> None:
    limit, noon = RateLimit(2, 60, most_addresses=100), 43200.0
    for number in range(1000):
        limit.count(f"192.0.2.{number}", noon)
        limit.count("198.51.100.1", noon)
    assert len(limit) == 100
    assert limit.wait("198.51.100.1", noon) == 60, "who goes on is not forgotten"


def test_a_bucket_lets_in_what_its_rate_allows_and_no_more() -> None:
    limit, let_in = RateLimit(20, 10, refills=True), 0
    for tick in range(1000):  # ten requests a second, where two are allowed
        if not limit.wait("192.0.2.1", tick / 10):
            limit.count("192.0.2.1", tick / 10)
            let_in += 1
    assert let_in == 20 + 2 * 100 - 1
    assert limit.wait("192.0.2.1", -1000.0) == 0, "a clock that was set back keeps nobody out"


def test_a_body_without_a_length_is_cut_at_the_limit(pushed: tuple[httpx.Client, Path]) -> None:
    client, _ = pushed
    answer = client.post("/v1/air", content=(b"x" * 500 for _ in range(100)),
                         headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_back_pressure(pushed: tuple[httpx.Client, Path], tmp_path: Path) -> None:
    client, folder = pushed
    store, kept = Store.open(tmp_path), 0
    for hour in range(12):
        row = {"time": f"2020-01-02T{hour:02d}:00Z", "node": "a", "no2": hour}
        answer = client.post("/v1/air", json=row)
        if answer.status_code == 503:
            assert answer.headers["Retry-After"] == "7" and "the inbox is full" in answer.json()["error"]
            kept += sum(one.new for one in drain([source(folder, most=2)], store))  # three rounds
            answer = client.post("/v1/air", json=row)
        assert answer.status_code == 202
    kept += sum(one.new for one in drain([source(folder)], store))
    assert kept == 12


def test_no_server_without_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for token in ("", "short"):
        monkeypatch.setenv("TERRACAST_TEST_TOKEN", token)
        with pytest.raises(SourceError, match="TERRACAST_TEST_TOKEN"):
            push_app(tmp_path, {"air": AIR}, lambda: END, token_from="TERRACAST_TEST_TOKEN")


DRAINER = """
import sys
from pathlib import Path
import pandas as pd
from terracast.streams.sources import Terms, ingest_from
from terracast.streams.sources.inbox import InboxSource
from terracast.streams.store import Store
store = Store.open(sys.argv[1])
source = InboxSource("push", Terms("air", pd.Timedelta("1h"), units={"no2": "ug m-3"}), Path(sys.argv[2]), most=20)
print("ready", flush=True)
while True:
    with store.transaction("push") as step:
        answers = ingest_from(source, step)
        kept = (step.state("kept") or {"rows": 0})["rows"]
        step.set_state("kept", {"rows": kept + sum(one.new + one.late for one in answers)})
    source.committed()
    print(kept, flush=True)
"""


class Pusher(threading.Thread):
    """Sends rows until told to stop, each again and again until it is answered 202."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port, self.sent, self.ending = port, 0, threading.Event()

    def run(self) -> None:
        while not self.ending.is_set():
            stamp = pd.Timestamp("2020-01-01") + pd.Timedelta(hours=self.sent // 20)
            row = {"time": stamp.isoformat() + "Z", "node": f"n{self.sent % 20}", "no2": self.sent}
            while True:
                try:
                    answer = httpx.post(f"http://127.0.0.1:{self.port}/v1/air", json=row, headers=BEARER, timeout=5)
                    if answer.status_code == 202:
                        break
                except httpx.TransportError:
                    time.sleep(0.01)
            self.sent += 1


@pytest.mark.parametrize("kills", [1, pytest.param(8, marks=pytest.mark.slow)])
def test_server_and_drainer_killed_at_random_instants(tmp_path: Path, kills: int) -> None:
    rng, port, folder = np.random.default_rng(kills), free_port(), tmp_path / "inbox"
    pusher, inbox = Pusher(port), inbox_folder(folder, "air")
    inbox.mkdir(parents=True)
    pusher.start()
    server = start(folder, port)
    try:
        for number in range(kills):
            drainer = subprocess.Popen([sys.executable, "-c", DRAINER, str(tmp_path / "store"), str(inbox)],
                                       stdout=subprocess.PIPE, cwd=ROOT)
            for _ in range(int(rng.integers(1, 12))):
                assert drainer.stdout.readline()
            time.sleep(rng.uniform(0, 0.1))  # the instant of the kill, not a wait for anything
            server.kill()
            drainer.kill()
            stop(drainer)
            stop(server)
            server = start(folder, port, first_tick=(number + 1) * 10 ** 7)
    finally:
        pusher.ending.set()
        pusher.join()
        stop(server)
    store = Store.open(tmp_path / "store")
    rest = drain([source(folder)], store)
    kept = store.read().state("kept")["rows"] + sum(one.new + one.late for one in rest)
    recorded = store.read().history().recorded("air")
    values = recorded.panel.no2.values
    assert kept == pusher.sent > 0 and len(recorded.revisions) == 0
    assert np.array_equal(np.sort(values[~np.isnan(values)]), np.arange(float(pusher.sent)))
    assert not [path for path in inbox.iterdir() if not path.name.startswith(".part-")]
    assert json.dumps(store.read().cursor("push"))
