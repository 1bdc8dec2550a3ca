"""Verbs that explain: ``discover`` and ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terracast.flows.cli.options import CONFIG, Config, Json, Now
from terracast.flows.running.recorded import recorded
from terracast.flows.terminal.output import print_json, say


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (discover, report):
        app.command()(verb)


def discover(config: Config = CONFIG, now: Now = None,
             knowledge: Annotated[Path | None, typer.Option(
                 help="What is impossible or certain, a text file; kept: what it forbids never returns.")] = None,
             max_lag: Annotated[int | None, typer.Option(help="Longest lag in steps; default: as set.")] = None,
             window: Annotated[str | None, typer.Option(help="How much of the past, such as 365d.")] = None,
             json: Json = False) -> None:
    """The causal graph as known now, the drivers chosen from it, and what changed in it."""
    from terracast.flows.discover import discover as act

    told = None if knowledge is None else str(knowledge)
    answer = recorded("discover", lambda: act(str(config.resolve()), now, told, max_lag, window))
    if json:
        print_json(answer)
        return
    for driver in answer["drivers"]:
        word = "used" if driver["used"] else "not used"
        series = f"{driver['series']['domain']}.{driver['series']['variable']}"
        say(f"{series} at lag {driver['lag']}: {word}; {driver['reason']}")
    for alarm in answer["alarms"]:
        if alarm["new"]:
            say(f"- {' '.join(alarm['sentences'])}")
    links = len(answer["graph"]["links"])
    say(f"{links} links in graph {answer['digest']}; see them with `terracast report`")


def report(config: Config = CONFIG,
           out: Annotated[Path | None, typer.Option(
               help="The file to write; default: report.html beside the settings, or in the site.")] = None,
           site: Annotated[Path | None, typer.Option(
               help="A folder to write the whole site into, for any static host.")] = None,
           events: Annotated[Path | None, typer.Option(help="JSON of known changes, drawn on the timeline.")] = None,
           now: Now = None, json: Json = False) -> None:
    """One self-contained HTML file: is the forecast still true, what changed, why these inputs; with --site a folder of
    pages."""
    from terracast.flows.report import report as act

    folder = None if site is None else str(site.resolve())
    home = config.resolve().parent if site is None else site.resolve()
    page = home / "report.html" if out is None else out.resolve()
    known = None if events is None else str(events.resolve())
    answer = recorded("report", lambda: act(str(config.resolve()), str(page), now, known, folder))
    if json:
        print_json(answer)
    else:
        say(f"report: {answer['report']}")
        if site is not None:
            say(f"site: {site.resolve() / 'index.html'}")
