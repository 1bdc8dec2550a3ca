"""Verbs about what comes in: ``ingest``, ``listen``, ``quality``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from terracast.flows.cli.options import CONFIG, Config, Json, Now
from terracast.flows.running.recorded import recorded
from terracast.flows.terminal.output import ERROR, note, print_json, say


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (ingest, listen, quality):
        app.command()(verb)


def ingest(config: Config = CONFIG, json: Json = False) -> None:
    """New files of the sources into the store: rows new, late, duplicate, revised, rejected."""
    from terracast.flows.ingest import ingest as act

    answer = recorded("ingest", lambda: act(str(config.resolve())))
    if json:
        print_json(answer)
    else:
        say_files(answer["files"])
        say(f"snapshot {answer['snapshot']}")
    refuse(answer["refused"])


def listen(config: Config = CONFIG, host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
           port: Annotated[int, typer.Option(help="Port to listen at.")] = 8477,
           proxy: Annotated[str | None, typer.Option(
               help="Address of the proxy before it, whose X-Forwarded-For is believed; default: none.")] = None
           ) -> None:
    """Take pushes (POST /v1/DOMAIN, JSON or CSV, bearer token from TERRACAST_PUSH_TOKEN) until interrupted."""
    from terracast.flows.ingest import listen as serve

    serve(config, host, port, proxy)


def quality(config: Config = CONFIG, now: Now = None, json: Json = False,
            most: Annotated[int, typer.Option(help="Tickets to print.")] = 20) -> None:
    """Outage is not drift: flag what is stuck, spiking, out of range, shifted, copied …; tell the events."""
    from terracast.flows.quality import quality as act

    answer = recorded("quality", lambda: act(str(config.resolve()), now))
    if json:
        print_json(answer)
        return
    for ticket in answer["tickets"][:most]:
        say(f"{ticket['domain']}: {ticket['words']}")
    for share in answer["shares"]:
        say(f"{share['domain']}: {share['words']}")
    say(f"{len(answer['tickets'])} tickets; entries recorded: {answer['recorded']}")


def say_files(files: Sequence[dict[str, Any]]) -> None:
    """A line for each piece of a source: rows by fate, or why it was refused."""
    for file in files:
        if file["refused"]:
            say(f"refused: {file['refused']}")
        else:
            counts = ", ".join(f"{file[name]} {name}" for name in ("new", "late", "duplicate", "revised"))
            rejected = "".join(f", {count} rejected ({reason})" for reason, count in file["rejected"].items())
            notes = "".join(f"; {text}" for text in file["notes"])
            say(f"{file['item']}: {counts}{rejected}{notes}")


def refuse(why: str | None) -> None:
    """End with exit code 1 and one line, where part of the data was not taken."""
    if why:
        note(f"error: {why}")
        raise typer.Exit(ERROR)
