"""HTTP push: ``POST /v1/{domain}`` of JSON or CSV into a durable inbox; 202 means it is on disk.

Whoever repeats a request (no answer came) sends the same content, which is known by its digest and counted once. To
say the same again on purpose, send another ``Idempotency-Key``. Who guesses tokens, or asks too often, has to wait.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from terracast.streams.errors import ReadError
from terracast.streams.sources.contract import SourceError
from terracast.streams.sources.inbox import Inbox, InboxFullError
from terracast.streams.sources.pushed import CSV, JSON, reports_of
from terracast.streams.sources.rate_limit import RateLimit, counted_as
from terracast.streams.sources.rows import Terms

TOKEN_FROM = "TERRACAST_PUSH_TOKEN"
SHORTEST_TOKEN = 16
WINDOW = 60  # seconds in which requests are counted, and that one waits who had too many


class _RefusedError(Exception):
    """An answer other than 202."""

    def __init__(self, status: int, words: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(words)
        self.status, self.words, self.headers = status, words, dict(headers or {})


def push_app(folder: Path, terms: Mapping[str, Terms], clock: Callable[[], np.datetime64], *,
             token_from: str = TOKEN_FROM, most_body: int = 8 * 2**20, most_items: int = 1000,
             most_bytes: int = 256 * 2**20, retry_after: int = 30, most_wrong_tokens: int = 10,
             most_requests: int = 6000) -> FastAPI:
    """The application: an inbox per domain in ``folder/<domain>``, drained by ``InboxSource``.

    ``token_from``: the environment variable with the bearer token. ``most_body``: bytes of one request (413).
    ``most_items``, ``most_bytes``: what an inbox holds before 503 with Retry-After. ``clock``: the time of arrival.
    ``most_wrong_tokens``, ``most_requests``: of one address in a minute; then it gets 429 for a minute, whatever it
    sends. Answers: 202 ``{"id", "rows", "known"}`` (known: it lay there already), 401, 404, 413, 415, 422 (one line in
    words), 429, 503. Raises ``SourceError`` where no token is set. Runs under any ASGI server.
    """
    token = bearer_token(token_from)
    inboxes = {domain: Inbox(inbox_folder(folder, domain), most_items=most_items, most_bytes=most_bytes)
               for domain in terms}
    wrong, asked = RateLimit(most_wrong_tokens, WINDOW), RateLimit(most_requests, WINDOW)

    def seconds() -> float:
        return float(clock().astype("datetime64[us]").astype(np.int64)) / 1e6

    async def in_bounds(request: Request) -> None:
        address, now = _address(request), seconds()
        wait, why = max((wrong.wait(address, now), "wrong tokens"), (asked.wait(address, now), "requests"))
        if wait:
            raise _RefusedError(429, f"too many {why} from this address: wait {wait} s", {"Retry-After": str(wait)})
        asked.count(address, now)

    app = FastAPI(title="terracast push", docs_url=None, redoc_url=None, openapi_url=None,
                  dependencies=[Depends(in_bounds)])

    @app.exception_handler(_RefusedError)
    async def refused(_request: Request, why: _RefusedError) -> JSONResponse:
        return JSONResponse({"error": why.words}, why.status, why.headers)

    @app.post("/v1/{domain}")
    async def push(domain: str, request: Request) -> JSONResponse:
        if not bears(request.headers.get("authorization", ""), token):
            wrong.count(_address(request), seconds())
            raise _RefusedError(401, "no valid bearer token", {"WWW-Authenticate": "Bearer"})
        if domain not in inboxes:
            raise _RefusedError(404, f"no domain {domain!r}: expected one of {', '.join(inboxes)}")
        content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if content_type not in (JSON, CSV):
            raise _RefusedError(415, f"content type is {content_type!r}: expected {JSON} or {CSV}")
        body = await _body(request, most_body)
        key = request.headers.get("idempotency-key", "")
        answer = await run_in_threadpool(_take, inboxes[domain], body, content_type, key, terms[domain], clock(),
                                         retry_after)
        return JSONResponse(answer, 202)

    @app.get("/health")
    def health() -> dict[str, Any]:
        return {"ready": True}

    return app


def inbox_folder(folder: Path, domain: str) -> Path:
    """Where the inbox of a domain lies; the name is made safe.

    >>> inbox_folder(Path("inbox"), "air/no2").as_posix()
    'inbox/air%2Fno2'
    """
    from urllib.parse import quote

    return Path(folder) / quote(domain, safe="").replace(".", "%2E")


def _address(request: Request) -> str:
    return counted_as("" if request.client is None else request.client.host)


def bearer_token(token_from: str) -> str:
    """The token in the environment variable ``token_from``; ``SourceError`` where there is none, or a short one."""
    token = os.environ.get(token_from, "")
    if len(token) < SHORTEST_TOKEN:
        raise SourceError("no bearer token" if not token else "the bearer token is short", where=token_from,
                          expected=f"at least {SHORTEST_TOKEN} characters in the environment",
                          remedy=f"set {token_from}, e.g. to the output of `openssl rand -hex 32`")
    return token


def bears(authorization: str, token: str) -> bool:
    """Whether the header ``Authorization`` bears the token; compared in constant time.

    >>> bears("Bearer abc", "abc"), bears("Basic abc", "abc"), bears("", "abc")
    (True, False, False)
    """
    scheme, _, given = authorization.partition(" ")
    same = hmac.compare_digest(given.strip().encode(), token.encode())
    return same and scheme.lower() == "bearer"


async def _body(request: Request, most: int) -> bytes:
    """The body, read no further than the limit."""
    told = request.headers.get("content-length", "")
    size, pieces = int(told) if told.isdigit() else 0, []
    if size <= most:
        size = 0
        async for piece in request.stream():
            size += len(piece)
            if size > most:
                break
            pieces.append(piece)
    if size > most:
        raise _RefusedError(413, f"the body exceeds {most} bytes: send it in parts", {"Connection": "close"})
    return b"".join(pieces)


def _take(inbox: Inbox, body: bytes, content_type: str, key: str, terms: Terms, received: np.datetime64,
          retry_after: int) -> dict[str, object]:
    try:
        rows = len(reports_of(body, content_type, terms, received))
    except ReadError as error:
        raise _RefusedError(422, str(error)) from None
    parts = (part.encode() for part in (terms.domain, content_type, key))
    digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts) + body).hexdigest()[:32]
    header = {"received": int(received.astype("datetime64[ns]").astype(np.int64)), "content_type": content_type}
    try:
        fresh = inbox.keep(digest, header, body)
    except InboxFullError as error:
        raise _RefusedError(503, str(error), {"Retry-After": str(retry_after)}) from None
    except OSError as failed:  # no room on the disk, no right to write
        raise _RefusedError(503, f"the inbox cannot be written ({failed.strerror}): send it again later",
                       {"Retry-After": str(retry_after)}) from None
    return {"id": digest, "rows": rows, "known": not fresh}
