"""kill -9 at any instant, and two writers at once: nothing lost, nothing counted twice, the lock free again."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.streams.bitemporal import known_after
from terracast.streams.errors import StoreError
from terracast.streams.storage.check import check
from terracast.streams.store import Store

pytestmark = pytest.mark.integration

START = np.datetime64("2020-01-01", "ns")

# One process: step after step, each ingests the next hour, counts it, moves the cursor, adds a score.
WRITER = """
import sys
import numpy as np
import pandas as pd
import xarray as xr
from terracast.streams.bitemporal import known_after
from terracast.streams.store import Store
store = Store.open(sys.argv[1])
print("open", flush=True)
while True:
    with store.transaction("hour") as step:
        hour = (step.cursor("clock") or {"hours": 0})["hours"]
        time = np.datetime64("2020-01-01", "ns") + np.timedelta64(hour, "h")
        air = xr.Dataset({"x": (("time", "node"), np.full((1, 40), float(hour)), {"units": "1", "long_name": "x"})},
                         {"time": [time], "node": [f"n{i}" for i in range(40)]},
                         {"domain": "air", "kind": "sensor", "step": "1h"})
        counted = step.ingest("air", known_after(air, pd.Timedelta("1h")))
        state = step.state("loop") or {"rows": 0, "sum": np.zeros(40)}
        step.set_state("loop", {"rows": state["rows"] + counted.new, "sum": state["sum"] + hour})
        step.append("scores/air", xr.Dataset({"mae": ("time", [float(hour)])}, {"time": [time]}), along="time")
        step.set_cursor("clock", {"hours": hour + 1})
    print("hour", flush=True)
"""


def check_consistent(folder: Path) -> int:
    """Every part of the store agrees with the cursor; returns the number of committed hours."""
    store = Store.open(folder, wait_seconds=0.2)
    view = store.read()
    cursor = view.cursor("clock")
    assert len(store.snapshots()) == 2 + (cursor["hours"] if cursor else 0)
    if cursor is None:
        assert view.domains == () and view.ledgers == ()
        return 0
    hours = cursor["hours"]
    air = view.history().recorded("air").panel
    assert np.array_equal(air.x.values, np.broadcast_to(np.arange(hours, dtype=float)[:, None], (hours, 40)))
    assert view.ledger("scores/air").mae.values.tolist() == list(range(hours))
    assert view.state("loop")["rows"] == hours * 40
    assert (view.state("loop")["sum"] == hours * (hours - 1) / 2).all()
    return hours


OFTEN = pytest.mark.parametrize("kills", [4, pytest.param(25, marks=pytest.mark.slow)])


@OFTEN
def test_killed_at_random_instants(tmp_path, kills):
    rng, hours = np.random.default_rng(7), 0
    for _ in range(kills):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "store")], stdout=subprocess.PIPE,
                                  cwd=Path(__file__).parents[2])
        try:
            for _ in range(int(rng.integers(1, 8))):
                assert writer.stdout.readline()
            time.sleep(rng.uniform(0, 0.1))  # the instant of the kill, not a wait for anything
        finally:
            writer.kill()
            writer.wait()
            writer.stdout.close()
        committed = check_consistent(tmp_path / "store")
        assert committed >= hours
        hours = committed
    assert hours >= 2 * kills
    with Store.open(tmp_path / "store", wait_seconds=0).transaction("the lock is free") as step:
        step.set_cursor("clock", {"hours": hours})


TIDIER = """
import sys
import numpy as np
import pandas as pd
from terracast.streams.storage.compaction import compact
from terracast.streams.storage.retention import Retention, retain
from terracast.streams.store import Store
exec(sys.argv[2])
store = Store.open(sys.argv[1])
for hour in range(int(sys.argv[3]), 10 ** 6):
    with store.transaction("hour") as step:
        step.ingest("air", hour_of(hour))
        step.set_cursor("clock", {"hours": hour + 1})
    retain(store, START + np.timedelta64(hour, "h"), Retention(pd.Timedelta("5h")))
    compact(store, older_than=np.datetime64("2100-01-01"), keep=sys.argv[4:])
    print("tidied", flush=True)
"""


@OFTEN
def test_killed_while_it_is_tidied(tmp_path, kills):
    """Retention and compaction killed at any instant: the newest and the kept snapshot are whole."""
    rng, folder = np.random.default_rng(5), tmp_path / "store"
    with Store.open(folder).transaction("lineage") as step:
        for hour in range(10):
            step.ingest("air", hour_of(hour))
        step.set_cursor("clock", {"hours": 10})
    lineage, hours = step.snapshot, 10
    header = ("import xarray as xr\nfrom terracast.streams.bitemporal import known_after\n"
              f"START = np.datetime64('{START}')\n"
              + inspect.getsource(hour_of).replace("-> xr.Dataset", ""))
    for _ in range(kills):
        tidier = subprocess.Popen([sys.executable, "-c", TIDIER, str(folder), header, str(hours), lineage],
                                  stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        try:
            for _ in range(int(rng.integers(0, 4))):
                assert tidier.stdout.readline() == b"tidied\n"
            time.sleep(rng.uniform(0, 0.1))  # the instant of the kill, not a wait for anything
        finally:
            tidier.kill()
            tidier.wait()
            tidier.stdout.close()
        store = Store.open(folder, wait_seconds=0.5)
        assert store.read().cursor("clock")["hours"] >= hours
        hours = store.read().cursor("clock")["hours"]
        panel = store.read().history().recorded("air").panel
        assert panel.time.values[-1] == START + np.timedelta64(hours - 1, "h") and len(panel.time) <= 11
        assert store.read(lineage).history().recorded("air").panel.sizes["time"] == 10
        assert check(store, [lineage]).sound


def test_killed_while_it_is_created(tmp_path):
    """Whatever instant of the first opening the kill hits, the next one finds an empty store or none."""
    rng = np.random.default_rng(1)
    command = ("import icechunk, zarr, sys\nfrom streams.store import Store\nprint('ready', flush=True)\n"
               "for number in range(10 ** 6): Store.open(sys.argv[1] + f'/{number}')")
    writer = subprocess.Popen([sys.executable, "-c", command, str(tmp_path)], stdout=subprocess.PIPE,
                              cwd=Path(__file__).parents[2])
    try:
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0.2, 0.3))
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    made = sorted(tmp_path.iterdir(), key=lambda folder: int(folder.name))
    assert made
    assert check_consistent(made[-1]) == 0  # the one in the making
    leftovers = made[-1] / "data.unfinished"
    (leftovers / "snapshots").mkdir(parents=True)  # as a kill on the way leaves it
    (leftovers / "snapshots" / "half").write_bytes(b"x")
    (tmp_path / "again").mkdir()
    leftovers.rename(tmp_path / "again" / "data.unfinished")
    assert check_consistent(tmp_path / "again") == 0


def hour_of(hour: int) -> xr.Dataset:
    panel = xr.Dataset({"x": (("time", "node"), [[1.0]], {"units": "1", "long_name": "x"})},
                       {"time": [START + np.timedelta64(hour, "h")], "node": ["a"]},
                       {"domain": "air", "kind": "sensor", "step": "1h"})
    return known_after(panel, pd.Timedelta("1h"))


def test_a_second_writer_is_told(tmp_path):
    store = Store.open(tmp_path)
    with store.transaction("first") as first:
        first.ingest("air", hour_of(0))
        for other in (store, Store.open(tmp_path)):  # of this thread, by the same and by another opening
            other.wait_seconds = 0.2
            began = time.monotonic()
            with pytest.raises(StoreError, match="another writer holds the store") as told, other.transaction("x"):
                pass
            assert time.monotonic() - began < 8 and "\n" not in str(told.value)
        program = ("import sys\nfrom streams.store import Store\n"
                   "with Store.open(sys.argv[1], wait_seconds=0.2).transaction('second'): pass")
        second = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True,
                                cwd=Path(__file__).parents[2], check=False)
        assert second.returncode and "StoreError: another writer holds the store" in second.stderr.splitlines()[-1]
        assert store.read().domains == ()  # readers are never kept waiting, and see the last commit
        first.ingest("air", hour_of(1))
    assert store.read().as_known_at("air", START + np.timedelta64(9, "h")).sizes["time"] == 2


def test_a_waiting_writer_builds_on_the_first(tmp_path):
    store, inside = Store.open(tmp_path), threading.Event()

    def second() -> None:
        inside.wait()
        with Store.open(tmp_path).transaction("second") as step:
            step.ingest("air", hour_of(1))

    waiting = threading.Thread(target=second)
    waiting.start()
    with store.transaction("first") as step:
        inside.set()
        step.ingest("air", hour_of(0))
    waiting.join()
    assert store.read().as_known_at("air", START + np.timedelta64(9, "h")).sizes["time"] == 2
    assert [one.message for one in store.snapshots()][:2] == ["second", "first"]
