"""``terracast serve``: forecasts over HTTP for other programs."""

from __future__ import annotations

from typing import Annotated

import typer

from terracast.flows.cli.options import CONFIG, Config


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(serve)


def serve(config: Config = CONFIG,
          host: Annotated[str, typer.Option(help="Address to listen at; beyond loopback a token is needed.")
                          ] = "127.0.0.1",
          port: Annotated[int, typer.Option(help="Port to listen at.", min=1, max=65535)] = 8479,
          token_env: Annotated[str, typer.Option(
              "--token-env", help="The environment variable with the bearer token.")] = "TERRACAST_TOKEN",
          rate: Annotated[float, typer.Option(
              help="Requests a second that one address may make for long.")] = 200.0) -> None:
    """Forecasts, episodes, history, status and metrics over HTTP for other programs, until interrupted."""
    from terracast.flows.serve import serve as act

    act(config.resolve(), host, port, token_env, rate)
