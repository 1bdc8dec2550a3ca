"""``terracast backup`` and ``restore``: a workspace in one file, made while it runs, checked before it is unpacked."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from terracast.flows.archive.contents import contents_of
from terracast.flows.archive.errors import BackupError
from terracast.flows.archive.holding import LOCK, PATIENCE, SCRATCH, held_copy
from terracast.flows.archive.manifest import NAME
from terracast.flows.backup import backup
from terracast.flows.restore import restore
from terracast.flows.running.place import RunningPlace
from terracast.flows.settings import read_settings
from terracast.flows.workspace import Workspace, open_store
from terracast.streams.storage.check import check
from terracast.streams.storage.compaction import compact
from terracast.streams.store import Store
from tests.flows.moving import SETTINGS, answer, table, typed

STEPS = """
import sys
import numpy as np
from terracast.flows.watch import watch_once
from terracast.flows.workspace import Workspace
for hours in range(6, 73, 6):
    now = np.datetime64("2024-01-24T00:30", "ns") + np.timedelta64(hours, "h")
    print(watch_once(Workspace.open(sys.argv[1]), now).ticks, flush=True)
"""
END = "2024-01-27T00:30:00"


def _ledgers(folder: Path) -> dict[str, bytes]:
    view = open_store(folder / "terracast.toml").read()
    found = {}
    for name in ("forecasts/air", "scores/air"):
        ledger = view.ledger(name)
        assert ledger is not None
        for part in sorted(map(str, (*ledger.data_vars, *ledger.coords))):
            values = ledger[part].values
            found[f"{name} {part}"] = repr(values.tolist()).encode() if values.dtype == object else values.tobytes()
    return found


def test_a_backup_made_between_steps_goes_on_as_the_first_one_does(served_place: Path, tmp_path: Path) -> None:
    """Twelve steps commit in another process meanwhile; the copy then makes up those that it has not seen."""
    table("2024-01-24", 3).to_csv(served_place / "incoming" / "c.csv", index=False)
    with subprocess.Popen([sys.executable, "-c", STEPS, str(served_place / "terracast.toml")], text=True,
                          stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}) as steps:
        assert steps.stdout is not None
        first = steps.stdout.readline()
        told = backup(served_place / "terracast.toml", tmp_path / "b.tar.gz")
        rest = steps.stdout.read().split()
        assert steps.wait(300) == 0 and [first.strip(), *rest] == ["1"] * 12, "no step failed, none was lost"
    copy = tmp_path / "another machine" / "air"
    copy.parent.mkdir()
    restored = answer(copy.parent, "restore", str(tmp_path / "b.tar.gz"), "--folder", str(copy))
    assert restored["snapshot"] == told["snapshot"] == open_store(copy / "terracast.toml").read().snapshot
    at = open_store(copy / "terracast.toml").read().ledger("forecasts/air")
    assert at is not None and len(at["issue_time"]) < len(
        np.frombuffer(_ledgers(served_place)["forecasts/air issue_time"], "i8")), "made on the way, not at the end"
    step = answer(copy, "watch", "--once", "--now", END)
    assert [one["new"] for one in step["files"]] == [], "the files were taken in before"
    assert _ledgers(copy) == _ledgers(served_place)
    for verb in (["forecast", "--now", END], ["why", "2"], ["versions"]):
        assert answer(copy, *verb) == answer(served_place, *verb)
    assert check(Store.open(copy / "store")).sound


def test_what_a_compaction_deletes_meanwhile_is_in_the_copy(served_place: Path) -> None:
    config = served_place / "terracast.toml"
    settings, workspace = read_settings(config), Workspace.open(config)
    contents = contents_of(settings, config)
    with held_copy(settings, RunningPlace.of(config), contents) as copy:
        chunks = {path.name for path in (copy.folder / "store/data/chunks").iterdir()}
        manifests = {path.name for path in (copy.folder / "store/data/manifests").iterdir()}
        with workspace.store.transaction("a step") as step:  # steps go on: no lock is held any more
            step.set_state("extra", {"at": 1})
        compact(workspace.store, older_than=np.datetime64("2100-01-01", "ns"))
        live = {path.name for path in (served_place / "store/data/manifests").iterdir()}
        assert manifests - live, "the compaction deleted something that the copy holds"
        held = Store.open(copy.folder / "store")
        assert held.read().snapshot == copy.snapshot and held.read().state("extra") is None
        assert check(held).sound and chunks
    assert not (served_place / ".terracast" / SCRATCH).exists()


def test_a_step_under_way_is_waited_for_and_told(served_place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, over = served_place / "terracast.toml", threading.Event()
    store = open_store(config)

    def long_step() -> None:
        with store.transaction("a long step") as step:
            step.set_state("extra", {"at": 1})
            over.wait(PATIENCE + 1.0)

    thread = threading.Thread(target=long_step)
    thread.start()
    settings = read_settings(config)
    with held_copy(settings, RunningPlace.of(config), contents_of(settings, config)) as copy:
        assert Store.open(copy.folder / "store").read().state("extra") == {"at": 1}, "whole, for it was waited for"
    thread.join()
    assert "a step is under way" in capsys.readouterr().err


def test_a_workspace_that_has_not_begun_is_kept_too(tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "terracast.toml").write_text(SETTINGS)
    told = backup(tmp_path / "ws" / "terracast.toml", tmp_path / "b.tar.gz")
    assert told["files"] == 1 and told["snapshot"] is None
    assert restore(tmp_path / "b.tar.gz", tmp_path / "new")["stream"] == "berlin"
    assert (tmp_path / "new" / "terracast.toml").read_text() == SETTINGS


@pytest.mark.parametrize(("key", "line"), [
    ('[store]\nlocation = "s3://bucket/air"',
     "left out: store.location s3://bucket/air; the copy works on it where it is"),
    ('[registry]\ntracking = "$MLFLOW"', "left out: registry.tracking $MLFLOW; the copy works on it where it is"),
    ('[discovery]\nknowledge = "{outside}/k.txt"',
     "left out: discovery.knowledge {outside}/k.txt; the copy reads it where it is"),
    ('[registry]\nartifacts = "{inside}/artifacts"', "registry.artifacts is an absolute path: the copy reads "
     "{inside}/artifacts until you write artifacts"),
    ('[[sources]]\ndomain = "x"\npath = "../data/*.csv"',
     "left out: sources.1.path ../data/*.csv; the copy looks for it at the same place beside its own folder"),
    ('[[sources]]\ndomain = "x"\ntype = "sql"\nurl = "$DB"\ncolumn = "id"\ntable = "t"\nstep = "1h"',
     "left out: sources.1 (sql); the copy reads it where it is")])
def test_each_thing_that_lies_elsewhere_is_told(tmp_path: Path, key: str, line: str) -> None:
    inside, outside = tmp_path / "ws", tmp_path / "data"
    inside.mkdir()
    outside.mkdir()
    (outside / "k.txt").write_text("")
    given = {"inside": inside, "outside": outside}
    (inside / "terracast.toml").write_text(f"{SETTINGS}\n{key.format(**given)}\n")
    told = backup(inside / "terracast.toml", tmp_path / "b.tar.gz")
    assert told["left_out"] == [line.format(**given)]


def test_what_is_taken_and_what_is_left_out(served_place: Path, tmp_path: Path) -> None:
    config, outside = served_place / "terracast.toml", tmp_path / "data"
    outside.mkdir()
    (outside / "w.csv").write_text("time,node,rain\n2024-01-01T00:00,a,1\n")
    config.write_text(config.read_text() + f'\n[[sources]]\ndomain = "weather"\npath = "{outside}/*.csv"\n')
    for name in ("notes.txt", ".terracast/logs/steps.log", ".terracast/up.json", ".terracast/site/index.html",
                 f".terracast/{SCRATCH}/left.txt", "inbox/air/one.json", "my_rungs.py"):
        (served_place / name).parent.mkdir(parents=True, exist_ok=True)
        (served_place / name).write_text("x")
    (served_place / ".terracast/prefect").mkdir()
    with closing(sqlite3.connect(served_place / ".terracast/prefect/prefect.db")) as opened:
        opened.execute("pragma journal_mode = wal")
        opened.execute("create table automation (name text)")
        opened.execute("insert into automation values ('mail me')")
        opened.commit()
        told = answer(served_place, "backup", "../b.tar.gz", "--include", "my_rungs.py")  # while it is open
    with tarfile.open(served_place.parent / "b.tar.gz") as archive:
        names = set(archive.getnames())
    assert {"terracast.toml", "mlflow.db", "incoming/a.csv", "incoming/b.csv", "inbox/air/one.json", "my_rungs.py",
            ".terracast/site/index.html", ".terracast/prefect/prefect.db", NAME} <= names
    assert not [one for one in names if one.endswith((".lock", ".log", "/up.json", "-wal", "left.txt", "notes.txt"))]
    assert told["left_out"] == [
        f"left out: sources.1.path {outside}/*.csv; the copy reads it where it is",
        "left out: notes.txt: not named in the settings; take them along with --include"]
    assert (served_place.parent / "b.tar.gz").stat().st_mode & 0o777 == 0o600
    restored = answer(served_place.parent, "restore", "b.tar.gz")
    assert Path(restored["folder"]).name == "b" and restored["left_out"] == told["left_out"]
    with closing(sqlite3.connect(served_place.parent / "b/.terracast/prefect/prefect.db")) as opened:
        assert opened.execute("select name from automation").fetchall() == [("mail me",)]
    shutil.rmtree(served_place.parent / "b")
    (served_place.parent / "b.tar.gz").unlink()


@pytest.fixture(scope="module")
def whole(_pristine: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound backup, and nothing else in its folder; do not write into it."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copytree(_pristine[1], folder / "ws")
    backup(folder / "ws" / "terracast.toml", folder / "b.tar.gz")
    shutil.rmtree(folder / "ws")
    return folder / "b.tar.gz"


Members = list[tuple[tarfile.TarInfo, bytes]]


def _rewritten(whole: Path, target: Path, change: Callable[[Members], None]) -> Path:
    with tarfile.open(whole) as archive:
        members = [(one, read.read()) for one in archive if (read := archive.extractfile(one)) is not None]
    change(members)
    with tarfile.open(target, "w:gz") as archive:
        for one, data in members:
            archive.addfile(one, io.BytesIO(data))
    return target


def _file(name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE,
          link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    one = tarfile.TarInfo(name)
    one.type, one.linkname, one.size = kind, link, len(data) if kind == tarfile.REGTYPE else 0
    return one, data if kind == tarfile.REGTYPE else b""


def _named(members: Members, name: str) -> int:
    return next(at for at, (one, _) in enumerate(members) if one.name == name)


def _with_content(members: Members, name: str, change: Callable[[bytes], bytes]) -> None:
    at = _named(members, name)
    data = members[at][1]
    members[at] = _file(name, change(data))
    assert members[at][1] != data


def _with_format(data: bytes) -> bytes:
    return json.dumps(json.loads(data) | {"format": 99}).encode()


BAD: dict[str, tuple[Callable[[Members], Any], str]] = {
    "absolute": (lambda held: held.insert(0, _file("/tmp/terracast-evil")), "outside"),
    "up and out": (lambda held: held.insert(1, _file("store/../../terracast-evil")), "outside"),
    "symbolic link": (lambda held: held.insert(1, _file("incoming", kind=tarfile.SYMTYPE, link="/etc")),
                      "no plain file"),
    "hard link": (lambda held: held.insert(1, _file("x", kind=tarfile.LNKTYPE, link="/etc/passwd")), "no plain file"),
    "device": (lambda held: held.insert(1, _file("x", kind=tarfile.CHRTYPE)), "no plain file"),
    "pipe": (lambda held: held.insert(1, _file("x", kind=tarfile.FIFOTYPE)), "no plain file"),
    "folder": (lambda held: held.insert(1, _file("x", kind=tarfile.DIRTYPE)), "no plain file"),
    "twice": (lambda held: held.insert(1, held[0]), "twice"),
    "a file more": (lambda held: held.insert(0, _file("more.txt")), "more.txt is not listed"),
    "a file less": (lambda held: held.pop(_named(held, "mlflow.db")), "mlflow.db is missing"),
    "another content": (lambda held: _with_content(held, "incoming/a.csv", lambda data: data.replace(b"3", b"4")),
                        "incoming/a.csv was changed"),
    "other settings": (lambda held: _with_content(held, "terracast.toml", lambda data: data + b"\n"),
                       "terracast.toml was changed"),
    "no list": (lambda held: held.pop(_named(held, NAME)), "no list of contents"),
    "a broken list": (lambda held: _with_content(held, NAME, lambda data: data[:-9]), "list of contents is damaged"),
    "another format": (lambda held: _with_content(held, NAME, _with_format), "format 99"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_sound_backup_is_refused_and_leaves_nothing(whole: Path, tmp_path: Path, case: str) -> None:
    change, words = BAD[case]
    bad = _rewritten(whole, tmp_path / "bad.tar.gz", change)
    with pytest.raises(BackupError, match=words) as refused:
        restore(bad, tmp_path / "deep" / "new")
    assert "\n" not in str(refused.value) and str(bad) in str(refused.value)
    assert not (tmp_path / "deep" / "new").exists() and not Path("/tmp/terracast-evil").exists()
    assert not [one for one in tmp_path.rglob("*") if one.name == "terracast-evil"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.9999])
def test_a_backup_that_is_cut_off_is_refused_in_one_line(whole: Path, tmp_path: Path, share: float) -> None:
    data = whole.read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(data[:int(share * len(data))])
    done = typed(tmp_path, "restore", "cut.tar.gz")
    lines = [one for one in done.stderr.splitlines() if not one.startswith("restore: ")]
    assert done.returncode == 1 and len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["cut.tar.gz"]


def test_a_flipped_bit_anywhere_is_found(whole: Path, tmp_path: Path) -> None:
    data = bytearray(whole.read_bytes())
    for place in np.random.default_rng(3).integers(10, len(data), 12):
        data[place] ^= 16
        (tmp_path / "flipped.tar.gz").write_bytes(data)
        with pytest.raises(BackupError):
            restore(tmp_path / "flipped.tar.gz", tmp_path / "new")
        assert not (tmp_path / "new").exists()
        data[place] ^= 16


def test_a_folder_that_is_not_empty_is_refused_and_an_empty_one_is_filled(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(BackupError, match="not empty"):
        restore(whole, tmp_path / "full")
    assert [one.name for one in (tmp_path / "full").iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    assert answer(tmp_path / "empty", "restore", str(whole), "--folder", ".")["stream"] == "berlin"
    assert answer(tmp_path / "empty", "versions")["versions"][1]["aliases"] == "champion"
    (tmp_path / "killed" / ".restore.unfinished").mkdir(parents=True)
    with pytest.raises(BackupError, match="rm -r"):
        restore(whole, tmp_path / "killed")


def _no_file_above(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_no_room_leaves_nothing_half(served_place: Path, whole: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: the same error reaches us while we write."""
    (served_place / "noise.bin").write_bytes(np.random.default_rng(0).bytes(4_000_000))
    done = typed(served_place, "backup", str(tmp_path / "b.tar.gz"), "--include", "noise.bin",
                 preexec_fn=_no_file_above(2_000_000))
    lines = [one for one in done.stderr.splitlines() if not one.startswith("backup: ")]
    assert done.returncode == 1 and len(lines) == 1 and "free some space" in lines[0], done.stderr
    assert list(tmp_path.iterdir()) == [] and not (served_place / ".terracast" / SCRATCH).exists()
    done = typed(tmp_path, "restore", str(whole), "--folder", "new", preexec_fn=_no_file_above(300_000))
    lines = [one for one in done.stderr.splitlines() if not one.startswith("restore: ")]
    assert done.returncode == 1 and len(lines) == 1 and "free some space" in lines[0], done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_backed_up_is_one_line(served_place: Path, tmp_path: Path) -> None:
    config = served_place / "terracast.toml"
    (tmp_path / "there.tar.gz").write_text("an earlier one")
    for target, include, words in ((tmp_path / "there.tar.gz", [], "--overwrite"), (tmp_path, [], "name of a file"),
                                   (tmp_path / "no" / "b.tar.gz", [], "mkdir -p"),
                                   (tmp_path / "b.tar.gz", ["../x"], "--include")):
        with pytest.raises(BackupError, match=words):
            backup(config, target, include)
    assert (tmp_path / "there.tar.gz").read_text() == "an earlier one"
    (served_place / ".terracast").mkdir(exist_ok=True)
    import fcntl

    with (served_place / ".terracast" / LOCK).open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BackupError, match="under way"):
            backup(config, tmp_path / "b.tar.gz")
    assert backup(config, tmp_path / "there.tar.gz", overwrite=True)["files"] > 20
