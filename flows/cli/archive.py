"""Verbs about a whole workspace: ``backup``, ``restore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from terracast.flows.cli.options import CONFIG, Config, Json
from terracast.flows.terminal.output import note, print_json, say
from terracast.flows.terminal.share_shown import share_shown


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (backup, restore):
        app.command()(verb)


def backup(file: Annotated[Path, typer.Argument(help="The file to write, such as air.tar.gz.")],
           config: Config = CONFIG,
           include: Annotated[list[str], typer.Option(
               help="A further file or folder of the workspace's folder; may be repeated.")] = [],  # noqa: B006
           overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
           json: Json = False) -> None:
    """The workspace in one file: settings, store, versions and source files; steps go on meanwhile."""
    from terracast.flows.backup import backup as act

    with share_shown("backup") as tell:
        answer = act(config, file, include, overwrite=overwrite, tell=tell)
    _tell(answer, f"{answer['file']}: {answer['files']} files, {answer['bytes'] / 1e6:.1f} MB", json)


def restore(file: Annotated[Path, typer.Argument(help="The file that `terracast backup` wrote.")],
            folder: Annotated[Path | None, typer.Option(
                help="A new or empty folder; default: named after the file.")] = None, json: Json = False) -> None:
    """The workspace of a backup in a folder of its own; checked whole before anything is put in place."""
    from terracast.flows.restore import restore as act

    with share_shown("restore") as tell:
        answer = act(file, folder, tell=tell)
    _tell(answer, f"{answer['folder']}: the workspace of {answer['stream']} as it was at {answer['made']}", json)


def _tell(answer: dict[str, Any], words: str, json: bool) -> None:
    if json:
        print_json(answer)
        return
    say(words)
    for line in answer["left_out"]:
        note(line)
