"""What a user or a machine can do wrong: one line and exit code 1, no traceback; ``--debug`` shows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from terracast.flows.terminal.one_line import in_one_line

COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]
STREAM = '[stream]\nname="a"\ndomain="a"\ntarget="x"\n'
SOURCE = '[[sources]]\ndomain="a"\npath="incoming"\nunits={x="m"}\nstep="1h"\n'


def run(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"} | environment
    return subprocess.run([*COMMAND, *arguments], cwd=folder, env=given, capture_output=True, text=True)


def workspace(folder: Path, more: str = "") -> Path:
    (folder / "incoming").mkdir(parents=True)
    (folder / "terracast.toml").write_text(STREAM + more + SOURCE)
    return folder


def rows(count: int, odd: int = 0) -> str:
    """Hourly rows, of which the last ``odd`` have no known place on the clock."""
    stamps = pd.date_range("2024-01-01", periods=count, freq="h").to_series()
    stamps.iloc[count - odd:] += pd.Timedelta("29min")
    return "time,node,x\n" + "".join(f"{stamp},n,{hour % 7}\n" for hour, stamp in enumerate(stamps))


def in_one(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("verb", [("versions",), ("why", "1"), ("watch", "--once"), ("ingest",), ("status",)])
def test_a_damaged_mlflow_file_is_one_line(tmp_path: Path, verb: tuple[str, ...]) -> None:
    folder = workspace(tmp_path / "w")
    (folder / "mlflow.db").write_bytes(b"no database" * 100)
    assert "mlflow.db" in in_one(run(*verb, folder=folder))


@pytest.mark.parametrize("verb", ["versions", "ingest", "status", "report"])
def test_a_store_that_is_no_folder_is_one_line(tmp_path: Path, verb: str) -> None:
    folder = workspace(tmp_path / "w")
    (folder / "store").write_text("a file")
    assert "store" in in_one(run(verb, folder=folder))


def test_debug_shows_the_traceback_wherever_it_stands(tmp_path: Path) -> None:
    for arguments in (("--debug", "status"), ("status", "--debug")):
        done = run(*arguments, folder=tmp_path)
        assert done.returncode == 1 and "Traceback" in done.stderr and "no settings file" in done.stderr


def test_what_was_not_foreseen_names_verb_kind_and_the_way_to_see_more() -> None:
    told = in_one_line(RuntimeError("odd\nand long"), "watch")
    assert told == "watch: unexpected RuntimeError: odd; see where with `terracast --debug watch`"
    hidden = in_one_line(ValueError("cannot reach postgresql://ann:hunter2@db/x"), "up")
    assert "hunter2" not in hidden
    try:
        try:
            raise OSError(30, "Read-only file system", "store/x")
        except OSError as cause:
            raise RuntimeError("commit failed") from cause
    except RuntimeError as error:
        assert in_one_line(error, "ingest").startswith("ingest: the folder is read-only (store/x)")


def test_a_password_in_the_registry_is_refused_and_one_from_the_environment_is_not_shown(tmp_path: Path) -> None:
    written = workspace(tmp_path / "w", '[registry]\ntracking="postgresql://ann:hunter2@db/mlflow"\n')
    told = in_one(run("config", "show", folder=written))
    assert "hunter2" not in told and "$NAME" in told
    named = workspace(tmp_path / "n", '[registry]\ntracking="$TRACKING"\n')
    shown = run("config", "show", folder=named, TRACKING="postgresql://ann:hunter2@127.0.0.1:9/mlflow")
    assert shown.returncode == 0 and "hunter2" not in shown.stdout + shown.stderr and "$TRACKING" in shown.stdout
    asked = in_one(run("versions", folder=named, TRACKING="postgresql://ann:hunter2@127.0.0.1:9/mlflow"))
    assert "hunter2" not in asked and "ann" not in asked
    assert "export TRACKING=" in in_one(run("versions", folder=named))
    user = workspace(tmp_path / "u", '[registry]\ntracking="postgresql://ann@db/mlflow"\n')
    assert "ann" not in run("config", "show", folder=user).stdout


def test_refused_files_and_many_rejected_rows_are_told_and_what_was_fine_is_kept(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "w")
    (folder / "incoming" / "1.csv").write_text(rows(400))
    assert run("ingest", folder=folder).returncode == 0
    (folder / "incoming" / "2.csv").write_text("a,b\n1,2\n")
    assert "refused" in in_one(run("ingest", folder=folder))
    (folder / "incoming" / "2.csv").unlink()
    (folder / "incoming" / "3.csv").write_text(rows(500, odd=50))
    done = run("ingest", "--json", folder=folder)
    told = in_one(done)
    assert "10.0 %" in told and "3.csv" in told
    (file,) = json.loads(done.stdout)["files"]
    assert file["new"] == 50 and file["duplicate"] == 400


def test_a_clock_that_went_back_is_said_in_one_line(small_city) -> None:  # type: ignore[no-untyped-def]
    small_city.begin(31)
    back = str(small_city.day(31) - np.timedelta64(1, "D"))
    told = in_one(run("watch", "--once", "--now", back, folder=small_city.folder))
    assert "2023-01-31T00:00:00" in told and "2023-02-01T00:00:00" in told
    again = run("watch", "--once", "--now", str(small_city.day(31)), folder=small_city.folder)
    assert again.returncode == 0


def test_report_lies_beside_the_settings_wherever_it_is_called_from(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "w")
    done = run("report", "--config", str(folder / "terracast.toml"), folder=tmp_path)
    assert done.returncode == 0 and (folder / "report.html").exists() and not (tmp_path / "report.html").exists()
