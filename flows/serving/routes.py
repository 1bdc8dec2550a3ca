"""The addresses of ``terracast serve``: each answers what the verb of its name prints with ``--json``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer
from pydantic import StringConstraints
from starlette.exceptions import HTTPException

from terracast.flows.forecast import as_json as forecast_json
from terracast.flows.forecast import chosen, none_issued
from terracast.flows.metrics import gathered, numbers_now
from terracast.flows.running.exposition import exposition
from terracast.flows.running.place import RunningPlace
from terracast.flows.serving.snapshot_reader import SnapshotReader, SnapshotReading
from terracast.flows.settings import SettingsError, nanoseconds
from terracast.flows.settings.clock import duration_of
from terracast.flows.status import status_now
from terracast.flows.terminal.output import json_text
from terracast.streams.errors import TerracastError
from terracast.streams.wording import age

OLDEST = 2  # cadences that the newest step may be old
MOST_NODES, LONGEST_NODE = 200, 200  # names or patterns in one request; signs of one of them
SAID = "newest_value_age_seconds"  # what alone differs between two answers of one snapshot

Clock = Callable[[], np.datetime64]
Node = Annotated[list[Annotated[str, StringConstraints(max_length=LONGEST_NODE)]],
                 Query(description="Only this node, or a pattern such as north-*; may be repeated.",
                       max_length=MOST_NODES)]
Lead = Annotated[str | None, Query(description="Only so far ahead, such as 6h.", max_length=40)]
Open = Annotated[Literal["true", "false"] | None, Query(
    description="true: only open episodes; false: only closed ones; default: all.")]
Nodes = Annotated[Literal["0", "1"], Query(description="1: also error and coverage of each node.")]


class _NotFoundError(Exception):
    """What was named is not there."""


def serving_app(reader: SnapshotReader, clock: Clock, *, token: bool) -> FastAPI:
    """The application; ``clock`` gives the instant of a request, ``token``: whether the description of the addresses
    says that one is needed. It reads and never writes. Runs under any ASGI server."""
    bearer = [Depends(HTTPBearer(auto_error=False, description="The token that `terracast serve` was started with."))]
    app = FastAPI(title="terracast serve", version="1", docs_url=None, redoc_url=None, openapi_url="/openapi.json",
                  description="What a watched stream forecasts, and how it stands. Times are UTC.",
                  dependencies=bearer if token else None)
    _in_one_line(app)

    @app.get("/forecast", response_class=JSONResponse)
    def forecast(request: Request, node: Node = [], lead: Lead = None) -> Response:  # noqa: B006
        """The newest forecast: each node and lead, median and 80 % interval; as `terracast forecast --json`."""
        _only(request, "node", "lead", repeated=("node",))
        at = clock()
        return reader.ask(at, lambda held: _forecast(held, at, tuple(node), lead))

    @app.get("/episodes", response_class=JSONResponse)
    def episodes(request: Request, open: Open = None) -> Response:
        """Changes of the world, each as `episodes` of `terracast status --json`."""
        _only(request, "open")
        states = {"true": ("open",), "false": ("closed",), None: ("open", "closed")}[open]
        return reader.ask(clock(), lambda held: _kept(held, ("episodes", open), lambda: {
            "episodes": [one for state in states for one in held.part("episodes")[state]]}))

    @app.get("/history", response_class=JSONResponse)
    def history(request: Request) -> Response:
        """What served when and why; as `terracast history --json`."""
        _only(request)
        return reader.ask(clock(), lambda held: _kept(held, ("history",), lambda: {"history": held.part("history")}))

    @app.get("/status", response_class=JSONResponse)
    def status(request: Request) -> Response:
        """How the stream stands; as `terracast status --json`."""
        _only(request)
        at, champion = clock(), reader.champion()["champion"]
        number, size = None if champion is None else str(champion["version"]), reader.size()
        return reader.ask(at, lambda held: _json(held, json_text({"streams": [
            status_now(held.workspace, held.part("status"), at, number, size).to_json()]}).encode()))

    @app.get("/health", response_class=JSONResponse)
    def health(request: Request) -> Response:
        """200 where the store can be read and the newest step is at most two cadences old; else 503, and why."""
        _only(request)
        at = clock()
        return reader.ask(at, lambda held: _health(held, at))

    @app.get("/metrics", response_class=Response)
    def metrics(request: Request, nodes: Nodes = "0") -> Response:
        """The numbers of the stream for Prometheus; as `terracast metrics`."""
        _only(request, "nodes")
        return _metrics(reader, clock(), request.headers.get("accept", ""), nodes == "1")

    return app


def _forecast(held: SnapshotReading, at: np.datetime64, nodes: tuple[str, ...], lead: str | None) -> Response:
    issued = held.part("forecast")
    if issued is None:
        raise _NotFoundError(str(none_issued(held.workspace, held.workspace.settings.stream.name, at)))
    span = None if lead is None else duration_of(lead, "lead")

    def make() -> bytes:
        try:
            told = forecast_json(replace(chosen(issued, nodes, span, mark=""), now=at))
        except SettingsError as error:
            raise _NotFoundError(str(error)) from None
        del told[SAID]
        return json_text(told).encode()

    newest = issued.newest
    old = None if newest is None else float((at - newest) / np.timedelta64(1, "s"))
    text = held.text(("forecast", nodes, lead), make)
    return _json(held, text[:-1] + f', "{SAID}": {json.dumps(old)}}}'.encode())


def _health(held: SnapshotReading, at: np.datetime64) -> Response:
    clock, last = held.part("last")
    cadence = nanoseconds(held.workspace.settings.stream.cadence)
    if last is None:
        return _unready("No step has been taken yet; run `terracast watch --once`, or `terracast up`.")
    shown = f"{np.datetime_as_string(clock.shown(last), 's')}Z"
    if clock.even(at) - last > OLDEST * cadence:
        return _unready(f"The newest step stands at {shown}, {age(at - clock.shown(last))} ago; more than {OLDEST} "
                        "cadences is too old.")
    return _json(held, json_text({"ready": True, "last_step": shown}).encode())


def _metrics(reader: SnapshotReader, at: np.datetime64, accept: str, by_node: bool) -> Response:
    """Also where the store cannot be read: a number says so."""
    settings, size = reader.settings, reader.size
    read_at: list[np.datetime64] = []

    def stored() -> dict[str, Any]:
        def numbers(held: SnapshotReading) -> dict[str, Any]:
            read_at[:] = [held.at]
            return dict(held.part("numbers"))
        return reader.ask(at, numbers)

    held = gathered(settings, at, (stored, reader.champion, lambda: (
        {} if "://" in settings.store.location else {"store_bytes": size()})))
    if read_at:
        held["read_at"] = f"{np.datetime_as_string(read_at[0], 'ms')}Z"
    kind, text = exposition(numbers_now(RunningPlace.of(reader.config), held, at), accept, by_node)
    return Response(text, media_type=kind)


def _kept(held: SnapshotReading, key: tuple[object, ...], answer: Callable[[], dict[str, Any]]) -> Response:
    """An answer that only the snapshot decides, as text made once."""
    return _json(held, held.text(key, lambda: json_text(answer()).encode()))


def _json(held: SnapshotReading, text: bytes) -> Response:
    """JSON, and of which snapshot it is and when that was read."""
    return Response(text, media_type="application/json", headers={
        "Terracast-Snapshot": held.snapshot, "Terracast-Read-At": f"{np.datetime_as_string(held.at, 'ms')}Z"})


def _unready(words: str) -> Response:
    return JSONResponse({"error": words}, 503)


def _only(request: Request, *known: str, repeated: tuple[str, ...] = ()) -> None:
    """Refuse a parameter that would be passed over in silence."""
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            expected = f"one of {', '.join(known)}" if known else "no parameter"
            raise HTTPException(400, f"no parameter {name[:80]!r}: expected {expected}")
        if given.count(name) > 1 and name not in repeated:
            raise HTTPException(400, f"the parameter {name!r} is given twice: expected it once")


def _in_one_line(app: FastAPI) -> None:
    """Every error is ``{"error": "…"}``, one line."""
    @app.exception_handler(HTTPException)
    def of_http(request: Request, why: HTTPException) -> JSONResponse:
        there = sorted({str(getattr(one, "path", "")) for one in app.routes})
        words = {404: f"nothing is at {request.url.path[:80]!r}: expected one of {', '.join(there)}",
                 405: "only GET and HEAD are taken"}.get(why.status_code, str(why.detail))
        return JSONResponse({"error": words}, why.status_code, why.headers)

    @app.exception_handler(RequestValidationError)
    def of_values(_request: Request, why: RequestValidationError) -> JSONResponse:
        first = why.errors()[0]
        return JSONResponse({"error": f"{'.'.join(str(one) for one in first['loc'][1:])}: {first['msg']}"}, 400)

    @app.exception_handler(_NotFoundError)
    def of_nothing(_request: Request, why: _NotFoundError) -> JSONResponse:
        return JSONResponse({"error": str(why)}, 404)

    @app.exception_handler(TerracastError)
    def of_ours(_request: Request, why: TerracastError) -> JSONResponse:
        mistaken = isinstance(why, SettingsError) and why.where == "lead"
        return JSONResponse({"error": str(why)}, 400 if mistaken else 503)
