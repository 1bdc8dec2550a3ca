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

from terracast.flows.reporting.page import render
from terracast.flows.running.forms import Forms
from terracast.flows.running.page import page, served
from tests.flows.made_site import write_made_site
from tests.flows.test_report_page import HOSTILE, report

META = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')
SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    write_made_site(tmp_path / "site")
    (tmp_path / "site" / "secret.txt").write_text("x")
    forms = Forms(tmp_path / "none.toml", lambda: [{"id": "E-2", "words": HOSTILE, "by": None}],
                  lambda: [{"name": "5", "words": HOSTILE, "answer": None}], lambda: "3", ("watch.example.org",))
    told = {"trouble": [HOSTILE], "waiting": "", "next_run": HOSTILE, "running": None}
    with served(tmp_path / "site", lambda: told, number, forms=forms):
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
    assert headers["Server"].strip() == "terracast"
    assert headers["Cache-Control"] == ("private, max-age=31536000, immutable" if path == "/ASSET" else "no-store")
    policy = parts(headers["Content-Security-Policy"])
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == {"'none'"}
    assert policy["form-action"] == policy["connect-src"] == {"'self'"} and policy["img-src"] == {"data:", "'self'"}


def test_a_form_above_the_report_may_be_sent_and_nothing_of_the_file(port: int, tmp_path: Path) -> None:
    for name in ("/", "/report.html"):
        _, _, page = answer(port, name)
        assert '<form method="post" action="/ack"' in page and HOSTILE not in page
        assert parts(META.findall(page)[0])["form-action"] == {"'self'"}
    for name in ("index.html", "report.html"):
        text = (tmp_path / "site" / name).read_text(encoding="utf-8")
        assert parts(META.findall(text)[0])["form-action"] == {"'none'"} and "<form method" not in text


def test_each_form_stands_where_it_belongs(port: int) -> None:
    pages = {name: answer(port, f"/{name}")[2] for name in ("index.html", "versions.html", "episodes/E-1.html",
                                                          "episodes/E-2.html", "forecast.html")}
    found = {name: set(re.findall(r'action="(/\w+)"', text)) for name, text in pages.items()}
    assert found == {"index.html": {"/ack", "/approve", "/decline"}, "forecast.html": set(), "episodes/E-1.html": set(),
                     "versions.html": {"/approve", "/decline", "/rollback"}, "episodes/E-2.html": {"/ack"}}


@pytest.mark.parametrize("host", ["evil.example.org", "evil.example.org:8478", "127.0.0.1.evil.example.org", ""])
@pytest.mark.parametrize("path", ["/", "/status.json", "/episodes/E-1.html"])
def test_a_name_that_is_made_to_point_here_reads_nothing(port: int, host: str, path: str) -> None:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": host})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(asked, timeout=10)
    assert refused.value.code == 403 and b"E-2" not in refused.value.read()


@pytest.mark.parametrize("host", ["localhost:{}", "127.0.0.1:{}", "[::1]:{}", "Watch.example.org"])
def test_names_of_this_machine_and_of_the_settings_are_answered(port: int, host: str) -> None:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": host.format(port)})
    with urllib.request.urlopen(asked, timeout=10) as got:
        assert got.status == 200


def test_a_form_of_elsewhere_is_refused(port: int) -> None:
    secret = re.findall(r'name="secret" value="([^"]+)"', answer(port, "/")[2])[0]
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/rollback", f"secret={secret}&version=3".encode(),
                                   {"Origin": "http://evil.example.org"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(asked, timeout=10)
    assert refused.value.code == 403
    assert answer(port, "/rollback", f"secret={secret}&version=2".encode())[0] == 404, "another served meanwhile"
    assert answer(port, "/approve", f"secret={secret}&subject=9".encode())[0] == 404


@pytest.mark.parametrize("path", ["/secret.txt", "/files.json", "/../none.toml", "/%2e%2e/none.toml", "/episodes/",
                                  "/episodes/../secret.txt", "//etc/passwd", "/assets", "/data/../index.html"])
def test_nothing_but_the_files_of_the_site_is_answered(port: int, path: str) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sender:
        sender.sendall(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert sender.recv(4096).split()[1] == b"404"


@pytest.mark.parametrize(("waiting", "words"), [("<b>", "&lt;b&gt;"), (None, "the site is being written")])
def test_before_the_first_site_it_says_what_is_waited_for(tmp_path: Path, waiting: str | None, words: str) -> None:
    found = page(tmp_path / "none", "index.html", {"trouble": [], "waiting": waiting})
    assert found is not None and words in found and "No report yet" in found
    assert page(tmp_path / "none", "forecast.html", {"trouble": [], "waiting": waiting}) is None


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
