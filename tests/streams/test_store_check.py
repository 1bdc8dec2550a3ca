"""The integrity check finds each planted damage, says where, and finds nothing in a sound store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from terracast.streams.bitemporal import known_after
from terracast.streams.quality import judge
from terracast.streams.quality.recording import record
from terracast.streams.storage.check import check
from terracast.streams.storage.tree import pack
from terracast.streams.store import Store

pytestmark = pytest.mark.integration

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2020-01-01", "ns")


def panel(hours: np.ndarray, values: np.ndarray, delay: int = 1) -> xr.Dataset:
    made = xr.Dataset({"x": (("time", "node"), values, {"units": "1", "long_name": "x"}),
                       "PM2.5/NO": (("time", "node"), values * 2, {"units": "1", "long_name": "y"})},
                      {"time": START + hours * HOUR, "node": [f"n{i}" for i in range(values.shape[1])],
                       "lat": ("node", np.arange(values.shape[1], dtype=float)),
                       "lon": ("node", np.arange(values.shape[1], dtype=float))},
                      {"domain": "air", "kind": "sensor", "step": "1h"})
    return known_after(made, pd.Timedelta(hours=delay))


@pytest.fixture
def store(tmp_path) -> Store:
    store, values = Store.open(tmp_path), np.random.default_rng(0).normal(size=(400, 30))
    with store.transaction("first") as step:
        step.ingest("air", panel(np.arange(400), values))
        step.ingest("air", panel(np.arange(0, 400, 10), values[::10] + 1, 2))
        step.append("scores/air", xr.Dataset({"mae": ("issue_time", np.arange(300.0))},
                                             {"issue_time": START + np.arange(300) * HOUR}), along="issue_time")
        step.set_state("loop", {"seen": values})
        step.set_cursor("file", {"read_to": "2020-01-01"})
    return store


def test_a_sound_store(store):
    told: list[str] = []
    checked = check(store, [store.read().snapshot], told.append)
    assert checked.sound and checked.parts == len(told) == 8
    assert told[:4] == ["observations/air", "scores/air", "states/loop", "cursors/file"]


def test_a_list_of_entries_may_repeat_its_stamps_but_not_its_lengths(store):
    """Flags recorded at one instant share their known time; that is no entry counted twice."""
    values = np.ones((48, 3))
    values[[5, 9, 20], 1] = -300.0
    warmth = xr.Dataset({"t": (("time", "node"), values, {"units": "degC", "long_name": "air temperature"})},
                        {"time": START + np.arange(48) * HOUR, "node": ["a", "b", "c"]},
                        {"domain": "w", "kind": "sensor", "step": "1h"})
    for hours in (24, 48):  # the second time adds to what the first began
        with store.transaction("flags") as step:
            assert record(step, "w", judge(warmth.isel(time=slice(0, hours))), START + hours * HOUR) > 1
    stamps = store.read().ledger("quality/w")["known_time"].values
    assert len(np.unique(stamps)) == 2 < len(stamps)
    assert check(store).sound
    with store.transaction("damage") as step:
        shorten("quality/w/flags")(step.root)
    (finding,) = check(store).findings
    assert "'known_time' is of different lengths" in str(finding)


def write(path: str, place: object, values: object) -> Callable[[object], None]:
    def change(root: object) -> None:
        root[path][place] = values
    return change


def shorten(path: str) -> Callable[[object], None]:
    def change(root: object) -> None:
        array = root[path]
        array.resize((array.shape[0] - 1, *array.shape[1:]))
    return change


def replaced(path: str, data: bytes) -> Callable[[object], None]:
    def change(root: object) -> None:
        array = root.create_array(path, shape=(len(data),), dtype="u1", overwrite=True)
        array[:] = np.frombuffer(data, "u1")
    return change


def nanoseconds(hour: float) -> int:
    return int((START + np.timedelta64(round(hour * 60), "m")).astype(np.int64))


PLANTED = {
    "time goes backwards or stands still at row 8": write("observations/air/time", 8, nanoseconds(7)),
    "1 stamps are off the domain's clock": write("observations/air/time", 8, nanoseconds(8.5)),
    "node 'n0' is there twice": write("observations/air/node", 5, "n0"),
    "1 reports are known before their own time": write("observations/air/known_time", (9, 3), nanoseconds(8)),
    "2 values have no known time": write("observations/air/known_time", (9, 3), np.iinfo(np.int64).min),
    "1 values are infinite": write("observations/air/x", (9, 3), np.inf),
    "'x' has shape (399, 30), time and node have (400, 30)": shorten("observations/air/x"),
    "1 entries are about rows, nodes or variables not held": write("revisions/air/node", 3, 30),
    "the index of times does not fit the entries": write("revisions/air/latest_time", 3, nanoseconds(9)),
    "1 revisions do not come after a first report": write("revisions/air/known_time", 3, nanoseconds(1)),
    "columns do not agree": shorten("revisions/air/value"),
    "'issue_time' is of different lengths": shorten("scores/air/mae"),
    "issue_time 2020-01-01T02:00:00.000000000 is there 2 times": write("scores/air/issue_time", 3, nanoseconds(2)),
    "not a packed state": replaced("states/loop", b"x" * 20),
    "the cursor is not plain JSON": replaced("cursors/file", pack({"mark": np.zeros(2)})),
    "missing: x": lambda root: root["observations/air"].__delitem__("x"),
}


@pytest.mark.parametrize("words", PLANTED)
def test_planted(store, words):
    with store.transaction("damage") as step:
        PLANTED[words](step.root)
    findings = check(store).findings
    assert len(findings) == 1, findings
    assert any(words in str(one) for one in findings), findings
    assert all("\n" not in str(one) and one.remedy for one in findings)


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "deleted":
        path.unlink()
    elif how == "cut short":
        path.write_bytes(data[:len(data) // 2])
    else:
        path.write_bytes(data[:len(data) // 2] + bytes([data[len(data) // 2] ^ 16]) + data[len(data) // 2 + 1:])


@pytest.mark.parametrize("how", ["deleted", "cut short", "a bit flipped"])
def test_every_damaged_chunk_is_found(store, how, tmp_path):
    chunks = sorted((tmp_path / "data" / "chunks").iterdir())
    assert len(chunks) >= 10
    for path in chunks:
        data = path.read_bytes()
        damage(path, how)
        findings = check(Store.open(tmp_path)).findings
        assert findings and all("cannot be read" in str(one) and "\n" not in str(one) for one in findings), path
        path.write_bytes(data)
    assert check(Store.open(tmp_path)).sound


def test_where_the_damage_lies(store, tmp_path):
    names = {path.name for path in (tmp_path / "data" / "chunks").iterdir()}
    with store.transaction("one more day") as step:
        step.ingest("air", panel(np.arange(400, 424), np.random.default_rng(1).normal(size=(24, 30)))[["PM2.5/NO"]])
    fresh = {path for path in (tmp_path / "data" / "chunks").iterdir() if path.name not in names}
    biggest = max(fresh, key=lambda path: path.stat().st_size)
    biggest.unlink()
    (finding,) = check(Store.open(tmp_path)).findings
    assert finding.where == "observations/air/PM2.5/NO" and "rows 336 to 423 cannot be read" in finding.what
    assert "snapshot" in finding.remedy


@pytest.mark.parametrize("folder", ["manifests", "snapshots", "refs"])
def test_damaged_lists_of_contents(store, folder, tmp_path):
    """Never silence and never a traceback: a finding, or one line when the store cannot even be opened."""
    from terracast.streams.errors import StoreError

    files = [path for path in (tmp_path / "data" / folder).rglob("*") if path.is_file()]
    for path in files:
        data = path.read_bytes()
        path.unlink()
        try:
            opened = Store.open(tmp_path)
        except StoreError as told:
            assert "\n" not in str(told)
        else:
            checked = check(opened)
            assert not checked.sound and all("\n" not in str(one) for one in checked.findings), path
        path.write_bytes(data)
    assert check(Store.open(tmp_path)).sound


def test_a_lost_lineage_snapshot_is_told(store):
    checked = check(store, ["ZECHNKREP0F1RSTCMT00"])
    assert [one.where for one in checked.findings] == ["snapshot ZECHNKREP0F1RSTCMT00"]
