"""``terracast forecast``: the newest forecast as a table, a file, or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terracast.flows.cli.options import CONFIG, Config, Json, Now
from terracast.flows.terminal.output import note, print_json, say


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(forecast)


def forecast(config: Config = CONFIG,
             node: Annotated[list[str] | None, typer.Option(
                 help="Only this node, lead by lead; a pattern such as 'north-*'; may be repeated.")] = None,
             lead: Annotated[str | None, typer.Option(help="Only so far ahead, such as 6h.")] = None,
             issue_time: Annotated[str | None, typer.Option(
                 help="The forecast issued then, UTC; default: the newest.")] = None,
             now: Now = None,
             out: Annotated[Path | None, typer.Option(help="Write it to FILE: .csv, .parquet or .nc.")] = None,
             json: Json = False) -> None:
    """The newest forecast: each node and lead, median and 80 % interval, and how old the newest value is."""
    from terracast.flows.forecast import as_json
    from terracast.flows.forecast import forecast as newest
    from terracast.flows.reporting.forecast_words import all_lines, title_lines
    from terracast.flows.settings.clock import as_of, duration_of

    issued = newest(config, as_of(now), None if issue_time is None else as_of(issue_time, "--issue-time"), node or (),
                    None if lead is None else duration_of(lead, "--lead"))
    if out is not None:
        from terracast.flows.reporting.forecast_file import write_forecast

        write_forecast(issued, out)
    if json:
        print_json(as_json(issued))
        return
    for line in all_lines(issued) if out is None else title_lines(issued):
        say(line)
    if out is not None:
        note(f"{out} written")


def say_short(config: Path, now: str | None) -> None:
    """The few lines that end ``terracast watch --once``; none before the first forecast."""
    from terracast.flows.forecast import newest_forecast
    from terracast.flows.reporting.forecast_words import short_lines
    from terracast.flows.settings.clock import as_of
    from terracast.flows.workspace import Workspace

    newest = newest_forecast(Workspace.open(config), as_of(now))
    for line in () if newest is None else short_lines(newest):
        say(line)
