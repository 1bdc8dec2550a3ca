"""Secrets of the environment are used and written nowhere: no file of a workspace, no answer and no error has them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import numpy as np
import pytest
import sqlalchemy as sql

from terracast.flows.settings import read_settings
from terracast.flows.settings.masking import shown
from terracast.flows.workspace import open_store
from terracast.registry.tracking import RegistryError, Tracking
from terracast.streams.redaction import redacted
from terracast.streams.sources import SourceError
from terracast.streams.sources.rows import Terms
from terracast.streams.sources.sql import SqlSource
from tests.flows.moving import COMMAND, NOW, SETTINGS, table
from tests.flows.receivers import webhook
from tests.flows.terminal import VERBS_ONE_AFTER_THE_OTHER
from tests.streams.servers import POSTGRES, answers, free_port, postgres, stop, wait_for

PLANTED = {"MAIL_KEY": "planted-mail-key-7", "TERRACAST_PUSH_TOKEN": "planted-push-token-9",
           "AWS_SECRET_ACCESS_KEY": "planted/aws+secret/11", "AWS_ACCESS_KEY_ID": "PLANTEDKEYID",
           "AWS_SESSION_TOKEN": "planted-session-13", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "x",
           "AWS_EC2_METADATA_DISABLED": "true"}
SOURCES = """
[[sources]]
type = "sql"
domain = "air"
url = "$OUR_SQL"
table = "measured"
column = "id"
step = "1h"
time = "time"
node = "station"
variables = ["no2"]
units = {no2 = "ug m-3"}
delay = "1h"
[[sources]]
type = "push"
domain = "air"
step = "1h"
units = {no2 = "ug m-3"}
delay = "1h"
"""
AWAY = {"mlflow": ('[registry]\ntracking = "$OUR_MLFLOW"\n', "nobody answers"),
        "sql": (SOURCES, "the database cannot be read"),
        "s3": ('[store]\nlocation = "s3://bucket/air"\n', "error: ")}


def secrets_of(environment: dict[str, str]) -> list[bytes]:
    """What must not be read anywhere: each as it is, and as an address writes it."""
    found = [value for name, value in environment.items() if name in PLANTED and "ENDPOINT" not in name
             and len(value) > 8]
    for name in ("OUR_MLFLOW", "OUR_SQL"):
        held = urlsplit(environment[name]).password
        found += [held, unquote(held)] if held else []
    return [one.encode() for one in dict.fromkeys(found)]


def held_by(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder, and the members of archives."""
    for one in sorted(path.rglob("*")):
        if one.is_file():
            yield str(one), one.read_bytes()
            if one.name.endswith(".tar.gz"):
                with tarfile.open(one) as archive:
                    for member in archive:
                        file = archive.extractfile(member)
                        yield f"{one}:{member.name}", b"" if file is None else file.read()


def decoded(folder: Path) -> Iterator[bytes]:
    """Everything in the store as it is before it is compressed."""
    for _, one in open_store(folder / "terracast.toml").read().root.members(max_depth=None):
        yield repr(dict(one.attrs)).encode()
        if hasattr(one, "shape"):
            values = np.asarray(one[...])
            yield repr(values.tolist()).encode() if values.dtype.kind in "OUST" else values.tobytes()


@contextmanager
def typing(folder: Path, environment: dict[str, str]) -> Iterator[object]:
    """Verbs, one after the other in one process; what it says past its answers is in ``past.log``."""
    log = (folder.parent / "past.log").open("a+")
    with log, subprocess.Popen([sys.executable, "-c", VERBS_ONE_AFTER_THE_OTHER], cwd=folder, text=True, stderr=log,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None and process.stdout is not None

        def types(*words: str) -> tuple[int, str, str]:
            process.stdin.write(json.dumps(words) + "\n")
            process.stdin.flush()
            code, out, err = json.loads(process.stdout.readline())
            return code, out, err

        yield types
        process.stdin.close()


def environment_of(mlflow: str, database: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PREFECT_"))}
    return kept | PLANTED | {"OUR_MLFLOW": mlflow, "OUR_SQL": database, "OMP_NUM_THREADS": "1"}


def test_nothing_answers_and_no_secret_is_said(tmp_path: Path) -> None:
    away = "postgresql+psycopg://ann:hunter2%2Fplanted@127.0.0.1:9/mlflow?sslpassword=planted-in-query-15"
    environment = environment_of(away.partition("?")[0], away)
    hidden = [*secrets_of(environment), b"planted-in-query-15"]
    folder = tmp_path / "place"
    (folder / "incoming").mkdir(parents=True)
    table("2024-01-01", 2).to_csv(folder / "incoming" / "a.csv", index=False)
    said: list[str] = []
    with typing(folder, environment) as types:
        for name, (section, words) in AWAY.items():
            (folder / f"{name}.toml").write_text(
                f'{SETTINGS}{section}[alerts]\nto = ["json://ann:$MAIL_KEY@127.0.0.1:9/hook"]\n', encoding="utf-8")
            tried = [types("ingest", "--config", f"{name}.toml")]
            assert tried[0][0] == 1 and words in "".join(tried[0][1:]), tried
            traced = subprocess.run([*COMMAND, "--debug", "ingest", "--config", f"{name}.toml"], cwd=folder,
                                    env=environment, capture_output=True, text=True)
            said += [traced.stdout, traced.stderr]
            tried += [types("config", "show", "--config", f"{name}.toml"),
                      types("status", "--config", f"{name}.toml"),
                      types("alerts", "--test", "--config", f"{name}.toml")]
            assert "did not arrive" in tried[-1][1] or tried[-1][0] == 1
            said += [text for one in tried for text in one[1:]]
    printed = "\n".join(said).encode() + (tmp_path / "past.log").read_bytes()
    assert b"$MAIL_KEY" in printed
    assert not [one for one in hidden if one in printed]
    assert not [(where, one) for where, text in held_by(tmp_path) for one in hidden if one in text]


@pytest.mark.integration
def test_a_served_workspace_holds_no_secret(tmp_path: Path) -> None:
    if POSTGRES is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    folder = tmp_path / "place"
    (folder / "incoming").mkdir(parents=True)
    with postgres() as url, webhook() as hook:
        engine = sql.create_engine(url)
        table("2024-01-01", 22).iloc[:, [0, 1, 4]].assign(id=range(2 * 24 * 22)).to_sql(
            "measured", engine, index=False)
        environment = environment_of(url, url)
        hidden = secrets_of(environment)
        assert len(hidden) >= 6
        alerts = f'[alerts]\nto = ["json://ann:$MAIL_KEY@127.0.0.1:{hook.port}/hook"]\n'
        files = SETTINGS[SETTINGS.index("[[sources]]"):]
        (folder / "terracast.toml").write_text(
            SETTINGS.replace(files, "") + '[registry]\ntracking = "$OUR_MLFLOW"\n' + alerts + SOURCES,
            encoding="utf-8")
        pushed = pushes(folder, environment)
        at = ("--now", "2024-01-22T00:30:00")
        with typing(folder, environment) as types:
            tried = {" ".join(words): types(*words) for words in (
                ("init", "other", "--from", "incoming/b.csv", "--folder", "other"), ("ingest",),
                ("watch", "--once", *at), ("watch", "--once", "--json", "--now", NOW), ("forecast", "--now", NOW),
                ("report", "--now", NOW), ("status",), ("config", "show"), ("config", "show", "--json"), ("alerts",),
                ("alerts", "--test"), ("versions",), ("why", "1"), ("history",), ("metrics",),
                ("backup", "saved.tar.gz"))}
        wrong = {words: answer for words, answer in tried.items() if answer[0] not in (0, 3)}
        assert not wrong
        assert "version 1" in tried["why 1"][1] and "arrived" in tried["alerts --test"][1]
        assert hook.got, "the key was used"
        with engine.connect() as connection:
            rows = [str(row) for name in sql.inspect(engine).get_table_names()  # MLflow's among them
                    for row in connection.execute(sql.text(f'select * from "{name}"'))]
        engine.dispose()
    assert any("artifacts" in row for row in rows)
    printed = [text for answer in tried.values() for text in answer[1:]] + pushed
    places = {"what was printed": "\n".join(printed).encode(), "MLflow's database": "\n".join(rows).encode(),
              "the store": b"".join(decoded(folder)), "messages": repr(hook.got).encode()}
    places |= dict(held_by(tmp_path))
    assert any(":" in name and "terracast.toml" in name for name in places), "the archive was read"
    assert b"json://ann:$MAIL_KEY@" in places["the store"], "what lies compressed was read"
    assert not [(where, one) for where, text in places.items() for one in hidden if one in text]


def pushes(folder: Path, environment: dict[str, str]) -> list[str]:
    """Two pushes to a real `terracast listen`, with the right token and with a wrong one; what was answered."""
    table("2024-01-22", 2).to_csv(folder / "incoming" / "b.csv", index=False)
    port = free_port()
    with (folder.parent / "listen.log").open("w") as log:
        server = subprocess.Popen([*COMMAND, "listen", "--port", str(port)], cwd=folder, env=environment, stdout=log,
                                  stderr=log)
    try:
        wait_for(lambda: answers(port), "terracast listen")
        row = {"time": "2024-01-23T01:00:00Z", "node": "Mitte", "no2": 30.0}
        token = environment["TERRACAST_PUSH_TOKEN"]
        taken = [httpx.post(f"http://127.0.0.1:{port}/v1/air", json=row, headers={"Authorization": f"Bearer {one}"})
                 for one in (token, token[:-1] + "x")]
    finally:
        stop(server)
    assert [one.status_code for one in taken] == [202, 401]
    return [f"{one.text} {one.headers}" for one in taken]


@pytest.mark.parametrize("password", ["plain", "sl/ash", "a@t", "co:lon", "qu?estion", "ha#sh"])
def test_passwords_with_signs_are_masked_whole(password: str, tmp_path: Path) -> None:
    address = f"postgresql://ann:{password}@db.example.org/mlflow"
    assert redacted(f"cannot reach {address}: no route") == (
        "cannot reach postgresql://***@db.example.org/mlflow: no route")
    with pytest.raises(RegistryError) as refused:
        Tracking(address, tmp_path).client()
    assert not [part for part in (password, *password.split("/")) if part in str(refused.value)]
    assert "\n" not in str(refused.value)


def test_a_password_in_the_query_of_an_address_is_not_told() -> None:
    source = SqlSource("air:sql", Terms("air", np.timedelta64(1, "h")),  # type: ignore[arg-type]
                       "postgresql+psycopg://ann@127.0.0.1:9/db?sslpassword=hunter2&sslmode=disable", "id",
                       lambda: np.datetime64("2024-01-01"), table="x")
    with pytest.raises(SourceError) as refused:
        list(source.batches(None))
    assert "hunter2" not in str(refused.value) + repr(source)


def test_settings_are_shown_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_MLFLOW", "postgresql://ann:hunter2@db/mlflow")
    config = tmp_path / "terracast.toml"
    config.write_text(SETTINGS + '[registry]\ntracking = "$OUR_MLFLOW"\n', encoding="utf-8")
    told = shown(read_settings(config))
    assert told["registry"]["tracking"] == "$OUR_MLFLOW" and "hunter2" not in str(told)
