"""The history beside the registry: kills between store and alias, moves in MLflow, and many who act at once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from terracast.flows.manual import history_rows, promote_by_hand, rollback_by_hand
from terracast.flows.service.outbox import flush, letters_of
from terracast.flows.service.serving_history import ALIAS, HistoryEntry, add_entry, entries, of_version
from terracast.flows.terminal.history_table import history_lines
from terracast.flows.watch import watch_once
from terracast.flows.workspace import Workspace
from terracast.registry.lineage import Lineage
from terracast.registry.tracking import RegistryError
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.streams.storage.check import check
from terracast.streams.store import Store

SEED_DAYS = 31
CHANGES = ("began", "promoted", "rolled-back")


def test_entries_are_only_added_and_an_addition_costs_the_same_after_a_hundred(tmp_path: Path) -> None:
    store, at = Store.open(tmp_path / "store"), np.datetime64("2024-01-05T06:00", "ns")
    for number in range(3):
        with store.transaction("one") as step:
            add_entry(step, HistoryEntry(at, "promoted", str(number), "ann", "b" * number, str(number), "k", 0.01, 0.2,
                                         9))
    before = entries(store.read())
    assert [one.version for one in before] == ["0", "1", "2"] and before[2].pairs == 9
    assert before[0].to_json() == {"time": "2024-01-05T06:00:00Z", "version": "0", "action": "promoted", "by": "ann",
                                   "reason": "", "serves": "0", "key": "k", "p_value": 0.01, "mean_gain": 0.2,
                                   "pairs": 9}
    with store.transaction("many") as step:
        for number in range(100):
            add_entry(step, HistoryEntry(at, "refused", str(number), "loop", "no", "2"))
    sizes = []
    for _ in range(2):
        held = sum(one.stat().st_size for one in (tmp_path / "store" / "chunks").rglob("*") if one.is_file())
        with store.transaction("one more") as step:
            add_entry(step, HistoryEntry(at, "refused", "8", "loop", "no", "2"))
        sizes.append(sum(one.stat().st_size for one in (tmp_path / "store" / "chunks").rglob("*") if one.is_file())
                     - held)
    assert entries(store.read())[:3] == before and len(entries(store.read())) == 105
    assert max(sizes) < 20_000, sizes
    assert check(store).findings == ()
    assert max(map(len, history_lines([one.to_json() for one in entries(store.read())]))) <= 80


def test_what_concerns_a_version_includes_the_approval_of_its_training() -> None:
    at = np.datetime64("2024-01-05T06:00", "ns")
    held = [HistoryEntry(at, "approved", "", "ann", "go", "1", "e1"),
            HistoryEntry(at, "challenged", "2", "loop", "", "1", "e1"),
            HistoryEntry(at, "approved", "", "bob", "go", "1", "e9"),
            HistoryEntry(at, "rolled-back", "3", "ann", "", "2")]
    assert [(one["action"], one["by"]) for one in of_version(held, "2")] == [
        ("approved", "ann"), ("challenged", "loop"), ("rolled-back", "ann")]


@pytest.fixture
def four_versions(small_city):  # type: ignore[no-untyped-def]
    """A workspace whose registry holds four small versions; nothing has served."""
    for number in range(4):
        small_city.open().registry.add(SeasonalNaive(), Lineage(f"E{number}/x", "SNAP"))
    return small_city


DYING = """
import os, sys
from pathlib import Path
from terracast.flows.manual import promote_by_hand, rollback_by_hand
from terracast.registry.versions import Registry
from terracast.streams.store import Store, Transaction
left = [int(sys.argv[3])]
def spending(what):
    def spend(*given, **named):
        if left[0] == 0:
            os.kill(os.getpid(), 9)
        left[0] -= 1
        return what(*given, **named)
    return spend
for one in ("point", "tag", "log_text"):
    setattr(Registry, one, spending(getattr(Registry, one)))
Transaction._commit = spending(Transaction._commit)
act = sys.argv[2]
if act == "rollback":
    rollback_by_hand(Path(sys.argv[1]), "worse", "ann")
else:
    promote_by_hand(Path(sys.argv[1]), act, "better", "ann")
"""


def _dies(city, act: str, writes: int) -> bool:  # type: ignore[no-untyped-def]
    """Whether the act was killed before its write number ``writes``."""
    done = subprocess.run([sys.executable, "-c", DYING, str(city.config), act, str(writes)], capture_output=True,
                          text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


@pytest.mark.integration
def test_killed_between_store_and_alias_there_is_one_line_for_each_change(  # type: ignore[no-untyped-def]
        four_versions) -> None:
    city = four_versions
    promote_by_hand(city.config, "1", "first", "ann")
    for writes, act, serves in [(1, "2", "2"), (4, "3", "3"), (2, "rollback", "2"), (6, "4", "4"), (5, "rollback", "2"),
                                (0, "3", "2")]:
        known = len(history_rows(city.config))
        assert _dies(city, act, writes), f"{act} ended before {writes} writes"
        flush(city.open())
        workspace = city.open()
        rows = history_rows(city.config)
        assert workspace.registry.champion() == serves == rows[-1]["serves"]
        assert len(rows) == known + (writes > 0), "before the store's commit nothing happened"
        assert letters_of(workspace.store.read().state("outbox")) == []
        kept = json.loads(workspace.registry.read_text(serves, "history.json"))["history"]
        assert kept == of_version(entries(workspace.store.read()), serves)
    assert [(one["action"], one["version"]) for one in history_rows(city.config)] == [
        ("promoted", "1"), ("promoted", "2"), ("promoted", "3"), ("rolled-back", "3"), ("promoted", "4"),
        ("rolled-back", "4")]
    promote_by_hand(city.config, "2", "it serves already", "ann")
    assert len(history_rows(city.config)) == 6, "what changes nothing is no entry"
    rollback_by_hand(city.config, "worse", "ann")
    with pytest.raises(RegistryError, match="nothing before version 1"):
        rollback_by_hand(city.config, "worse", "ann")
    assert len(history_rows(city.config)) == 7


@pytest.mark.integration
def test_an_alias_moved_in_mlflow_itself_is_one_line(small_city) -> None:  # type: ignore[no-untyped-def]
    settings = small_city.config.read_text().replace("[adapt]", '[adapt]\npolicy = "frozen"')
    small_city.config.write_text(settings)
    small_city.deliver(0, SEED_DAYS + 2)
    workspace = small_city.open()
    watch_once(workspace, small_city.day(SEED_DAYS))
    version = workspace.registry.add(workspace.registry.load("1"), Lineage("by a person", "S"))
    workspace.registry.place.client.set_registered_model_alias(workspace.registry.name, "champion", version)
    for steps in (1, 2, 3):
        assert watch_once(small_city.open(), small_city.day(SEED_DAYS) + steps * np.timedelta64(6, "h")
                          ).champion == version
    rows = history_rows(small_city.config)
    assert [(one["action"], one["version"], one["by"]) for one in rows] == [
        ("began", "1", "loop"), ("promoted", version, ALIAS)]
    rollback_by_hand(small_city.config, "it was a mistake", "ann") if workspace.registry.alias("previous") else \
        promote_by_hand(small_city.config, "1", "it was a mistake", "ann")
    assert watch_once(small_city.open(), small_city.day(SEED_DAYS + 1)).champion == "1"
    assert len(history_rows(small_city.config)) == 3, "the loop follows what the verb wrote down, without a second line"


WORKER = """
import random, sys, time
from pathlib import Path
from terracast.flows.manual import promote_by_hand, rollback_by_hand
from terracast.registry.tracking import RegistryError
import mlflow
config, name, draw = Path(sys.argv[1]), sys.argv[2], random.Random(sys.argv[2])
print("ready", flush=True)
number = 0
while True:
    number += 1
    reason, began = f"{name}-{number}", time.monotonic()
    try:
        if draw.random() < 0.6:
            promote_by_hand(config, str(draw.randint(1, 4)), reason, name)
        else:
            rollback_by_hand(config, reason, name)
        print("done", reason, time.monotonic() - began, flush=True)
    except RegistryError as refused:
        if "nothing before" not in str(refused):
            raise
        print("refused", reason, time.monotonic() - began, flush=True)
"""


@pytest.mark.parametrize(("seconds", "kills"), [
    pytest.param(8.0, 2, marks=pytest.mark.integration), pytest.param(60.0, 15, marks=pytest.mark.slow)])
def test_many_promote_and_roll_back_at_once_and_are_killed(  # type: ignore[no-untyped-def]
        four_versions, seconds: float, kills: int) -> None:
    city, draw = four_versions, random.Random(7)
    promote_by_hand(city.config, "1", "first", "test")
    logs: list[Path] = []
    running: dict[int, subprocess.Popen[bytes]] = {}
    newest: dict[int, Path] = {}

    def start(place: int) -> None:
        name = f"w{len(logs)}"
        newest[place] = city.folder / f"{name}.log"
        logs.append(newest[place])
        with logs[-1].open("wb") as log:
            running[place] = subprocess.Popen([sys.executable, "-c", WORKER, str(city.config), name], stdout=log,
                                              stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1"})

    try:
        for place in range(3):
            start(place)
        _await(newest)
        for _ in range(kills):
            until = time.monotonic() + draw.uniform(0.5, 1.5) * seconds / (kills + 1)
            while time.monotonic() < until:
                champion = Workspace.open(city.config).registry.champion()
                assert champion is not None, "there is a champion at every instant"
                Workspace.open(city.config).registry.load(champion)  # complete, or this raises
                time.sleep(0.1)
            place = draw.randrange(3)
            running[place].send_signal(signal.SIGKILL)
            running[place].wait()
            start(place)
        _await(newest)
        time.sleep(seconds / (kills + 1))
        ended = [one.poll() for one in running.values()]
    finally:
        for one in running.values():
            one.kill()
            one.wait()
    assert ended == [None] * 3, [log.read_text()[-500:] for log in logs]
    flush(city.open())
    _assert_one_line_each(city, [log.read_text() for log in logs])


def _await(newest: dict[int, Path]) -> None:
    """Until every worker that lives has begun."""
    deadline = time.monotonic() + 90
    while not all("ready" in log.read_text() for log in newest.values()):
        assert time.monotonic() < deadline, [log.read_text()[-500:] for log in newest.values()]
        time.sleep(0.1)


def _assert_one_line_each(city, logs: list[str]) -> None:  # type: ignore[no-untyped-def]
    rows, registry = history_rows(city.config), city.open().registry
    lines = Counter(one["reason"] for one in rows)
    assert max(lines.values()) == 1
    told = [line.split() for log in logs for line in log.splitlines() if line.startswith(("done", "refused"))]
    serves = None
    for one in rows:
        assert one["action"] in CHANGES and one["serves"] != serves
        assert one["version"] == (serves if one["action"] == "rolled-back" else one["serves"])
        serves = one["serves"]
    assert registry.champion() == serves
    assert not {word[1] for word in told if word[0] == "refused"} & lines.keys()
    unknown = lines.keys() - {word[1] for word in told} - {"first"}
    assert len(unknown) <= len(logs), "only who was killed in the act could not tell of it"
    turns = Counter(word[1].partition("-")[0] for word in told)
    longest = max(float(word[2]) for word in told)
    print(f"{len(told)} acts, {len(rows)} entries, turns {dict(turns)}, longest wait {longest:.2f} s")
    assert longest < 30.0 and len(told) >= 6
    kept = json.loads(registry.read_text(str(serves), "history.json"))["history"]
    assert kept == of_version(entries(city.open().store.read()), str(serves))
