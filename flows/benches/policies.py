"""``terracast bench policies``: bases and policies beside plain peers, over many real streams as if live."""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path
from typing import Annotated

import typer

COLUMNS = {"method": "method", "mae": "MAE", "mae_to_naive": "naive=1", "mae_to_frozen": "frozen=1",
           "coverage80": "cover", "coverage80_worst_month": "month", "cpu_seconds": "s"}


def policies(data: Annotated[Path, typer.Option(help="The folder that holds the files of the table of streams.")],
             base: Annotated[str, typer.Option(help="Bases, comma-separated: shipped, native (fitted on what came "
                                                    "before).")] = "shipped",
             only: Annotated[str | None, typer.Option(help="Only streams whose file or target holds this.")] = None,
             half: Annotated[str | None, typer.Option(help="Only one half: decides, or confirms.")] = None,
             json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False
             ) -> None:
    """Frozen, loop and mixture beside seasonal naive, last value, ridge and boosted trees refitted monthly."""
    from terracast.benchmarks.policies.bench import PolicyBench
    from terracast.benchmarks.policies.streams import STREAMS
    from terracast.flows.terminal.output import note, print_json, print_rows, say
    from terracast.flows.terminal.share_shown import progress

    warnings.filterwarnings("ignore", message="(All-NaN|Mean of empty|Degrees of freedom)")
    streams = [one for one in STREAMS if (only is None or only in f"{one.data} {one.target}")
               and half in (None, one.half)]
    command = f"terracast bench policies --data {shlex.quote(str(data))} --base {base}"
    command += "".join(f" --{name} {value}" for name, value in (("only", only), ("half", half)) if value)
    with progress("streams", len(streams)) as advance:
        answer = PolicyBench(data, tuple(base.split(",")), streams).answer(command, advance, note)
    if json:
        print_json(answer)
        return
    named = [row | {"method": " ".join(part for part in (row["base"], row["policy"]) if part)}
             for row in answer["rows"]]
    for stream in dict.fromkeys((row["data"], row["target"]) for row in named):
        print_rows(f"{stream[0]}: {stream[1]}", [row for row in named if (row["data"], row["target"]) == stream],
                   COLUMNS)
    for name, value in answer["summary"].items():
        say(f"{name}: {value}")
    say(f"repeat: {answer['command']}")
