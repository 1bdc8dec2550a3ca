"""The ``terracast`` command as a person or a program uses it: verbs, JSON, exit codes, one-line errors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flows.terminal import terminal_in, without_server

COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]
SHARED = Path(__file__).parents[2].parent / "shared"
BEIJING = SHARED / "data" / "beijing_air_quality" / "beijing_air_quality.nc"


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=folder, env=without_server(), capture_output=True, text=True)


@pytest.fixture
def terminal(small_city, tmp_path: Path) -> Iterator[Callable]:  # type: ignore[no-untyped-def]
    with terminal_in(small_city.folder, tmp_path / "terminal.log") as tell:
        yield tell


def test_help_names_every_verb_and_starts_fast(tmp_path: Path) -> None:
    shown = run("--help", folder=tmp_path).stdout
    for verb in ("demo", "init", "config", "ingest", "watch", "replay", "discover", "adapt", "retrain", "promote",
                 "rollback", "versions", "why", "report", "bench", "store", "quality", "listen", "metrics"):
        assert f" {verb} " in shown
    heavy = ("import sys, terracast.flows.command; "
             "print([n for n in ('torch', 'prefect', 'mlflow') if n in sys.modules])")
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


def test_a_stream_from_ingest_to_rollback(small_city, terminal: Callable) -> None:  # type: ignore[no-untyped-def]
    """The verbs one after the other on one workspace, as a person types them; there is no server anywhere."""
    def answer(*arguments: str) -> dict:
        done = terminal(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    now = str(small_city.day(31))
    assert "nothing of domain air" in answer("watch", "--once")["waiting"]
    small_city.deliver(0, 31)
    assert {file["domain"] for file in answer("ingest")["files"]} == {"air", "weather"}
    watched = terminal("watch", "--once", "--now", now, "--json")
    seen = json.loads(watched.stdout)
    assert seen["champion"] == "1" and watched.returncode == (3 if seen["alarms"] else 0)
    began_anew = answer("retrain", "--now", f"{now[:10]}T00:00")
    assert began_anew["champion"] == "1", "the same instant is the same version"
    assert {"graph", "drivers", "digest"} <= answer("discover", "--now", now).keys()
    assert [row["aliases"] for row in answer("versions")["versions"]] == ["champion"]
    told = answer("why", "1")
    assert told["lineage"]["data_snapshot"] and "terracast retrain --now" in " ".join(told["sentences"])
    refused = terminal("rollback")
    assert refused.returncode == 1 and "roll back" in refused.stderr
    judged = answer("quality", "--now", now)
    assert set(judged["recorded"]) == {"air", "weather"}
    assert {share["sort"] for share in judged["shares"]} >= {"missing", "late"}
    checked = terminal("store", "check", "--json")
    assert checked.returncode == 0 and json.loads(checked.stdout)["sound"]
    assert told["lineage"]["data_snapshot"] in answer("store", "compact")["kept"]
    assert Path(answer("report", "--out", "page.html")["report"]).stat().st_size < 3_000_000


def test_a_wrong_instant_is_one_line(small_city) -> None:  # type: ignore[no-untyped-def]
    done = run("watch", "--once", "--now", "tomorrow-ish", folder=small_city.folder)
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
    odd = run("init", "air", "--from", str(BEIJING), "--model", "large", "--folder", "odd", folder=tmp_path)
    assert odd.returncode == 1 and "expected native, shipped" in odd.stderr and not (tmp_path / "odd").exists()
