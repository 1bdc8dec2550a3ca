"""The page of ``terracast up``: the site, with what a person must know and what only a served page can do; never a
folder's listing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote

from terracast.flows.running.forms import ACTS, LARGEST, Forms, host_of
from terracast.flows.running.place import UpError

HOST = "127.0.0.1"
PATIENCE = 60.0  # seconds that a client may be silent within a request
# Each page's own policy, in its head, is narrower: the report names its scripts by their hashes. Where both stand, both
# hold. Vega makes functions of its expressions ('unsafe-eval').
POLICY = ("default-src 'none'; script-src {scripts} 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
          "img-src data: 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
           "Cross-Origin-Resource-Policy": "same-origin"}
FRESH = "no-store"
FOR_EVER = "private, max-age=31536000, immutable"  # a name in assets and data follows from its content
FILE = re.compile(r"(?:(?:assets|data|episodes)/)?[A-Za-z0-9_][A-Za-z0-9._-]*\.(html|css|js)")
KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
REPORT = "report.html"
WRITING = "The first step has run, and the site is being written."
WAITING = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="10">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>Terracast</title></head><body style="font: 16px/1.5 sans-serif; max-width: 40em; margin: 4em auto">
<h1>No report yet</h1><p>{words}</p></body></html>"""
BANNER = ('<div role="status" style="background:#fff3cd;color:#664d03;border-bottom:1px solid #d9c27c;'
          'padding:.8em 1.2em;font:16px/1.4 sans-serif">{words}</div>')

Told = Callable[[], dict[str, Any]]
Scrape = Callable[[str, bool], tuple[str, bytes]]


@dataclass(frozen=True)
class ServedSite:
    """What a page is made of: see ``served``."""

    site: Path
    told: Told
    scrape: Scrape | None
    forms: Forms | None

    def knows(self, host: str) -> bool:
        """Whether a request may be addressed so."""
        return (self.forms or Forms(self.site, list)).knows(host)


class PageHandler(BaseHTTPRequestHandler):
    """Answers one request to the page."""

    server_version, sys_version, timeout = "terracast", "", PATIENCE
    scripts, keep = "'self'", FRESH

    def __init__(self, served: ServedSite, *connection: Any) -> None:
        self.served = served
        super().__init__(*connection)  # which answers the request

    def end_headers(self) -> None:
        for name, value in {"Content-Security-Policy": POLICY.format(scripts=self.scripts), **HEADERS,
                            "Cache-Control": self.keep}.items():  # of answers and errors alike
            self.send_header(name, value)
        super().end_headers()

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_POST(self) -> None:
        told = self.headers.get("Content-Length") or "0"
        length = int(told) if told.isascii() and told.isdigit() else 0
        if self.path not in ACTS or self.served.forms is None or not 0 < length <= LARGEST:
            self.send_error(404 if length <= LARGEST else 413, f"there are only the forms {', '.join(ACTS)}")
            return
        code, words = self.served.forms.take(self.path, self.rfile.read(length), dict(self.headers.items()))
        if code != 303:
            self.send_error(code, words)
            return
        self.send_response(code)
        self.send_header("Location", f"/{words}" if FILE.fullmatch(words) else "/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer(self, *, with_body: bool) -> None:
        path, _, query = self.path.partition("?")
        host = self.headers.get("Host")
        if host is not None and not self.served.knows(host):
            self.send_error(403, f"this page answers to 127.0.0.1 and localhost, not to {host_of(host)[:80]!r}")
            return
        if path == "/status.json":
            kind, body = "application/json; charset=utf-8", json.dumps(self.served.told()).encode()
        elif path == "/metrics" and self.served.scrape is not None:
            kind, body = self.served.scrape(self.headers.get("Accept", ""), parse_qs(query).get("nodes") == ["1"])
        elif (found := self._file(unquote(path)[1:] or "index.html")) is not None:
            kind, body = found
        else:
            self.send_error(404, "there is only the site, at /, with /status.json and /metrics")
            return
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def _file(self, name: str) -> tuple[str, bytes] | None:
        """A file of the site as it is served; None where there is no such."""
        found = FILE.fullmatch(name)
        if found is None:
            return None
        kind = f"{KINDS[found[1]]}; charset=utf-8"
        if found[1] == "html":
            text = page(self.served.site, name, self.served.told(), self.served.forms)
            self.scripts = "'unsafe-inline'" if name == REPORT else "'self'"
            return None if text is None else (kind, text.encode())
        try:
            body = (self.served.site / name).read_bytes()
        except OSError:
            return None
        self.keep = FOR_EVER
        return kind, body

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a person's terminal is not an access log."""


@contextmanager
def served(site: Path, told: Told, port: int, scrape: Scrape | None = None, forms: Forms | None = None
           ) -> Iterator[None]:
    """Serve the folder of the site in a thread of its own.

    ``told`` gives ``trouble`` (a list of sentences), ``waiting`` and what runs; ``scrape`` what ``/metrics`` answers:
    the content type and the text, by the header ``Accept`` and whether nodes are asked for (``?nodes=1``). A request
    that is addressed to another name than this machine's, or than ``forms`` knows, is refused: a name that is made to
    point here must not read the page.
    """
    held = ServedSite(site, told, scrape, forms)
    try:
        server = ThreadingHTTPServer((HOST, port), partial(PageHandler, held))
    except OSError as error:
        raise UpError(f"the report's page: {error.strerror}", where=f"{HOST}:{port}", expected="a free port",
                      remedy="choose another with --page-port") from None
    with server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


def page(site: Path, name: str, told: dict[str, Any], forms: Forms | None = None) -> str | None:
    """A page of the site with what is wrong, what is open and the forms, or what is waited for; None: no such page."""
    try:
        text = (site / name).read_text(encoding="utf-8")
    except OSError:
        if name != "index.html":
            return None
        text = WAITING.format(words=escape(told["waiting"] or WRITING))
        return _above(text, told, forms)
    if name == REPORT:
        return _above(text, told, forms)
    held = "" if forms is None else {"index.html": forms.episodes()}.get(name, forms.episodes(name))
    parts = {"notices": _notices(told), "runs": _runs(told), "episodes": held, "episode": held,
             "approvals": "" if forms is None else forms.waiting(name),
             "rollback": "" if forms is None else forms.rollback(name)}
    if forms is not None:  # as a file a page sends nothing; here its forms may be sent
        text = text.replace("form-action 'none'", "form-action 'self'", 1)
    return re.sub(r"<!-- served: (\w+) -->", lambda found: parts.get(found[1], ""), text)


def _notices(told: dict[str, Any]) -> str:
    return "".join(f'<div class="notice" role="status">{escape(one)}</div>' for one in told["trouble"])


def _runs(told: dict[str, Any]) -> str:
    """What runs now and what comes next, as the runner has it."""
    running, coming = told.get("running"), told.get("next_run")
    lines = [f"<code>{escape(running['verb'])}</code> has run since {escape(running['since'])}."] if running else []
    lines += [f"The schedule has the next step at {escape(coming)}."] if coming else []
    return f"<p>{' '.join(lines)}</p>" if lines else ""


def _above(text: str, told: dict[str, Any], forms: Forms | None) -> str:
    """A page that has no places for it, with what is wrong and what is open above it."""
    trouble = "<br>".join(escape(one) for one in told["trouble"])
    banner = (BANNER.format(words=trouble) if trouble else "") + ("" if forms is None else forms.block())
    before, tag, after = text.partition("<body")
    if forms is not None:
        before = before.replace("form-action 'none'", "form-action 'self'", 1)
    attributes, end, rest = after.partition(">")
    return f"{before}{tag}{attributes}{end}{banner}{rest}"
