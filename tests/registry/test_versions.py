"""Adding is idempotent, also across threads, processes and kill -9; errors are one line without secrets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from terracast.registry.lineage import Lineage
from terracast.registry.tracking import RegistryError
from terracast.registry.versions import Registry
from terracast.stfm.forecaster import Request
from terracast.stfm.mlp.forecaster import NativeModel
from terracast.stfm.seasonal_naive import SeasonalNaive

ROOT = Path(__file__).parents[2]
CHILD = """
import os, signal, sys, time
import numpy as np, pandas as pd, xarray as xr
from terracast.registry.lineage import Lineage
from terracast.registry.versions import Registry
from terracast.stfm import serialization as shelf

class Dies:
    def __init__(self, inner): self.inner = inner
    def __getattr__(self, name): return getattr(self.inner, name)
    def config(self): os.kill(os.getpid(), signal.SIGKILL)

model = shelf.load(sys.argv[2])
registry = Registry(sys.argv[1], name="air-pm25")
if sys.argv[3] == "die":
    model = Dies(model)
print(registry.add(model, Lineage("E1/fine-tune", "SNAP", episode_id="E1")))
"""


class Failing(NativeModel):
    """A model whose weights cannot be read: registration stops half-way."""

    def weights(self) -> Mapping[str, np.ndarray]:
        raise MemoryError("no memory for the weights")


def runs(registry: Registry) -> list[str]:
    return sorted(run.info.status for run in registry.place.client.search_runs([registry.place.experiment]))


def test_a_version_is_added_once_and_comes_back_to_the_bit(
        registry: Registry, opened: Callable[..., Registry], model: NativeModel, panel: xr.Dataset,
        asked: Request) -> None:
    lineage = Lineage("base", "SNAP1", known_at=np.datetime64("2024-01-13"), seed=1, config_digest="c0ffee",
                      reference=(np.datetime64("2024-01-01"), np.datetime64("2024-01-12T23")))
    files: dict[str, str | bytes] = {"reports/a.txt": "words", "b.bin": b"\0\1"}
    first = registry.add(model, lineage, metrics={"mae": 1.5}, files=files)
    again = registry.add(model, lineage, metrics={"mae": 9.9})
    assert (first, again, registry.find("base"), registry.find("other")) == ("1", "1", "1", None)
    assert runs(registry) == ["FINISHED"]
    held = opened().versions()
    assert [one.lineage for one in held] == [lineage]
    assert held[0].metrics == {"mae": 1.5}
    assert abs(held[0].created - np.datetime64("now")) < np.timedelta64(1, "h")
    assert registry.read_text("1", "reports/a.txt") == "words"
    registry.log_text("1", "graph.json", "{}")
    assert opened().read_text("1", "graph.json") == "{}"
    xr.testing.assert_identical(opened().load("1").forecast(panel, asked), model.forecast(panel, asked))


def test_registering_is_quick_and_leaves_no_pickle_and_no_global_state(
        registry: Registry, model: NativeModel, panel: xr.Dataset, asked: Request, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri()
    began = time.perf_counter()
    registry.add(model, Lineage("base", "SNAP"), panel=panel, request=asked)
    assert time.perf_counter() - began < 15  # half a second on an idle core; guessing an environment takes far longer
    assert mlflow.active_run() is None
    assert mlflow.get_tracking_uri() == before
    files = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert "weights.safetensors" in files
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".pt", ".pth"))]
    beside = sorted(path.name for path in tmp_path.iterdir())
    assert beside == [".air-pm25.registry.lock", ".air-pm25.registry.lock.queue", "artifacts", "mlflow.db"]
    assert capfd.readouterr() == ("", "")


def test_a_forecaster_without_weights_is_registrable(registry: Registry, panel: xr.Dataset,
                                                         asked: Request) -> None:
    rule = SeasonalNaive()
    assert registry.add(rule, Lineage("base", "SNAP")) == "1"
    xr.testing.assert_identical(registry.load("1").forecast(panel, asked), rule.forecast(panel, asked))


def test_a_failed_registration_leaves_no_version_and_is_replaced(registry: Registry,
                                                                  model: NativeModel) -> None:
    failing = Failing(model.fitted)
    with pytest.raises(MemoryError):
        registry.add(failing, Lineage("E1/fine-tune", "SNAP"))
    assert registry.versions() == ()
    assert runs(registry) == ["FAILED"]
    assert registry.add(model, Lineage("E1/fine-tune", "SNAP")) == "1"
    assert runs(registry) == ["FINISHED", "KILLED"]


def test_threads_that_add_the_same_key_make_one_version(opened: Callable[..., Registry],
                                                            model: NativeModel) -> None:
    both = [opened(), opened()]
    found: list[str] = []

    def add(held: Registry) -> None:
        found.append(held.add(model, Lineage("E1/x", "SNAP")))

    workers = [threading.Thread(target=add, args=(held,)) for held in both]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == ["1", "1"]
    assert len(both[0].versions()) == 1
    assert runs(both[0]) == ["FINISHED"]


def test_kill_in_the_middle_then_two_processes_at_once_make_one_version(
        registry: Registry, model: NativeModel, tmp_path: Path) -> None:
    from terracast.stfm import serialization as shelf

    shelved = tmp_path / "shelved"
    shelved.mkdir()
    shelf.save(model, shelved)

    def child(mode: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", CHILD, str(tmp_path / "mlflow.db"), str(shelved), mode]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
                                env={**os.environ, "OMP_NUM_THREADS": "1"})

    killed = child("die")
    killed.communicate(timeout=300)
    assert killed.returncode == -9
    assert runs(registry) == ["RUNNING"]
    assert registry.versions() == ()
    pair = [child("live"), child("live")]
    answers = [one.communicate(timeout=300) for one in pair]
    assert answers == [("1\n", ""), ("1\n", "")]
    assert [one.number for one in registry.versions()] == ["1"]
    assert runs(registry) == ["FINISHED", "KILLED"]


def test_what_is_not_there_is_said_in_one_line(registry: Registry, model: NativeModel) -> None:
    for ask in (lambda: registry.load("7"), lambda: registry.load("champion"), lambda: registry.why("none"),
                lambda: registry.add(model, Lineage("E1/x", "SNAP", parent="7")),
                lambda: registry.log_text("7", "a", "b")):
        with pytest.raises(RegistryError) as told:
            ask()
        assert "\n" not in str(told.value)
    assert registry.champion() is None
    registry.add(model, Lineage("base", "SNAP"))
    for name in ("../outside.txt", "/tmp/outside.txt", ""):
        with pytest.raises(RegistryError, match="cannot name a file"):
            registry.log_text("1", name, "x")
    with pytest.raises(RegistryError):
        registry.read_text("1", "absent.txt")


def test_damaged_or_lost_files_are_refused(registry: Registry, model: NativeModel, tmp_path: Path) -> None:
    registry.add(model, Lineage("base", "SNAP"))
    (weights,) = (path for path in tmp_path.rglob("weights.safetensors"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(RegistryError, match="changed or damaged"):
        registry.load("1")
    weights.write_bytes(whole)
    registry.load("1")
    weights.parent.rename(weights.parent.with_name("gone"))
    with pytest.raises(RegistryError, match="gone"):
        registry.load("1")


def test_a_broken_or_absent_registry_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "garbage.db").write_bytes(b"not a database" * 100)
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "garbage.db", tmp_path / "file" / "mlflow.db", tmp_path,
                  "http://ann:secret@127.0.0.1:9", "postgresql://ann:secret@127.0.0.1:9/mlflow",
                  "ftp://nowhere"):
        with pytest.raises(RegistryError) as told:
            Registry(place, tmp_path / "artifacts", name="air").versions()
        assert "\n" not in str(told.value)
        assert "secret" not in str(told.value)
    with pytest.raises(RegistryError, match="cannot name a model"):
        Registry(tmp_path / "mlflow.db", name="a'b")


def test_a_lock_held_elsewhere_is_said(registry: Registry) -> None:
    with registry.lock(), pytest.raises(RegistryError, match="lock"):
        answers: list[BaseException] = []

        def other() -> None:
            try:
                with registry.tracking.lock(registry.name, seconds=0.1):
                    pass
            except RegistryError as error:
                answers.append(error)

        worker = threading.Thread(target=other)
        worker.start()
        worker.join()
        assert re.search("0.1 s", str(answers[0]))
        raise answers[0]


def test_a_forecaster_that_cannot_be_kept_is_refused_in_words(registry: Registry, panel: xr.Dataset) -> None:
    class BlackBox:
        capabilities = SeasonalNaive().capabilities
        forecast = SeasonalNaive().forecast

    with pytest.raises(RegistryError, match="a BlackBox cannot be kept"):
        registry.add(BlackBox(), Lineage("base", "SNAP"))
    assert registry.versions() == ()
