"""What the page of ``terracast up`` tells a browser, and that the report runs its own scripts alone."""

from __future__ import annotations

import re
import socket
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from email.message import Message
from hashlib import sha256
from pathlib import Path

import pytest

from terracast.flows.reporting.page import render, write
from terracast.flows.running.acknowledging import Acknowledging
from terracast.flows.running.page import served
from tests.flows.test_report_page import HOSTILE, report

META = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')
SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    write(report(), tmp_path / "report.html")
    form = Acknowledging(tmp_path / "none.toml", lambda: [{"id": "e1", "words": HOSTILE, "by": None}])
    told = {"trouble": [HOSTILE], "waiting": ""}
    with served(tmp_path / "report.html", lambda: told, number, episodes=form):
        yield number


def answer(port: int, path: str, body: bytes | None = None) -> tuple[int, Message, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", body, timeout=10) as got:
            return got.status, got.headers, got.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers, refused.read().decode()


def parts(policy: str) -> dict[str, set[str]]:
    return {words[0]: set(words[1:]) for words in (one.split() for one in policy.split(";"))}


@pytest.mark.parametrize(("path", "body", "status"), [("/", None, 200), ("/status.json", None, 200), ("/x", None, 404),
                                                      ("/ack", b"secret=x", 403), ("/ack", b"x" * 5000, 413)])
def test_every_answer_bears_the_headers(port: int, path: str, body: bytes | None, status: int) -> None:
    code, headers, _ = answer(port, path, body)
    assert code == status
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    assert headers["Server"].strip() == "terracast" and headers["Cache-Control"] == "no-store"
    policy = parts(headers["Content-Security-Policy"])
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == {"'none'"}
    assert policy["form-action"] == policy["connect-src"] == {"'self'"} and policy["img-src"] == {"data:", "'self'"}


def test_a_form_above_the_report_may_be_sent_and_nothing_of_the_file(port: int, tmp_path: Path) -> None:
    _, _, page = answer(port, "/")
    assert '<form method="post" action="/ack"' in page and HOSTILE not in page
    assert parts(META.findall(page)[0])["form-action"] == {"'self'"}
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert parts(META.findall(text)[0])["form-action"] == {"'none'"}


@pytest.mark.parametrize("length", ["-1", "x", "1e9", "²", "9999999999"])
def test_a_length_that_is_none_is_refused(port: int, length: str, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sender:
        sender.sendall(f"POST /ack HTTP/1.0\r\nContent-Length: {length}\r\n\r\n".encode())
        assert sender.recv(4096).split()[1] in (b"404", b"413")
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("charted", [True, False])
def test_a_page_runs_its_own_scripts_alone(charted: bool) -> None:
    whole = report() if charted else replace(report(), timeline=None)
    page = render(replace(whole, title=HOSTILE, headline=(HOSTILE,)))
    (policy,) = META.findall(page)
    allowed = parts(policy)["script-src"]
    scripts = SCRIPT.findall(page)
    assert len(scripts) == (3 if charted else 2)
    assert allowed == {"'unsafe-eval'", *(f"'sha256-{b64encode(sha256(one.encode()).digest()).decode()}'"
                                          for one in scripts)}
    assert not re.search(r"<[^>]+\son\w+=", re.sub(SCRIPT, "", page)), "an attribute would need 'unsafe-inline'"
