"""Serve: the champion's forecasts, and how the stream stands, over HTTP for other programs; reads the store only."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from terracast.flows.serving.loopback import is_loopback
from terracast.flows.settings import SettingsError, read_settings
from terracast.flows.settings.clock import as_of
from terracast.flows.terminal.output import say

TOKEN = "TERRACAST_TOKEN"
PORT = 8479
RATE = 200.0  # requests a second from one address
CONNECTIONS = 400  # at once: below the usual limit of open files
ENDING = 5  # seconds that answers under way have when it is told to end
HEAD_BYTES = 32 * 1024  # of the head of a request


def serve(config: Path, host: str = "127.0.0.1", port: int = PORT, token_env: str = TOKEN, rate: float = RATE,
          clock: Callable[[], np.datetime64] = lambda: as_of(None)) -> None:
    """Answer until interrupted (or SIGTERM).

    Parameters
    ----------
    config : Path
        The settings file of the stream.
    host, port : str, int
        Where to listen. On an address other than loopback a token is needed.
    token_env : str
        The environment variable that holds the bearer token; where it is set, every request must bear it.
    rate : float
        Requests a second that one address may make for long; ten seconds' worth may come at once.
    clock : callable
        The instant of a request, UTC.

    Raises
    ------
    SettingsError, SourceError
        Where the settings are mistaken, the token is missing or short, or the port is taken.
    """
    settings = read_settings(config)  # a mistake is told before two seconds of imports
    token = _token(host, token_env)
    if not rate > 0:
        raise SettingsError(f"{rate:g} requests a second", where="--rate", expected="more than 0",
                            remedy="give such as --rate 50")
    with _listening(host, port) as taken:
        import uvicorn

        from terracast.flows.serving.protection import Protection
        from terracast.flows.serving.routes import serving_app
        from terracast.flows.serving.snapshot_reader import SnapshotReader

        app = Protection(serving_app(SnapshotReader(config), clock, token=token is not None), token, rate)
        server = uvicorn.Server(uvicorn.Config(
            app, http="h11", ws="none", lifespan="off", log_level="critical", access_log=False, server_header=False,
            proxy_headers=False, limit_concurrency=CONNECTIONS, timeout_graceful_shutdown=ENDING,
            h11_max_incomplete_event_size=HEAD_BYTES))
        for told in (signal.SIGTERM, signal.SIGINT):  # what a shell starts in its background is deaf to the second
            signal.signal(told, signal.default_int_handler)
        say(f"{settings.stream.name}: http://{f'[{host}]' if ':' in host else host}:{port} answers; "
            "interrupt to stop")
        with suppress(KeyboardInterrupt):
            server.run(sockets=[taken])
    say("ended")


def _token(host: str, token_env: str) -> str | None:
    """The token; None on loopback where none is set."""
    if is_loopback(host) and not os.environ.get(token_env):
        return None
    from terracast.streams.sources.http import bearer_token

    return bearer_token(token_env)


def _listening(host: str, port: int) -> socket.socket:
    """The socket, taken before anything else, so that a taken port is one line."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        taken = socket.create_server((host, port), family=family, backlog=CONNECTIONS)
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a body waits 40 ms for its head to arrive
        return taken
    except (OSError, OverflowError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise SettingsError(f"no listening there ({why})", where=f"{host}:{port}",
                            expected="an address of this machine and a free port",
                            remedy="choose others with --host and --port") from None
