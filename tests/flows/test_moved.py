"""A workspace that was moved or copied, by ``mv`` and ``cp -r``, answers as it did where it was made."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import Any

import pytest

from terracast.flows.workspace import open_store
from tests.flows.moving import COMMAND, NOW, answer, table, typed
from tests.flows.terminal import terminal_in


def _story(folder: Path, log: Path) -> dict[str, Any]:
    """What a person would ask and do, in order; the last one writes to MLflow."""
    found = {"watch": answer(folder, "watch", "--once", "--now", NOW)}
    with terminal_in(folder, log) as terminal:
        def asked(*verb: str) -> dict[str, Any]:
            done = terminal(*verb, "--json")
            assert done.returncode in (0, 3), done.stderr
            return dict(json.loads(done.stdout))

        for verb in (["versions"], ["why", "2"], ["why", "1"], ["forecast", "--now", NOW], ["status", "--now", NOW]):
            found[" ".join(verb)] = asked(*verb)
        asked("report", "--now", NOW)
        found["rollback"] = asked("rollback")
        found["after"] = asked("versions")
    return found


def _plain(story: dict[str, Any]) -> dict[str, Any]:
    """Without what names a commit, a size or a run of its own."""
    step = {name: value for name, value in story["watch"].items() if name not in ("snapshot", "evidence", "files")}
    status = story["status --now " + NOW]
    for stream in status["streams"]:
        stream.pop("store_bytes")
    return story | {"watch": step, "status --now " + NOW: status}


def _counts(story: dict[str, Any]) -> list[tuple[str, int, int]]:
    return [(Path(one["item"]).name, one["new"], one["duplicate"]) for one in story["watch"]["files"]]


def _stored(folder: Path) -> bytes:
    ledger = open_store(folder / "terracast.toml").read().ledger("forecasts/air")
    assert ledger is not None
    return b"".join(ledger[name].values.tobytes() for name in sorted(ledger.data_vars) if ledger[name].dtype != object)


def _deliver(folder: Path) -> None:
    table("2024-01-24", 1).to_csv(folder / "incoming" / "c.csv", index=False)


def test_a_workspace_that_was_moved_answers_as_before(served_place: Path, tmp_path: Path) -> None:
    new = tmp_path / "a new place"
    shutil.copytree(served_place, new)
    for folder in (served_place, new):
        _deliver(folder)
    expected, forecasts = _story(served_place, tmp_path / "first.log"), _stored(served_place)
    shutil.rmtree(served_place)
    found = _story(new, tmp_path / "new.log")
    assert _counts(found) == _counts(expected) == [("c.csv", 48, 0)], "only what is new is taken in"
    assert _plain(found) == _plain(expected)
    assert _stored(new) == forecasts
    assert expected["rollback"] == {"champion": "1"}


def test_a_copy_leaves_the_first_one_alone(served_place: Path, tmp_path: Path) -> None:
    new = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(served_place), str(new)], check=True)
    before = {path: path.read_bytes() for path in served_place.rglob("*") if path.is_file()}
    done = typed(new, "rollback")
    assert done.returncode == 0 and str(new / "artifacts") in done.stderr, done.stderr
    _deliver(new)
    assert _counts({"watch": answer(new, "watch", "--once", "--now", NOW)}) == [("c.csv", 48, 0)]
    assert {path: path.read_bytes() for path in served_place.rglob("*") if path.is_file()} == before


def _without_root_powers() -> None:
    """Let rights of files bind this process, even if it is root's: no override of them, no search, no ownership."""
    for power in (1, 2, 3):
        ctypes.CDLL(None).prctl(24, power, 0, 0, 0)  # PR_CAPBSET_DROP; refused, and not needed, for any other user


def test_who_may_only_read_a_moved_workspace_is_answered(served_place: Path, tmp_path: Path) -> None:
    """The recorded place has gone, and what is here must not be written: it is read where it lies all the same."""
    folder = tmp_path / "moved"
    shutil.move(served_place, folder)
    bound: dict[str, Any] = {"preexec_fn": _without_root_powers}
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    told = answer(folder, "why", "2", **bound)
    assert any("base" in sentence for sentence in told["sentences"])
    assert len(answer(folder, "versions", **bound)["versions"]) == 2
    assert answer(folder, "forecast", "--now", NOW, **bound)["rows"]
    refused = typed(folder, "rollback", **bound)
    assert refused.returncode == 1 and len(refused.stderr.splitlines()) == 1, refused.stderr
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert answer(folder, "rollback", **bound) == {"champion": "1"}


def test_another_user_acts_on_his_copy(served_place: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("acting as another user needs root")
    other: dict[str, Any] = {"user": 65534, "group": 65534}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "moved"
        Path(scratch).chmod(0o755)
        try:
            subprocess.run([*COMMAND, "--help"], capture_output=True, cwd=scratch, check=True, **other)
        except (PermissionError, subprocess.CalledProcessError):
            pytest.skip("another user may not read this interpreter or this checkout")
        shutil.move(served_place, folder)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65534, 65534)
        assert answer(folder, "why", "2", **other)["sentences"]
        assert answer(folder, "rollback", **other) == {"champion": "1"}


def test_a_run_that_was_scheduled_elsewhere_acts_here(tmp_path: Path) -> None:
    """Late runs of the place before are still in Prefect's database: they must not write there."""
    from prefect.client.schemas.objects import FlowRun

    from terracast.flows.running.runs import here

    own = {"config": "/new/terracast.toml", "out": "/new/.terracast/site/report.html"}
    old = {"config": "/old/terracast.toml", "out": "/old/.terracast/site/report.html"}
    late = FlowRun(flow_id=uuid.uuid4(), parameters=old, auto_scheduled=True)
    assert here(late, own) == own
    by_hand = FlowRun(flow_id=uuid.uuid4(), parameters=old | {"now": "2024-01-01", "out": "mine.html"})
    assert here(by_hand, own) == {"config": "/new/terracast.toml", "now": "2024-01-01", "out": "mine.html"}
