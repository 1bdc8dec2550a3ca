"""MLflow keeps absolute addresses of local files; a registry that was moved or copied finds its own all the same."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from terracast.registry.lineage import Lineage
from terracast.registry.promotion import promote
from terracast.registry.relocation import COLUMNS
from terracast.registry.tracking import RegistryError
from terracast.registry.versions import Registry
from terracast.stfm.forecaster import Request
from terracast.stfm.mlp.forecaster import NativeModel


def _open(folder: Path, said: list[str] | None = None, artifacts: Path | None = None) -> Registry:
    return Registry(folder / "mlflow.db", artifacts or folder / "artifacts", name="air-pm25",
                    tell=(said if said is not None else []).append)


@pytest.fixture
def made(blank: Path, tmp_path: Path, model: NativeModel) -> Path:
    """A registry in a folder with a sign that addresses encode: a champion, one before it, and a decision."""
    folder = tmp_path / "old 50 % ü"
    folder.mkdir()
    shutil.copy(blank, folder / "mlflow.db")
    registry = _open(folder)
    for number in (1, 2):
        registry.add(model, Lineage(f"E{number}/x", "SNAP"), files={"note.txt": f"of {number}"})
        promote(registry, str(number), decision={"reason": f"better {number}"})
    return folder


def _addresses(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "mlflow.db")) as opened:
        found = [row[0] for table, column in COLUMNS for row in opened.execute(f"select {column} from {table}")]
    return [one for one in found if one and "artifacts" in one and "/blank" not in one]  # the fixture's own


def _told(registry: Registry, panel: xr.Dataset, asked: Request) -> tuple[object, ...]:
    forecast = registry.load("champion").forecast(panel, asked)
    return (registry.versions(), registry.aliases(), registry.why("2").to_dict(), registry.read_text("1", "note.txt"),
            np.asarray(next(iter(forecast.data_vars.values())) if isinstance(forecast, xr.Dataset)
                       else forecast).tobytes())


def test_a_moved_registry_answers_the_same(made: Path, tmp_path: Path, panel: xr.Dataset, asked: Request) -> None:
    before = _told(_open(made), panel, asked)
    new = tmp_path / "elsewhere" / "new #1"
    shutil.move(made, new)
    stamp = (new / "mlflow.db").stat().st_mtime_ns
    assert _told(_open(new), panel, asked) == before
    assert (new / "mlflow.db").stat().st_mtime_ns == stamp, "who only asks, writes nothing"


def test_a_write_makes_the_addresses_follow_once_and_says_so(made: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    count = len(_addresses(made))
    shutil.move(made, new)
    said: list[str] = []
    _open(new, said).log_text("2", "gain.json", "{}")
    assert _addresses(new) and len(_addresses(new)) == count
    assert all(one.startswith((new / "artifacts").as_uri()) for one in _addresses(new))
    assert len(said) == 1 and str(new / "artifacts") in said[0] and "\n" not in said[0]
    _open(new, said).log_text("2", "gain.json", "{}")
    assert len(said) == 1, "what lies where it is recorded is left as it is"
    assert not made.exists()


def test_a_copy_writes_to_its_own_files_alone(made: Path, tmp_path: Path, panel: xr.Dataset, asked: Request) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    first, told = _addresses(made), _told(_open(made), panel, asked)
    _open(copy).log_text("2", "decision.json", '{"reason": "of the copy"}')
    _open(copy).add(NativeModel.fit(panel, asked, steps=1, seed=2, lookback=24), Lineage("E3/x", "SNAP"))
    assert _addresses(made) == first and _told(_open(made), panel, asked) == told
    assert str(made.name) not in " ".join(_addresses(copy))
    assert "of the copy" in _open(copy).read_text("2", "decision.json")


def test_another_artefact_folder_in_the_settings_is_no_move(made: Path, tmp_path: Path) -> None:
    said: list[str] = []
    first = _addresses(made)
    other = _open(made, said, made / "artefacts of later")
    other.log_text("2", "gain.json", "{}")
    assert _addresses(made) == first and said == []
    assert other.read_text("1", "note.txt") == "of 1"


def test_half_a_copy_is_refused_before_anything_is_written(made: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    run = _open(copy).version("1").run_id
    shutil.rmtree(copy / "artifacts" / run)
    with pytest.raises(RegistryError) as refused:
        _open(copy).log_text("2", "gain.json", "{}")
    assert str(made / "artifacts") in refused.value.remedy and "cp -rn" in refused.value.remedy
    assert not list((made / "artifacts").rglob("gain.json"))


def test_the_addresses_follow_all_or_none(made: Path, tmp_path: Path) -> None:
    """The last of the tables cannot be written: the others stay as they were, and the next try does it all."""
    new = tmp_path / "new"
    shutil.move(made, new)
    first = _addresses(new)
    with closing(sqlite3.connect(new / "mlflow.db")) as opened:
        opened.execute("create trigger broken before update of storage_location on model_versions "
                       "begin select raise(abort, 'the disk is full'); end")
        opened.commit()
    with pytest.raises(RegistryError, match="the disk is full"):
        _open(new).log_text("2", "gain.json", "{}")
    assert _addresses(new) == first
    with closing(sqlite3.connect(new / "mlflow.db")) as opened:
        opened.execute("drop trigger broken")
        opened.commit()
    _open(new).log_text("2", "gain.json", "{}")
    assert all(one.startswith((new / "artifacts").as_uri()) for one in _addresses(new))


def test_what_lies_on_a_server_stays(made: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    shutil.move(made, new)
    with closing(sqlite3.connect(new / "mlflow.db")) as opened:
        opened.execute("update runs set artifact_uri = 's3://bucket/artifacts/x' where run_uuid = ?",
                       (_open(new).version("1").run_id,))
        opened.execute("insert into experiments (name, artifact_location, lifecycle_stage) "
                       "values ('far', 's3://bucket/artifacts', 'active'), ('near', ?, 'active')",
                       ((made.parent / "old 50 % ü2" / "artifacts").as_uri(),))
        opened.commit()
    _open(new).tag("2", seen="yes")
    _open(new).log_text("2", "gain.json", "{}")
    held = _addresses(new)
    assert held.count("s3://bucket/artifacts") == 1 and held.count("s3://bucket/artifacts/x") == 1
    assert sum("%C3%BC2/artifacts" in one for one in held) == 1, "a folder whose name only begins alike is another"
