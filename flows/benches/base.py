"""``terracast bench base``: what the pre-trained base forecasts on panels it has never seen, beside plain peers."""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from terracast.flows.terminal.output import tell
from terracast.flows.terminal.share_shown import progress
from terracast.streams.errors import TerracastError

if TYPE_CHECKING:
    from terracast.benchmarks.base.bench import BaseBench

COLUMNS = {"data": "data", "variable": "variable", "method": "method", "mase": "MASE", "crps": "CRPS",
           "mase_ratio": "MASE ratio", "crps_ratio": "CRPS ratio", "horizon": "horizon"}


def base(data: Annotated[list[Path] | None, typer.Option("--data", help="A file or folder; may be repeated.")] = None,
         methods: Annotated[str, typer.Option(help="Methods, comma-separated; native is one more.")]
         = "terracast,seasonal-naive,last-value,ridge",
         nodes: Annotated[int, typer.Option(help="Nodes of a case, at most.")] = 24,
         issues: Annotated[int, typer.Option(help="Issue times of a case, at most.")] = 60,
         protocol: Annotated[str | None, typer.Option(help="etth1: 512 hours to 96, the standard split.")] = None,
         stride: Annotated[int, typer.Option(help="etth1: hours between two windows.")] = 1,
         scale: Annotated[bool, typer.Option("--scale", help="Seconds and memory of 1k, 3k, 10k nodes.")] = False,
         fine_tune: Annotated[bool, typer.Option("--fine-tune", help="Continue on the first year.")] = False,
         tasks: Annotated[bool, typer.Option("--tasks", help="The light heads on the frozen base.")] = False,
         steps: Annotated[int, typer.Option(help="--fine-tune: optimisation steps.")] = 100,
         json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False
         ) -> None:
    """The base, untrained on the data, beside seasonal naive, last value and ridge: any file, folder or all."""
    warnings.filterwarnings("ignore", message="(All-NaN|Mean of empty|Degrees of freedom)")
    chosen = {"--protocol": protocol, "--scale": scale, "--fine-tune": fine_tune, "--tasks": tasks}
    if sum(bool(one) for one in chosen.values()) > 1:
        raise TerracastError("more than one bench", where="bench base", remedy="run them one after the other",
                             expected="one of " + ", ".join(chosen))
    if scale:
        tell(_growth(), json, COLUMNS)
        return
    if not data:
        raise TerracastError("no data", where="bench base", expected="--data FILE or FOLDER",
                             remedy="name some, e.g. --data data/")
    named = " ".join(f"--data {shlex.quote(str(path))}" for path in data)
    if protocol is not None:
        tell(_etth1(protocol, data, stride, named), json, COLUMNS)
    elif tasks:
        tell(_tasks(data, named), json, COLUMNS)
    else:
        from terracast.benchmarks.base.bench import BaseBench

        bench = BaseBench(tuple(data), nodes, issues, tuple(methods.split(",")))
        tell(_tuned(bench, steps, named) if fine_tune else _plain(bench, named), json, COLUMNS)


def _plain(bench: BaseBench, named: str) -> dict[str, Any]:
    cases = bench.cases()
    command = f"terracast bench base {named} --methods {','.join(bench.methods)} --nodes {bench.nodes} " \
              f"--issues {bench.issues}"
    with progress("series", len(cases)) as advance:
        return bench.answer(command, advance, cases)


def _tuned(bench: BaseBench, steps: int, named: str) -> dict[str, Any]:
    from terracast.benchmarks.base.tuned import answer

    cases = bench.cases()
    command = f"terracast bench base {named} --nodes {bench.nodes} --issues {bench.issues} --fine-tune --steps {steps}"
    with progress("series", len(cases)) as advance:
        return answer(cases, command, bench.protocol(), steps, advance)


def _etth1(protocol: str, data: list[Path], stride: int, named: str) -> dict[str, Any]:
    from terracast.benchmarks.base.etth1 import Etth1Bench

    if protocol != "etth1" or len(data) != 1 or not data[0].is_file():
        raise TerracastError(f"protocol {protocol!r} of {len(data)} paths", where="bench base --protocol",
                             expected="etth1 and the file ETTh1.csv", remedy="give --data …/ETTh1.csv")
    with progress("methods", 4) as advance:
        return Etth1Bench(data[0], stride).answer(
            f"terracast bench base {named} --protocol etth1 --stride {stride}", advance)


def _growth() -> dict[str, Any]:
    from terracast.benchmarks.base.growth import SIZES, answer

    with progress("networks", 2 * len(SIZES)) as advance:
        return answer("terracast bench base --scale", progress=advance)


def _tasks(data: list[Path], named: str) -> dict[str, Any]:
    from terracast.benchmarks.base.tasks import TASKS, answer

    with progress("tasks", len(TASKS)) as advance:
        return answer(data, f"terracast bench base {named} --tasks", advance)
