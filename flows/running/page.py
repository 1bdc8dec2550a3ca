"""The page of ``terracast up``: the report, above it what a person must know; never a folder's listing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

from terracast.flows.running.acknowledging import LARGEST, Acknowledging
from terracast.flows.running.place import UpError

HOST = "127.0.0.1"
PATIENCE = 60.0  # seconds that a client may be silent within a request
# The report's own policy, in its head, is narrower: it names its scripts by their hashes. Where both stand, both hold.
# Vega makes functions of its expressions ('unsafe-eval').
POLICY = ("default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
          "img-src data: 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
           "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store"}
WAITING = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="10">
<title>Terracast</title></head><body style="font: 16px/1.5 sans-serif; max-width: 40em; margin: 4em auto">
<h1>No report yet</h1><p>{words}</p></body></html>"""
BANNER = ('<div role="status" style="background:#fff3cd;color:#664d03;border-bottom:1px solid #d9c27c;'
          'padding:.8em 1.2em;font:16px/1.4 sans-serif">{words}</div>')

Told = Callable[[], dict[str, Any]]
Scrape = Callable[[str, bool], tuple[str, bytes]]


@contextmanager
def served(report: Path, told: Told, port: int, scrape: Scrape | None = None,
           episodes: Acknowledging | None = None) -> Iterator[None]:
    """Serve the page in a thread of its own; ``told`` gives ``trouble`` (a list of sentences) and ``waiting``,
    ``scrape`` what ``/metrics`` answers: the content type and the text, by the header ``Accept`` and whether nodes are
    asked for (``?nodes=1``); ``episodes``: those that are open, and the form by which somebody looks after one."""
    class Page(BaseHTTPRequestHandler):
        server_version, sys_version, timeout = "terracast", "", PATIENCE

        def end_headers(self) -> None:
            for name, value in HEADERS.items():  # of answers and errors alike
                self.send_header(name, value)
            super().end_headers()

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_POST(self) -> None:
            told = self.headers.get("Content-Length") or "0"
            length = int(told) if told.isascii() and told.isdigit() else 0
            if self.path != "/ack" or episodes is None or not 0 < length <= LARGEST:
                self.send_error(404 if length <= LARGEST else 413, "there is only the form of an open episode, at /ack")
                return
            code, words = episodes.take(self.rfile.read(length), dict(self.headers.items()))
            if code != 303:
                self.send_error(code, words)
                return
            self.send_response(code)
            self.send_header("Location", "/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _answer(self, *, with_body: bool) -> None:
            path, _, query = self.path.partition("?")
            if path == "/status.json":
                kind, body = "application/json; charset=utf-8", json.dumps(told()).encode()
            elif path == "/metrics" and scrape is not None:
                kind, body = scrape(self.headers.get("Accept", ""), parse_qs(query).get("nodes") == ["1"])
            elif path in ("/", "/index.html"):
                kind, body = "text/html; charset=utf-8", page(report, told(), episodes).encode()
            else:
                self.send_error(404, "there is only the report, at /, with /status.json and /metrics")
                return
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: a person's terminal is not an access log."""

    try:
        server = ThreadingHTTPServer((HOST, port), Page)
    except OSError as error:
        raise UpError(f"the report's page: {error.strerror}", where=f"{HOST}:{port}", expected="a free port",
                      remedy="choose another with --page-port") from None
    with server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


def page(report: Path, told: dict[str, Any], episodes: Acknowledging | None = None) -> str:
    """The report with what is wrong and what is open above it, or what is waited for."""
    trouble = "<br>".join(escape(one) for one in told["trouble"])
    banner = (BANNER.format(words=trouble) if trouble else "") + ("" if episodes is None else episodes.block())
    try:
        text = report.read_text(encoding="utf-8")
    except OSError:
        text = WAITING.format(words=escape(told["waiting"]))
    before, tag, after = text.partition("<body")
    if not tag:
        return banner + text
    if episodes is not None:  # as a file the report sends nothing; here the forms above it may be sent
        before = before.replace("form-action 'none'", "form-action 'self'", 1)
    attributes, end, rest = after.partition(">")
    return f"{before}{tag}{attributes}{end}{banner}{rest}"
