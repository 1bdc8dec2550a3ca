"""``terracast bench journeys``: what a new user types, on each file given: seconds, what was said, what failed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

VERBS = ("init", "replay", "watch", "forecast", "discover", "report", "status")
COLUMNS = {"data": "data", "target": "target", "steps": "steps", "nodes": "nodes", "seconds": "seconds",
           "outcome": "outcome"}


def journeys(data: Annotated[list[Path], typer.Option("--data", help="A file or folder; may be repeated.")],
             only: Annotated[str | None, typer.Option(help="Only files whose path holds this.")] = None,
             limit: Annotated[float, typer.Option(help="Seconds a file, at most.")] = 600.0,
             most: Annotated[int, typer.Option(help="Files of one folder, at most.")] = 1,
             policies: Annotated[str, typer.Option(help="What replay compares.")] = "frozen,mixture",
             training: Annotated[int | None, typer.Option(
                 help="Optimisation steps of a fit; default: as init sets them.")] = None,
             json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False
             ) -> None:
    """init, replay, watch, forecast, discover, report, status as of each file's own end, with default settings."""
    from terracast.benchmarks.journeys.bench import JourneyBench
    from terracast.flows.terminal.output import note, print_json, print_rows, say

    bench = JourneyBench(limit, most, policies, training)
    command = "terracast bench journeys " + " ".join(f"--data {shlex.quote(str(path))}" for path in data)
    for name, value in (("only", only), ("training", training)):
        command += f" --{name} {value}" if value is not None else ""
    answer = bench.answer(data, only, command, lambda row: note(f"{row['data']}: {_row_sentence(row)}"))
    if json:
        print_json(answer)
        return
    print_rows("journeys", [row | {"outcome": _outcome(row)} for row in answer["rows"]], COLUMNS)
    for name, value in answer["summary"].items():
        say(f"{name}: {value}")
    say(f"repeat: {answer['command']}")


def _outcome(row: dict[str, Any]) -> str:
    if row["left_out"]:
        return "left out"
    return "worked" if not row["failed"] else "failed: " + ", ".join(
        one.partition(":")[0] for one in row["failed"].split("; ") if one.partition(":")[0] in VERBS)


def _row_sentence(row: dict[str, Any]) -> str:
    if row["left_out"]:
        return f"left out: {row['left_out']}"
    return f"failed: {row['failed']}" if row["failed"] else f"worked; watch: {row['said'].get('watch', '')}"
