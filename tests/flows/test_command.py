"""The ``terracast`` command as a person or a program uses it: verbs, JSON, exit codes, one-line errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from flows.command import main; main()"]
SHARED = Path(__file__).parents[2].parent / "shared"
BEIJING = SHARED / "data" / "beijing_air_quality" / "beijing_air_quality.nc"


def run(*arguments: str, folder: Path, api: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **({"PREFECT_API_URL": api} if api else {})}
    return subprocess.run([*COMMAND, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def test_help_names_every_verb_and_starts_fast(tmp_path: Path) -> None:
    shown = run("--help", folder=tmp_path).stdout
    for verb in ("demo", "init", "config", "ingest", "watch", "replay", "discover", "adapt", "retrain", "promote",
                 "rollback", "versions", "why", "report", "bench", "store", "quality", "listen"):
        assert f" {verb} " in shown
    heavy = "import sys, flows.command; print([n for n in ('torch', 'prefect', 'mlflow') if n in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", heavy], cwd=tmp_path, capture_output=True, text=True)
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize(("toml", "words"), [
    (None, "no settings file"),
    ("[stream\n", "not TOML"),
    ('[stream]\nname="a"\ndomain="a"\ntarget="x"\nhorizont="1h"\n[[sources]]\ndomain="a"\npath="x"', "stream.horizont"),
    ('[stream]\nname="a"\ndomain="a"\ntarget="x"\nhorizon="soon"\n[[sources]]\ndomain="a"\npath="x"', "not a duration"),
])
def test_mistakes_in_the_settings_are_one_line(tmp_path: Path, toml: str | None, words: str) -> None:
    if toml is not None:
        (tmp_path / "terracast.toml").write_text(toml)
    done = run("config", "show", folder=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert words in done.stderr and done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")


def test_a_stream_from_ingest_to_rollback(small_city, prefect_server: str) -> None:  # type: ignore[no-untyped-def]
    """The verbs one after the other on one workspace, through real Prefect runs."""
    folder = small_city.folder
    waiting = json.loads(run("watch", "--once", "--json", folder=folder, api=prefect_server).stdout)
    assert "nothing of domain air" in waiting["waiting"]
    small_city.deliver(0, 31)
    taken = json.loads(run("ingest", "--json", folder=folder, api=prefect_server).stdout)
    assert {file["domain"] for file in taken["files"]} == {"air", "weather"}
    watched = run("watch", "--once", "--now", str(small_city.day(31)), "--json", folder=folder, api=prefect_server)
    answer = json.loads(watched.stdout)
    assert answer["champion"] == "1" and watched.returncode == (3 if answer["alarms"] else 0)
    began_anew = json.loads(run("retrain", "--now", f"{str(small_city.day(31))[:10]}T00:00", "--json", folder=folder,
                                api=prefect_server).stdout)
    assert began_anew["champion"] == "1", "the same instant is the same version"
    found = json.loads(run("discover", "--now", str(small_city.day(31)), "--json", folder=folder,
                           api=prefect_server).stdout)
    assert {"graph", "drivers", "digest"} <= found.keys()
    listed = json.loads(run("versions", "--json", folder=folder).stdout)["versions"]
    assert [row["aliases"] for row in listed] == ["champion"]
    told = json.loads(run("why", "1", "--json", folder=folder).stdout)
    assert told["lineage"]["data_snapshot"] and "terracast retrain --now" in " ".join(told["sentences"])
    refused = run("rollback", folder=folder)
    assert refused.returncode == 1 and "roll back" in refused.stderr
    judged = json.loads(run("quality", "--now", str(small_city.day(31)), "--json", folder=folder,
                            api=prefect_server).stdout)
    assert set(judged["recorded"]) == {"air", "weather"}
    assert {ticket["sort"] for ticket in judged["tickets"]} >= {"missing", "late"}
    checked = run("store", "check", "--json", folder=folder)
    assert checked.returncode == 0 and json.loads(checked.stdout)["sound"]
    compacted = json.loads(run("store", "compact", "--json", folder=folder).stdout)
    assert told["lineage"]["data_snapshot"] in compacted["kept"]
    page = run("report", "--out", "page.html", "--json", folder=folder, api=prefect_server)
    assert Path(json.loads(page.stdout)["report"]).stat().st_size < 3_000_000


def test_a_wrong_instant_is_one_line(small_city, prefect_server: str) -> None:  # type: ignore[no-untyped-def]
    done = run("watch", "--once", "--now", "tomorrow-ish", folder=small_city.folder, api=prefect_server)
    assert done.returncode == 1 and "is not an instant" in done.stderr.splitlines()[-1]


@pytest.mark.skipif(not BEIJING.exists(), reason="needs ../shared/data/beijing_air_quality")
def test_init_splits_weather_from_air(tmp_path: Path) -> None:
    written = run("init", "air", "--from", str(BEIJING), "--json", folder=tmp_path)
    config = Path(json.loads(written.stdout)["config"])
    shown = json.loads(run("config", "show", "--json", folder=tmp_path).stdout)
    assert config.name == "terracast.toml" and shown["stream"]["target"] == "PM25"
    assert {source["domain"] for source in shown["sources"]} == {"air", "weather"}
    again = run("init", "air", "--from", str(BEIJING), folder=tmp_path)
    assert again.returncode == 1 and "already there" in again.stderr
    wrong = run("init", "air", "--from", str(BEIJING), "--target", "PM99", "--folder", "other", folder=tmp_path)
    assert wrong.returncode == 1 and "no variable 'PM99'" in wrong.stderr
