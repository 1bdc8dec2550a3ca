"""``terracast bench``: every figure of the README, in one form: rows beside baselines and peers, and the command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.output import note, print_json, print_rows, progress, say

app = typer.Typer(no_args_is_help=True, help="Every figure of the README, on any data file given.")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


@app.command()
def loop(data: Annotated[Path, typer.Option(help="A NetCDF, CSV or Parquet file.")],
         target: Annotated[str | None, typer.Option(help="The variable to forecast; default: the first.")] = None,
         start: Annotated[str | None, typer.Option(help="First issue time.")] = None,
         stop: Annotated[str | None, typer.Option(help="Last issue time.")] = None, json: Json = False) -> None:
    """The policies over a data file as if live, beside seasonal naive and last value."""
    from flows.replay import COLUMNS, bench_file

    tell(bench_file(data, target, start, stop, progress), json, COLUMNS)


@app.command()
def store(json: Json = False) -> None:
    """Ingest beside plain Zarr, its memory, and a step on three years beside a step on one month."""
    from benchmarks.store import StoreBench, run

    tell(run(StoreBench(), "terracast bench store", note), json)


@app.command()
def events(count: Annotated[int, typer.Option(help="How many events.")] = 10_000_000, json: Json = False) -> None:
    """Events to sparse counts beside a bare pandas groupby."""
    from benchmarks.events import bench_events

    tell(bench_events(count), json)


@app.command()
def quality(data: Annotated[Path, typer.Option(help="A NetCDF, CSV or Parquet file to plant faults in.")],
            variables: Annotated[str, typer.Option(help="Variables, comma-separated.")],
            start: Annotated[str | None, typer.Option(help="First stamp used.")] = None,
            stop: Annotated[str | None, typer.Option(help="Last stamp used.")] = None, json: Json = False) -> None:
    """Which label each planted fault gets, and how often a clean value gets one."""
    from benchmarks.quality import QualityBench, answer, false_labels, matrix
    from streams.readers import read

    names = tuple(variables.split(","))
    panel = read(data, domain=data.stem, variables=list(names)).sel(time=slice(start, stop))
    bench = QualityBench(panel, names)
    command = f"terracast bench quality --data {data} --variables {variables}"
    command += "".join(f" --{name} {value}" for name, value in (("start", start), ("stop", stop)) if value)
    tell(answer(bench, data.name, matrix(bench), false_labels(bench), command), json)


@app.command()
def causal(speed: Annotated[bool, typer.Option("--speed", help="Time the searches beside tigramite's own.")] = False,
           variables: Annotated[int, typer.Option(help="Series.")] = 100,
           steps: Annotated[int, typer.Option(help="Steps.")] = 8760,
           lags: Annotated[int, typer.Option(help="Longest lag.")] = 12,
           alpha: Annotated[float, typer.Option(help="pc_alpha of PCMCI.")] = 0.05,
           full: Annotated[bool, typer.Option("--full", help="Run tigramite whole (an hour), not a sample.")] = False,
           worlds: Annotated[int, typer.Option(help="Without --speed: simulated worlds.")] = 12,
           json: Json = False) -> None:
    """Drivers found in simulated worlds beside peers; or, with --speed, exact searches beside tigramite."""
    if speed:
        from benchmarks.causal_speed import SpeedBench, answer

        tell(answer(SpeedBench(variables, steps, lags, alpha, full=full), note), json)
        return
    from benchmarks.drivers import bench_drivers

    with progress("worlds", worlds) as advance:
        tell(bench_drivers(worlds, progress=advance), json)


@app.command()
def drift(nodes: Annotated[int, typer.Option(help="Nodes.")] = 10_000,
          steps: Annotated[int, typer.Option(help="Steps timed.")] = 320, json: Json = False) -> None:
    """The vectorised detectors beside a loop over river's objects: flags that differ, time, bytes a node."""
    from time import process_time

    from benchmarks.detector_bank import BankBench

    bench = BankBench(nodes, steps)
    with progress("detectors", 3) as advance:
        rows = bench.rows(process_time, advance)
    tell(bench.answer(rows, f"terracast bench drift --nodes {nodes} --steps {steps}"), json)


def tell(answer: Mapping[str, Any], json: bool, columns: Mapping[str, str] | None = None) -> None:
    """Print a bench's answer: JSON, or rows, summary and the command to repeat it."""
    if json:
        print_json(answer)
        return
    names = columns or {name: name for row in answer["rows"] for name in row}
    print_rows(f"{answer['bench']}: {answer['data']}", answer["rows"], names)
    for name, value in answer["summary"].items():
        say(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")
    say(f"repeat: {answer['command']}")
