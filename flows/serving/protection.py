"""What stands before the addresses of ``terracast serve``: limits, the token, headers, and errors in one line.

Refused is before anything is read: a request that is too large, one for another host (a page in a browser that was led
here by its own name), one too many, and one without the token.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from terracast.flows.serving.loopback import is_loopback
from terracast.flows.terminal.one_line import in_one_line
from terracast.flows.terminal.output import note
from terracast.streams.sources.http import bears
from terracast.streams.sources.rate_limit import RateLimit, counted_as

WRONG = 10  # wrong tokens of one address in a minute, after which it is shut out for one
BURST = 10.0  # seconds of the rate that may come at once
LONGEST_ADDRESS = 8192  # bytes of path and query
ALWAYS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
          "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}


@dataclass(frozen=True)
class Refusal:
    """An answer instead of what was asked for: the status of HTTP, one line, headers."""

    status: int
    words: str
    headers: Mapping[str, str]


class Protection:
    """An ASGI application before another one.

    Parameters
    ----------
    app : ASGIApp
        What answers where nothing is refused.
    token : str or None
        Without one, only requests that name this machine itself as the host are taken.
    rate : float
        Requests a second that an address may make for long; ten seconds' worth may come at once.
    clock : callable
        Seconds, never falling.
    """

    def __init__(self, app: ASGIApp, token: str | None, rate: float,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self.app, self.token, self.clock = app, token, clock
        self.rate = RateLimit(rate * BURST, BURST if rate * BURST >= 1 else 1 / rate, refills=True)
        self.wrong = RateLimit(WRONG)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every answer has the headers of ``ALWAYS``."""
        if scope["type"] != "http":
            return
        begun = False

        async def with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                MutableHeaders(scope=message).update(ALWAYS)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await _answer(refusal, with_headers)
            return
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope  # the server leaves the body out
        try:
            await self.app(asked, receive, with_headers)
        except Exception as error:
            words = in_one_line(error, "serve")
            note(f"error: {words}")
            if not begun:
                await _answer(Refusal(500, words, {}), with_headers)

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers, now = Headers(scope=scope), self.clock()
        who = counted_as(str((scope.get("client") or ("unknown",))[0]))
        shut_out = self.wrong.wait(who, now)
        if shut_out:
            return _later(shut_out, "too many wrong tokens from this address")
        wait = self.rate.wait(who, now)
        if wait:
            return _later(wait, "too many requests from this address")
        self.rate.count(who, now)
        if len(scope.get("raw_path") or b"") + len(scope.get("query_string", b"")) > LONGEST_ADDRESS:
            return Refusal(414, f"the address exceeds {LONGEST_ADDRESS} bytes: ask for fewer nodes, or a pattern", {})
        if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
            return Refusal(413, "a request here has no body: ask with GET and a query", {"Connection": "close"})
        if self.token is None:
            return None if is_loopback(_host_of(headers.get("host", ""))) else Refusal(
                400, "another host was asked for: expected localhost, or a server with a token", {})
        given = headers.get("authorization", "")
        if bears(given, self.token):
            return None
        if given:  # who sends none guesses none
            self.wrong.count(who, now)
        return Refusal(401, "no valid bearer token", {"WWW-Authenticate": "Bearer"})


def _host_of(header: str) -> str:
    """The name in a header ``Host``, without the port.

    >>> _host_of("LOCALHOST:8479"), _host_of("[::1]:8479"), _host_of("evil.example")
    ('localhost', '::1', 'evil.example')
    """
    name = header.strip().lower()
    return name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]


def _later(seconds: int, words: str) -> Refusal:
    wait = max(1, seconds)
    return Refusal(429, f"{words}: ask again in {wait} s", {"Retry-After": str(wait)})


async def _answer(refusal: Refusal, send: Callable[[Message], Any]) -> None:
    body = json.dumps({"error": refusal.words}).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **refusal.headers}
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
