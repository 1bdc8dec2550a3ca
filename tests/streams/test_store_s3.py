"""The store on S3, against a real server on loopback: the whole life, two writers at once, errors without secrets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.streams.bitemporal import known_after
from terracast.streams.errors import StoreError
from terracast.streams.storage.check import check
from terracast.streams.storage.compaction import compact
from terracast.streams.storage.place import holds_store
from terracast.streams.storage.retention import Retention, retain
from terracast.streams.store import ConflictError, Store
from tests.streams.s3_server import INSTALLED, SECRET, s3_server

pytestmark = [pytest.mark.integration, pytest.mark.skipif(not INSTALLED, reason="moto's S3 server is not installed")]
START = np.datetime64("2020-01-01", "ns")
HOUR = np.timedelta64(1, "h")
LATER = np.datetime64("2100-01-01", "ns")


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    with s3_server() as variables:
        yield variables


@pytest.fixture(autouse=True)
def environment(server, monkeypatch) -> dict[str, str]:
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    return server


def hours(first: int, last: int, domain: str = "air", nodes: int = 50) -> xr.Dataset:
    values = np.add.outer(np.arange(first, last, dtype=float), np.arange(nodes) / 100)
    panel = xr.Dataset({"x": (("time", "node"), values, {"units": "1", "long_name": "x"})},
                       {"time": START + np.arange(first, last) * HOUR, "node": [f"n{i}" for i in range(nodes)]},
                       {"domain": domain, "kind": "sensor", "step": "1h"})
    return known_after(panel, pd.Timedelta("1h"))


def test_the_whole_life(environment):
    store = Store.open("s3://air-quality/whole/life")
    for day in range(3):
        with store.transaction(f"day {day}") as step:
            step.ingest("air", hours(24 * day, 24 * day + 24))
            step.set_state("loop", {"day": day, "weights": np.arange(1000.0)})
    lineage = store.snapshots()[1]
    assert lineage.message == "day 1"
    retain(store, START + 72 * HOUR, Retention(pd.Timedelta("30h")))
    assert compact(store, older_than=LATER, keep=[lineage.id]).chunks_deleted
    again = Store.open("s3://air-quality/whole/life")
    held = again.read().as_known_at("air", LATER)
    assert held.sizes["time"] == 30 and (held.x.values[:, 0] == np.arange(42, 72)).all()
    assert again.read(lineage.id).as_known_at("air", LATER).sizes["time"] == 48
    assert again.read(lineage.id).state("loop") is None and again.read().state("loop")["day"] == 2
    assert check(again, [lineage.id]).sound

    import boto3

    bucket = boto3.resource("s3", endpoint_url=environment["AWS_ENDPOINT_URL"]).Bucket("air-quality")
    biggest = max(bucket.objects.filter(Prefix="whole/life/chunks/"), key=lambda one: one.size)
    biggest.delete()
    damaged = check(Store.open("s3://air-quality/whole/life"), [lineage.id]).findings
    assert damaged and "cannot be read" in damaged[0].what


def test_to_ask_whether_a_store_is_there_makes_none(environment):
    assert not holds_store("s3://air-quality/asked/for") and not holds_store("s3://air-quality/asked/for")
    Store.open("s3://air-quality/asked/for")
    assert holds_store("s3://air-quality/asked/for")


WRITER = """
import sys
import numpy as np, pandas as pd, xarray as xr
from terracast.streams.bitemporal import known_after
from terracast.streams.store import Store
location, me, domain, steps = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
store = Store.open(location)
print("open", flush=True)
sys.stdin.readline()
tried = 0
def one(step, number):
    global tried
    tried += 1
    time = np.datetime64("2020-01-01", "ns") + np.timedelta64(2 * number + me, "h")
    panel = xr.Dataset({"x": (("time", "node"), np.full((1, 20), float(me)), {"units": "1", "long_name": "x"})},
                       {"time": [time], "node": [f"n{i}" for i in range(20)]},
                       {"domain": domain, "kind": "sensor", "step": "1h"})
    counted = step.ingest(domain, known_after(panel, pd.Timedelta("1h")))
    held = step.state("count " + domain) or {"reports": 0, "steps": 0}
    step.set_state("count " + domain, {"reports": held["reports"] + counted.new + counted.late,
                                       "steps": held["steps"] + 1})
    step.append("scores/" + domain, xr.Dataset({"mae": ("time", [float(me)])}, {"time": [time]}), along="time")
for number in range(steps):
    store.repeated(f"writer {me}", lambda step: one(step, number), attempts=100)
print(tried, flush=True)
"""


def at_once(location: str, domains: list[str], steps: int) -> list[int]:
    """Writers that start together, one per domain named; how many attempts each needed."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, location, str(me), domain, str(steps)], text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
               for me, domain in enumerate(domains)]
    try:
        assert [writer.stdout.readline() for writer in writers] == ["open\n"] * len(writers)
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        tried = [int(writer.communicate(timeout=300)[0]) for writer in writers]
        assert [writer.returncode for writer in writers] == [0] * len(writers)
        return tried
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
            writer.stdin.close()
            writer.stdout.close()


def test_two_writers_of_one_domain_lose_nothing():
    steps, location = 5, "s3://air-quality/one/domain"
    at_once(location, ["air", "air"], steps)  # they also create the store at the same time
    store = Store.open(location)
    view = store.read()
    panel = view.history().recorded("air").panel
    assert (panel.time.values == START + np.arange(2 * steps) * HOUR).all()
    assert (panel.x.values == np.tile([0.0, 1.0], steps)[:, None]).all()
    assert view.state("count air") == {"reports": 2 * steps * 20, "steps": 2 * steps}
    assert sorted(view.ledger("scores/air").time.values) == sorted(panel.time.values)
    assert len([one for one in store.snapshots() if one.message.startswith("writer")]) == 2 * steps
    assert check(store).sound


def test_writers_of_two_domains_do_not_meet():
    steps, location = 4, "s3://air-quality/two/domains"
    with Store.open(location).transaction("both are there") as step:
        for domain in ("air", "water"):
            score = xr.Dataset({"mae": ("time", [0.0])}, {"time": [START - HOUR]})
            step.append(f"scores/{domain}", score, along="time")
    assert at_once(location, ["air", "water"], steps) == [steps, steps]  # joined without a second attempt
    view = Store.open(location).read()
    for me, domain in enumerate(("air", "water")):
        held = view.history().recorded(domain).panel
        assert (held.time.values == START + (2 * np.arange(steps) + me) * HOUR).all()
        assert view.state(f"count {domain}") == {"reports": steps * 20, "steps": steps}
    assert check(Store.open(location)).sound


def test_the_slower_writer_is_told_and_nothing_of_it_stays():
    location = "s3://air-quality/told"
    slow, fast = Store.open(location), Store.open(location)
    with fast.transaction("begin") as step:
        step.ingest("air", hours(0, 3))
    with pytest.raises(ConflictError, match="another writer has changed the same things") as told, \
            slow.transaction("slow") as step:
        step.ingest("air", hours(3, 4))
        step.set_cursor("slow", {"at": 3})
        with fast.transaction("fast") as other:
            other.ingest("air", hours(3, 5))
    assert "\n" not in str(told.value) and "run it again" in str(told.value)
    view = slow.read()
    assert view.as_known_at("air", LATER).sizes["time"] == 5 and view.cursor("slow") is None
    with pytest.raises(ConflictError), slow.transaction("the same cursor") as step:
        step.set_cursor("file", {"at": 1})
        with fast.transaction("first") as other:
            other.set_cursor("file", {"at": 2})
    assert slow.read().cursor("file") == {"at": 2}


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize(("variable", "value", "location", "words"), [
    ("AWS_REGION", "us-east-1", "s3://no-such-bucket/x", "cannot be opened"),
    ("AWS_ENDPOINT_URL", "http://127.0.0.1:{port}", "s3://air-quality/x", "does not answer"),
    ("AWS_ENDPOINT_URL", "http://storage.example.org", "s3://air-quality/x", "speaks plain HTTP"),
    ("AWS_REGION", "us-east-1", f"s3://AKIAEXAMPLE:{SECRET}@air-quality/x", "a password in the location"),
    ("AWS_REGION", "us-east-1", "s3:///x", "no bucket"),
])
def test_errors_are_one_line_without_secrets(variable, value, location, words, monkeypatch):
    monkeypatch.setenv(variable, value.format(port=closed_port()))
    with pytest.raises(StoreError, match=words) as told:
        Store.open(location)
    whole = "".join(traceback.format_exception(told.value))
    assert "\n" not in str(told.value) and len(str(told.value)) < 400
    assert SECRET not in str(told.value) and SECRET not in whole.replace(repr(location), "").replace(location, "")
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == SECRET
