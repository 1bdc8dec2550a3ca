"""Retention, compaction, time travel: what goes is gone, what is kept is the same to the bit."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from terracast.streams.bitemporal import InMemoryHistory, known_after
from terracast.streams.errors import StoreError
from terracast.streams.storage.compaction import compact
from terracast.streams.storage.retention import Expired, Retention, retain
from terracast.streams.store import Store

pytestmark = pytest.mark.integration

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2020-01-01", "ns")
LATER = np.datetime64("2100-01-01", "ns")


def panel(hours: np.ndarray, values: np.ndarray, delay: int = 1, **coordinates: object) -> xr.Dataset:
    made = xr.Dataset({"x": (("time", "node"), values, {"units": "1", "long_name": "x"})},
                      {"time": START + hours * HOUR, "node": [f"n{i}" for i in range(values.shape[1])], **coordinates},
                      {"domain": "air", "kind": "sensor", "step": "1h"})
    return known_after(made, pd.Timedelta(hours=delay))


def scores(hours: np.ndarray) -> xr.Dataset:
    return xr.Dataset({"mae": ("issue_time", hours.astype(float))}, {"issue_time": START + hours * HOUR})


def filled(folder: Path, hours: int = 400) -> tuple[Store, np.ndarray]:
    """A store of some hours, 1 in 10 revised an hour later, a score each hour, and a table without stamps."""
    store, values = Store.open(folder), np.random.default_rng(0).normal(size=(hours, 3))
    every = np.arange(hours)
    with store.transaction("first") as step:
        step.ingest("air", panel(every, values))
        step.ingest("air", panel(every[::10], values[::10] + 1, 2))
        step.append("scores/air", scores(every), along="issue_time")
        step.append("episodes", xr.Dataset({"id": ("row", ["a", "b"])}), along="row")
        step.set_state("loop", {"seen": values})
    return store, values


def cut_history(whole: InMemoryHistory, cut: np.datetime64) -> InMemoryHistory:
    held = whole.recorded("air")
    return InMemoryHistory({"air": held.panel.sel(time=slice(cut, None))},
                    {"air": held.revisions[held.revisions["time"] >= cut]})


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(now=st.integers(1, 420), span=st.integers(1, 300), hours=st.integers(2, 400))
def test_retention_keeps_the_rest_to_the_bit(now, span, hours, tmp_path_factory):
    store, _ = filled(tmp_path_factory.mktemp("store"), hours)
    whole, cut = store.read().history(), START + (now - span) * HOUR
    before = store.read().snapshot
    kept = pd.Timedelta(hours=span)
    dropped = retain(store, START + now * HOUR, Retention(kept, {"scores": kept}))
    gone = int(np.clip(now - span, 0, hours))
    assert dropped == Expired({"air": gone} if gone else {}, {"air": -(-gone // 10) * 3} if gone else {},
                              {"scores/air": gone} if gone else {})
    view, wanted = store.read(), cut_history(whole, cut)
    assert (view.snapshot == before) == (gone == 0)
    for known in (cut + 3 * HOUR, LATER):
        if gone < hours:
            xr.testing.assert_identical(view.as_known_at("air", known), wanted.as_known_at("air", known))
    assert view.ledger("scores/air").mae.values.tolist() == list(range(gone, hours))
    assert view.ledger("episodes").id.values.tolist() == ["a", "b"] and view.state("loop") is not None
    xr.testing.assert_identical(store.read(before).as_known_at("air", LATER), whole.as_known_at("air", LATER))


def test_what_was_dropped_is_not_taken_in_again(tmp_path):
    store, values = filled(tmp_path)
    retain(store, START + 400 * HOUR, Retention(pd.Timedelta(hours=100)))
    with store.transaction("again, and on") as step:
        again = step.ingest("air", panel(np.arange(400), values))
        on = step.ingest("air", panel(np.array([400]), values[:1]))
    assert again.rejected == {"older than what is kept": 900} and again.new == 0
    assert again.duplicate == 300 and on.new == 3
    assert store.read().as_known_at("air", LATER).sizes["time"] == 101
    assert store.read().ledger("scores/air").sizes["issue_time"] == 400  # no span was given for it
    with pytest.raises(StoreError, match="expected a positive span"):
        retain(store, START, Retention(pd.Timedelta(0)))


def test_all_may_go(tmp_path):
    store, values = filled(tmp_path, 30)
    retain(store, LATER, Retention(pd.Timedelta(days=1), {"scores/air": pd.Timedelta(days=1)}))
    assert store.read().as_known_at("air", LATER).sizes["time"] == 0
    assert store.read().ledger("scores/air").sizes["issue_time"] == 0
    with store.transaction("new life") as step:
        assert step.ingest("air", panel(np.arange(30), values)).rejected == {"older than what is kept": 90}


def test_moving_positions_and_two_domains(tmp_path):
    store, values = Store.open(tmp_path), np.random.default_rng(3).normal(size=(50, 2))
    moving = {"lat": (("time", "node"), values * 10), "lon": (("time", "node"), values * 20)}
    sea = panel(np.arange(50), values, **moving).assign_attrs(domain="sea", kind="point")
    with store.transaction("both") as step:
        step.ingest("sea", sea)
        step.ingest("air", panel(np.arange(40, 50), values[40:]))
    dropped = retain(store, START + 50 * HOUR, Retention(pd.Timedelta("10h")))
    assert dropped.rows == {"sea": 40}  # nothing of the air is as old
    held = store.read().as_known_at("sea", LATER)
    assert np.array_equal(held.lat.values, values[40:] * 10) and np.array_equal(held.x.values, values[40:])


def size_of(folder: Path) -> int:
    return sum((Path(at) / name).stat().st_size for at, _, names in os.walk(folder) for name in names)


def test_compaction_frees_what_nobody_keeps(tmp_path):
    store, values = filled(tmp_path, 300)
    lineage = store.read().snapshot
    for hour in range(300, 330):
        with store.transaction(f"hour {hour}") as step:
            step.ingest("air", panel(np.array([hour]), values[hour - 300][None]))
    retain(store, START + 330 * HOUR, Retention(pd.Timedelta(hours=50)))
    names, newest, size = [one.id for one in store.snapshots()], store.read().history(), size_of(tmp_path)
    old = store.read(lineage).history()
    done = compact(store, older_than=LATER, keep=[lineage])
    assert done.kept == (lineage,) and done.expired >= 30 and done.chunks_deleted and done.bytes_freed
    assert size_of(tmp_path) < size
    for opened in (store, Store.open(tmp_path)):  # the kept one and the newest are the same to the bit
        for snapshot, wanted in ((None, newest), (lineage, old)):
            held = opened.read(snapshot).as_known_at("air", LATER)
            xr.testing.assert_identical(held, wanted.as_known_at("air", LATER))
        for snapshot in set(names) - {lineage, store.read().snapshot, names[-1]}:
            with pytest.raises(StoreError, match="no snapshot"):
                opened.read(snapshot)
    assert compact(store, older_than=LATER, keep=[lineage]).chunks_deleted == 0  # again: nothing left to do
    with store.transaction("goes on") as step:
        step.ingest("air", panel(np.array([330]), values[:1]))
    freed = compact(store, older_than=LATER)  # kept no more
    assert freed.chunks_deleted
    with pytest.raises(StoreError, match="no snapshot"):
        Store.open(tmp_path).read(lineage)
    with pytest.raises(StoreError, match="no snapshot"):
        compact(store, older_than=LATER, keep=["ZECHNKREP0F1RSTCMT00"])
    assert compact(store, older_than=LATER, keep=[store.read().snapshot]).kept


def test_of_a_kept_snapshot_the_data_stay_and_the_states_go(tmp_path):
    """A version a week that keeps a loop of megabytes would fill the disk: what it learnt from are data."""
    store, rng, named, sizes = Store.open(tmp_path), np.random.default_rng(4), [], []
    for week in range(4):
        with store.transaction(f"week {week}") as step:
            step.ingest("air", panel(np.arange(168 * week, 168 * week + 168), rng.normal(size=(168, 2))))
            step.set_state("loop", {"week": week, "experts": rng.normal(size=200_000)})
        named.append(store.read().snapshot)
        with store.maintained() as repository:  # interrupted after the branch, as an older version left it
            repository.create_branch(f"keep-{named[-1]}", named[-1])
        compact(store, older_than=LATER, keep=named)
        sizes.append(size_of(tmp_path))
    assert sizes[-1] - sizes[0] < 300_000, sizes
    for week, snapshot in enumerate(named):
        view = Store.open(tmp_path).read(snapshot)
        assert store.holds(snapshot) and view.snapshot == snapshot and view.state("loop") is None
        assert view.as_known_at("air", LATER).sizes["time"] == 168 * (week + 1)
    assert store.read().state("loop")["week"] == 3


def test_young_snapshots_stay(tmp_path):
    store, _ = filled(tmp_path, 30)
    with store.transaction("second") as step:
        step.set_state("loop", {})
    times = {one.message: one for one in store.snapshots()}
    compact(store, older_than=times["first"].time)
    assert store.read(times["first"].id).state("loop")["seen"].shape == (30, 3)


def test_a_network_that_grew_gets_fitting_chunks(tmp_path):
    store, rng = Store.open(tmp_path), np.random.default_rng(1)
    with store.transaction("one node") as step:
        step.ingest("air", panel(np.arange(200), rng.normal(size=(200, 1))))
    with store.transaction("many") as step:
        step.ingest("air", panel(np.arange(200, 202), rng.normal(size=(2, 3000))))
    before = store.read()
    assert before.root["observations/air/x"].chunks[1] == 64
    done = compact(store, older_than=START)
    assert "observations/air/x" in done.rewritten and done.expired == 0
    after = store.read()
    assert after.root["observations/air/x"].chunks == (24, 3008)
    xr.testing.assert_identical(after.as_known_at("air", LATER), before.as_known_at("air", LATER))
    assert compact(store, older_than=START).rewritten == ()


def test_time_travel_across_a_change_of_schema(tmp_path):
    """A node, then a variable, then a revision, then positions' sensor: each snapshot shows the world of its time."""
    store, seen = Store.open(tmp_path), []
    first = panel(np.arange(3), np.ones((3, 1)))
    wider = panel(np.arange(2, 5), np.full((3, 2), 2.0))
    other = panel(np.arange(4, 6), np.full((2, 1), 3.0)).rename(x="y")
    revised = panel(np.array([0]), np.full((1, 1), 9.0), delay=20)
    for message, one in {"start": first, "node": wider, "variable": other, "revision": revised}.items():
        with store.transaction(message) as step:
            step.ingest("air", one)
        view = store.read()
        seen.append((view.snapshot, view.history()))
    shapes = [dict(store.read(snapshot).as_known_at("air", LATER).sizes) for snapshot, _ in seen]
    assert shapes == [{"time": 3, "node": 1}, {"time": 5, "node": 2}, {"time": 6, "node": 2}, {"time": 6, "node": 2}]
    assert [list(store.read(snapshot).as_known_at("air", LATER).data_vars) for snapshot, _ in seen] == [
        ["x"], ["x"], ["x", "y"], ["x", "y"]]
    assert [store.read(s).as_known_at("air", LATER).x.values[0, 0] for s, _ in seen] == [1, 1, 1, 9]
    for snapshot, history in seen:
        for hour in (1, 4, 19, 20):
            now = START + hour * HOUR
            xr.testing.assert_identical(store.read(snapshot).as_known_at("air", now), history.as_known_at("air", now))


def read_bytes() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="no /proc/self/io to count the bytes that are read")
def test_reading_as_known_costs_what_is_asked_for(tmp_path):
    rng = np.random.default_rng(2)
    store = Store.open(tmp_path)
    with store.transaction("a year") as step:
        step.ingest("air", panel(np.arange(8760), rng.normal(size=(8760, 40))))
        step.ingest("air", panel(np.arange(0, 8760, 2), rng.normal(size=(4380, 40)), delay=2))
    now, counted = START + 8000 * HOUR, {}
    for name, since in {"fortnight": now - 336 * HOUR, "all": None}.items():
        view = Store.open(tmp_path).read()
        before = read_bytes()
        part = view.as_known_at("air", now, since)
        counted[name] = read_bytes() - before
        assert part.sizes["time"] == (336 if since is not None else 8000)
    assert counted["fortnight"] < counted["all"] / 5, counted
