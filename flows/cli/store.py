"""``terracast store``: look after the store: check, snapshots, drop what is too old, compact."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from terracast.flows.terminal.output import ERROR, note, print_json, print_rows, say

app = typer.Typer(no_args_is_help=True, help="Look after the store.")
Config = Annotated[Path, typer.Option("--config", help="The settings file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Now = Annotated[str | None, typer.Option("--now", help="The instant to act as of, UTC; default: the clock.")]
CONFIG = Path("terracast.toml")


@app.command()
def check(config: Config = CONFIG, json: Json = False) -> None:
    """Read everything once and say what is damaged or does not agree; exit code 1 if anything is."""
    from terracast.streams.storage.check import check as look

    found = look(_store(config), progress=lambda part: None if json else note(f"checking {part}"))
    if json:
        print_json(asdict(found) | {"sound": found.sound})
    else:
        for finding in found.findings:
            say(str(finding))
        say("sound" if found.sound else f"{len(found.findings)} findings")
    raise typer.Exit(0 if found.sound else ERROR)


@app.command()
def snapshots(config: Config = CONFIG, json: Json = False) -> None:
    """Every commit, newest first."""
    rows = [{"snapshot": one.id, "time": str(one.time), "message": one.message} for one in _store(config).snapshots()]
    if json:
        print_json({"snapshots": rows})
    else:
        print_rows("snapshots", rows, {"snapshot": "snapshot", "time": "time", "message": "what"})


@app.command()
def retain(config: Config = CONFIG, now: Now = None, json: Json = False) -> None:
    """Drop what is older than ``store.keep_observations`` and ``store.keep_forecasts`` say."""
    from terracast.flows.service.maintenance import drop_old_values
    from terracast.flows.settings.clock import as_of
    from terracast.flows.workspace import Workspace

    _tell(asdict(drop_old_values(Workspace.open(config), as_of(now))), json)


@app.command()
def compact(config: Config = CONFIG, now: Now = None,
            older_than: Annotated[str, typer.Option(help="Snapshots older than this may go.")] = "30d",
            json: Json = False) -> None:
    """Re-chunk, expire old snapshots and free their space; snapshots that a version was made from stay readable."""
    import pandas as pd

    from terracast.flows.service.maintenance import snapshots_in_use
    from terracast.flows.settings import nanoseconds
    from terracast.flows.settings.clock import as_of
    from terracast.flows.workspace import Workspace
    from terracast.streams.storage.compaction import compact as rewrite

    workspace = Workspace.open(config)
    limit = as_of(now) - nanoseconds(pd.Timedelta(older_than.replace("d", "D")))
    _tell(asdict(rewrite(workspace.store, older_than=limit, keep=snapshots_in_use(workspace))), json)


def _store(config: Path) -> Any:
    from terracast.flows.workspace import open_store

    return open_store(config)


def _tell(answer: dict[str, Any], json: bool) -> None:
    if json:
        print_json(answer)
    else:
        for name, value in answer.items():
            say(f"{name}: {value}")
