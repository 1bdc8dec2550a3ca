"""The store stays small: nothing is written twice, old snapshots go by themselves, what is named stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from terracast.streams.errors import StoreError
from terracast.streams.storage.check import check
from terracast.streams.storage.compaction import MANY, NEWEST, compact, may_go_before
from terracast.streams.storage.pieces import cut
from terracast.streams.storage.states import IN_USE, Packs
from terracast.streams.storage.tree import pack, parts_of, unpack
from terracast.streams.store import Store
from tests.small_disk import mounted, run_alone

pytestmark = pytest.mark.integration


def size_of(folder: Path) -> int:
    return sum((Path(at) / name).stat().st_size for at, _, names in os.walk(folder) for name in names)


def rolling_state(step: int, frozen: np.ndarray) -> dict[str, object]:
    """What a loop holds: much that stays, rows that move on, a list whose first entry goes, a few numbers."""
    def drawn(number: int, shape: tuple[int, ...]) -> np.ndarray:
        return np.random.default_rng(number).normal(size=shape)

    return {"frozen": frozen, "tape": np.concatenate([drawn(row, (1, 200)) for row in range(step, step + 60)]),
            "open": [{"issue": f"hour {hour}", "served": drawn(hour, (24, 50))} for hour in range(step, step + 6)],
            "names": [f"station {number}" for number in range(300)], "step": step}


def test_a_state_writes_only_what_is_new(tmp_path):
    store, frozen = Store.open(tmp_path), np.random.default_rng(99).normal(size=(100, 2000))
    before, written = 0, []
    for step in range(12):
        with store.transaction(f"step {step}") as transaction:
            transaction.set_state("loop", rolling_state(step, frozen))
        written.append(size_of(tmp_path) - before)
        before += written[-1]
        held = store.read().state("loop")
        assert pack(held) == pack(rolling_state(step, frozen))
    # new in a step: a row of the tape (1.6 kB), a forecast (9.6 kB), and what lies beside them
    assert written[0] > 1_600_000 and max(written[1:]) < 45_000, written
    packs = Packs(store.read().root["states/loop"])
    used = dict.fromkeys(packs.arrays, 0)
    for place in packs.table:
        used[int(place["pack"])] += int(place["length"])
    assert all(used[number] >= IN_USE * array.shape[0] for number, array in packs.arrays.items())


def test_a_part_of_a_state_is_read_alone(tmp_path):
    store = Store.open(tmp_path)
    with store.transaction("state") as step:
        step.set_state("loop", {"wish": {"rung": "continue", "row": np.arange(3.0)}, "gram": np.ones((400, 400))})
    view = store.read()
    assert view.has_state("loop") and not view.has_state("drivers")
    wish = view.state_part("loop", "wish")
    assert wish["rung"] == "continue" and wish["row"].tolist() == [0, 1, 2]
    assert view.state_part("loop", "none") is None and view.state_part("drivers", "wish") is None


def test_cuts_join_to_the_whole_and_survive_what_moves():
    rng = np.random.default_rng(1)
    arrays = [rng.integers(0, 256, size, np.uint8) for size in (0, 3, 900, 5000, 70_000)]
    arrays += [rng.normal(size=(100, 300)), np.zeros((3, 0)), np.zeros(50_000), np.array(2.5)]
    assert b"".join(cut(arrays)) == b"".join(array.tobytes() for array in arrays)
    rows = arrays[5]
    held = set(cut([rows]))
    assert [piece in held for piece in cut([np.concatenate([rows[7:], rows[:1] + 1])])] == [True] * 93 + [False]


@pytest.mark.parametrize("values", [np.array([0.1, 1.0]), np.array([0.5, -0.0, np.nan, np.inf]), np.array(1e300),
                                    np.array(0.25), np.full((3, 4), 1e-300), np.zeros(0)])
def test_halved_arrays_come_back_to_the_bit(values):
    back = unpack(pack({"x": values}))["x"]
    assert back.dtype == np.float64 and back.shape == values.shape and back.tobytes() == values.tobytes()
    exact = values.size and values.flat[0] in (0.5, 0.25)
    assert sum(part.nbytes for part in parts_of(values)[1:]) == values.nbytes / (2 if exact else 1)


def test_a_state_of_the_first_layout_is_read_and_replaced(tmp_path):
    store, tree = Store.open(tmp_path), {"seen": np.arange(4), "name": "air"}
    with store.transaction("as it was written once") as step:
        step.root.create_array("cursors/air", data=np.frombuffer(pack({"name": "air"}), np.uint8))
        step.root.create_array("states/loop", data=np.frombuffer(pack(tree), np.uint8))
    assert store.read().cursor("air")["name"] == "air" and store.read().state("loop")["seen"].tolist() == [0, 1, 2, 3]
    assert check(store).sound
    with store.transaction("on") as step:
        step.set_cursor("air", {"name": "sea"})
        step.set_state("loop", tree)
    assert store.read().cursor("air") == {"name": "sea"} and store.read().state_part("loop", "name") == "air"


def step_of_a_loop(store: Store, number: int) -> None:
    stamp = np.datetime64("2024-01-01", "ns") + number * np.timedelta64(1, "h")
    values = np.random.default_rng(number).normal(size=(1, 24, 5, 11)).astype("f4")
    with store.transaction(f"step {number}") as step:
        step.append("forecasts/air", xr.Dataset({"x": (("issue_time", "lead", "node", "quantile"), values)},
                                                {"issue_time": [stamp], "node": list("abcde")}), along="issue_time")
        step.append("scores/air", xr.Dataset({"mae": (("issue_time", "node"), values[:, 0, :, 0])},
                                             {"issue_time": [stamp], "node": list("abcde")}), along="issue_time")
        step.set_state("loop", {"n": number, "statistics": np.random.default_rng(-number % 9).normal(size=(40, 40))})


def test_old_snapshots_go_and_named_ones_stay(tmp_path):
    store = Store.open(tmp_path)
    step_of_a_loop(store, 0)
    lineage, sizes = store.read().snapshot, []
    for number in range(1, 90):
        step_of_a_loop(store, number)
        older_than = may_go_before(store)
        if older_than is not None:
            assert compact(store, older_than=older_than, keep=[lineage]).expired
        assert NEWEST <= len(store.snapshots()) <= MANY + 2
        sizes.append(size_of(tmp_path))
    assert (sizes[-1] - sizes[8]) / 81 < 9_000  # a forecast is 5.3 kB
    assert store.holds(lineage)
    assert not store.read(lineage).has_state("loop") and store.read().state_part("loop", "n") == 89
    assert store.read(lineage).ledger("forecasts/air").sizes["issue_time"] == 1
    assert store.read().ledger("forecasts/air").sizes["issue_time"] == 90 and check(store, [lineage]).sound


def test_a_ledger_in_long_chunks_is_cut_anew(tmp_path, monkeypatch):
    store = Store.open(tmp_path)
    with monkeypatch.context() as once:
        once.setattr("terracast.streams.storage.layout.LEDGER_ROWS", 1024)
        once.setattr("terracast.streams.storage.layout.LEDGER_BYTES", 1 << 20)
        for number in range(5):
            step_of_a_loop(store, number)
    held = store.read()
    assert held.root["forecasts/air/x"].chunks[0] > 100
    done = compact(store, older_than=held_time(store), keep=[held.snapshot])
    assert "forecasts/air/x" in done.rewritten and store.read().root["forecasts/air/x"].chunks[0] == 3
    xr.testing.assert_identical(store.read().ledger("forecasts/air"), store.read(held.snapshot).ledger("forecasts/air"))
    assert compact(store, older_than=held_time(store)).rewritten == ()


def held_time(store: Store) -> np.datetime64:
    return store.snapshots()[0].time


TIDY = """
import sys
from terracast.streams.storage.compaction import compact
from terracast.streams.store import Store
store, kept = Store.open(sys.argv[1]), sys.argv[2]
sys.path.insert(0, sys.argv[3])
from test_store_growth import step_of_a_loop
print("begun", flush=True)
for number in range(int(sys.argv[4]), 10_000):
    step_of_a_loop(store, number)
    compact(store, older_than=store.snapshots()[1].time, keep=[kept])
"""


def test_killed_while_tidying_nothing_is_lost(tmp_path):
    store = Store.open(tmp_path)
    step_of_a_loop(store, 0)
    lineage, draw = store.read().snapshot, np.random.default_rng(4)
    for _ in range(3):
        first = store.read().ledger("forecasts/air").sizes["issue_time"]
        process = subprocess.Popen([sys.executable, "-c", TIDY, str(tmp_path), lineage, str(Path(__file__).parent),
                                    str(first)], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(draw.uniform(0.1, 1.0))  # the kill falls anywhere between steps and tidying
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert check(store, [lineage]).sound
        issued = store.read().ledger("forecasts/air").issue_time.values
        assert len(issued) >= first and (np.diff(issued) == np.timedelta64(1, "h")).all()
        assert store.read().state_part("loop", "n") == len(issued) - 1
        assert store.read(lineage).ledger("forecasts/air").sizes["issue_time"] == 1


FULL = """
import resource, signal, sys
import numpy as np
from terracast.streams.errors import StoreError
from terracast.streams.storage.compaction import compact
from terracast.streams.store import Store
store = Store.open(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
if sys.argv[2] == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
for number in range(400):
    try:
        with store.transaction("step") as step:
            step.set_state("loop", {"n": number, "x": np.random.default_rng(number).normal(size=1000 * (number + 1))})
    except StoreError as failed:
        print(failed)
        break
assert number and store.read().state_part("loop", "n") == number - 1, number
assert len(store.read().state("loop")["x"]) == 1000 * number
if sys.argv[2] == "disk":
    compact(store, older_than=store.snapshots()[0].time)
    with store.transaction("room again") as step:
        step.set_state("loop", {"n": number})
    assert store.read().state("loop") == {"n": number}
from terracast.flows.cli.leaving import leave
leave(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits on file sizes are set as Linux does")
def test_no_room_is_one_line_and_the_last_step_stands(tmp_path):
    done = run_alone(sys.executable, "-c", FULL, str(tmp_path / "store"), "limit")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "the system allows no file of that size" in done.stdout and done.stdout.count("\n") == 1
    store = Store.open(tmp_path / "store")
    before = store.read().state_part("loop", "n")
    with store.transaction("room again") as step:
        step.set_state("loop", {"n": before + 1})
    assert store.read().state("loop") == {"n": before + 1} and check(store).sound


def test_a_full_disk_is_one_line_and_the_last_step_stands(tmp_path):
    done = mounted(tmp_path, "size=3m", sys.executable, "-c", FULL, str(tmp_path / "store"), "disk")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert done.stdout.startswith("the disk is full (") and "free some space" in done.stdout


def test_a_disk_that_may_not_be_written_is_one_line(tmp_path):
    script = ("import subprocess, sys; from terracast.streams.store import Store; "
              "store = Store.open(sys.argv[1] + '/store');"
              "subprocess.run(['mount', '-o', 'remount,ro', sys.argv[1]], check=True)\n"
              "from terracast.streams.errors import StoreError\n"
              "store = Store.open(sys.argv[1] + '/store'); store.read().domains\n"
              "try:\n    with store.transaction('step') as step: step.set_state('loop', {})\n"
              "except StoreError as failed: print(failed)\n"
              "from terracast.flows.cli.leaving import leave; leave(0)")
    done = mounted(tmp_path, "size=3m", sys.executable, "-c", script, str(tmp_path))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "expected a folder that" in done.stdout and done.stdout.count("\n") == 1


def test_damage_is_one_line(tmp_path):
    store = Store.open(tmp_path)
    for number in range(3):
        step_of_a_loop(store, number)
    for chunk in (tmp_path / "data" / "chunks").iterdir():
        chunk.write_bytes(b"\0" * chunk.stat().st_size)
    for read in (lambda view: view.state("loop"), lambda view: view.ledger("forecasts/air")):
        with pytest.raises(StoreError, match=r"cannot be read .*terracast store check"):
            read(Store.open(tmp_path).read())
