"""``terracast bench alarms``: what the default loop says of changes planted into real streams."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from terracast.flows.terminal.output import tell
from terracast.flows.terminal.share_shown import progress

if TYPE_CHECKING:
    from terracast.flows.workspace import Workspace
    from terracast.streams.bitemporal import InMemoryHistory

COLUMNS = {"data": "data", "change": "change", "planted": "n", "within_2": "2 days", "within_7": "7 days",
           "within_14": "14 days", "median_delay": "delay", "type_right": "type", "onset_error": "onset",
           "effect_error": "effect", "jaccard": "overlap", "false_to_stated": "false / stated"}


def alarms(data: Annotated[list[Path], typer.Option("--data", help="A data file; may be repeated.")],
           target: Annotated[str | None, typer.Option(help="The variable; default: as init chooses.")] = None,
           changes: Annotated[str, typer.Option(help="Comma-separated names of changes, or all.")] = "all",
           repeats: Annotated[int, typer.Option(help="How often each change is planted.")] = 1,
           past: Annotated[float | None, typer.Option(help="Days known before the clean run; default: as replay begins."
                                                      )] = None,
           months: Annotated[float, typer.Option(help="Of the clean run, at most.")] = 12.0,
           seed: Annotated[int, typer.Option(help="Of times and places.")] = 0,
           json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False
           ) -> None:
    """Changes planted into real streams at random times; how soon and how rightly the loop in service tells them."""
    command = "terracast bench alarms " + " ".join(f"--data {shlex.quote(str(path))}" for path in data)
    for name, value, usual in (("target", target, None), ("changes", changes, "all"), ("repeats", repeats, 1),
                               ("past", past, None), ("months", months, 12.0), ("seed", seed, 0)):
        command += f" --{name} {shlex.quote(str(value))}" if value != usual else ""
    from terracast.benchmarks.alarms.bench import summary

    runs = {path.stem: _stream(path, target, changes, repeats, past, months, seed, progress) for path in data}
    rows = [{"method": "terracast", "data": name, **row} for name, found in runs.items() for row in summary(found)]
    clean = [{"method": "terracast", "data": name, **found[0],
              "false_to_stated": found[0]["episodes"] / found[0]["stated"]} for name, found in runs.items()]
    tell({"bench": "alarms", "data": ", ".join(runs), "rows": [*clean, *rows],
          "protocol": {"past_days": past, "months": months, "repeats": repeats, "seed": seed, "changes": changes},
          "summary": {"alarms": {name: [row for row in found if row["change"] != "none"]
                                 for name, found in runs.items()}} if json else {},
          "command": command}, json, COLUMNS)


def _stream(path: Path, target: str | None, names: str, repeats: int, past: float | None, months: float,
            seed: int, bar: Callable[..., Any]) -> list[dict[str, Any]]:
    from terracast.benchmarks.alarms.bench import AlarmBench
    from terracast.benchmarks.alarms.changes import changes_named
    from terracast.flows.ingest import ingest_new
    from terracast.flows.init import write_settings
    from terracast.flows.replay import begun_bench
    from terracast.flows.workspace import Workspace
    from terracast.streams.bitemporal import InMemoryHistory

    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(write_settings(path.stem.replace("-", "_"), path, Path(folder), target=target))
        ingest_new(workspace)
        held = workspace.store.read().history()
        history = InMemoryHistory({name: held.recorded(name).panel for name in held.domains},
                                  {name: held.recorded(name).revisions for name in held.domains})
        service = replace(begun_bench(workspace, _after(workspace, history, past), None,
                                      covariates=workspace.settings.adapt.covariates), seed=seed)
        stop = min(service.stop, service.start + np.timedelta64(round(months * 30.44 * 24), "h"))
        bench = AlarmBench(history, service, workspace.policy, workspace.floor(stop))
        chosen = changes_named(names, service.watched.request.step)
        with bar(f"alarms {path.stem}", len(chosen) * repeats) as advance:
            return bench.rows(chosen, repeats, advance)


def _after(workspace: Workspace, history: InMemoryHistory, past: float | None) -> str | None:
    """So many days after the first value, as an option would say it."""
    if past is None:
        return None
    first = history.recorded(workspace.settings.stream.domain).panel["time"].values[0]
    return str(first + np.timedelta64(round(past * 86_400), "s"))
