"""``terracast bench``: every figure of the README, in one form: rows beside baselines and peers, and the command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terracast.flows.benches.adapt import adapt
from terracast.flows.benches.alarms import alarms
from terracast.flows.benches.base import base
from terracast.flows.benches.counts import counts
from terracast.flows.benches.drift import drift
from terracast.flows.benches.drivers import drivers
from terracast.flows.benches.journeys import journeys
from terracast.flows.benches.policies import policies
from terracast.flows.benches.rungs import rungs
from terracast.flows.benches.startup import startup
from terracast.flows.terminal.output import note, tell
from terracast.flows.terminal.share_shown import progress

app = typer.Typer(no_args_is_help=True, help="Every figure of the README, on any data file given.")
VERBS = (base, adapt, alarms, rungs, counts, drift, drivers, journeys, policies, startup)  # each in a file of its own
for _verb in VERBS:
    app.command()(_verb)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


@app.command()
def loop(data: Annotated[Path, typer.Option(help="A NetCDF, CSV or Parquet file.")],
         target: Annotated[str | None, typer.Option(help="The variable to forecast; default: the first.")] = None,
         start: Annotated[str | None, typer.Option(help="First issue time.")] = None,
         stop: Annotated[str | None, typer.Option(help="Last issue time.")] = None,
         model: Annotated[str, typer.Option(help="shipped, or native, fitted on the first year.")] = "shipped",
         json: Json = False) -> None:
    """The policies over a data file as if live, beside seasonal naive and last value."""
    from terracast.flows.replay import COLUMNS, bench_file

    tell(bench_file(data, target, start, stop, progress, model), json, COLUMNS)


@app.command()
def store(json: Json = False) -> None:
    """Ingest beside plain Zarr, its memory, and a step on three years beside a step on one month."""
    from terracast.benchmarks.streams.store import StoreBench, run

    tell(run(StoreBench(), "terracast bench store", note), json)


@app.command()
def events(count: Annotated[int, typer.Option(help="How many events.")] = 10_000_000, json: Json = False) -> None:
    """Events to sparse counts beside a bare pandas groupby."""
    from terracast.benchmarks.streams.events import bench_events

    tell(bench_events(count), json)


@app.command()
def quality(data: Annotated[Path | None, typer.Option(help="A NetCDF, CSV or Parquet file to plant faults in.")] = None,
            variables: Annotated[str, typer.Option(help="With --data: variables, comma-separated.")] = "",
            start: Annotated[str | None, typer.Option(help="First stamp used.")] = None,
            stop: Annotated[str | None, typer.Option(help="Last stamp used.")] = None,
            seed: Annotated[int, typer.Option(help="Without --data: seed of the first made-up file.")] = 0,
            json: Json = False) -> None:
    """Which label each planted fault gets; without --data, false tickets on ten small clean files."""
    if data is None:
        from terracast.benchmarks.streams.quality_clean import bench_clean

        return tell(bench_clean(seed), json)
    from terracast.benchmarks.streams.quality import QualityBench, answer, false_labels, matrix
    from terracast.streams.readers import read

    names = tuple(variables.split(","))
    panel = read(data, domain=data.stem, variables=list(names)).sel(time=slice(start, stop))
    bench = QualityBench(panel, names)
    command = f"terracast bench quality --data {data} --variables {variables}"
    command += "".join(f" --{name} {value}" for name, value in (("start", start), ("stop", stop)) if value)
    tell(answer(bench, data.name, matrix(bench), false_labels(bench), command), json)


@app.command()
def causal(data: Annotated[Path | None, typer.Option(help="A data file, or a folder of series with truth.")] = None,
           truth: Annotated[Path | None, typer.Option(help="What is known: truth.json; default: beside it.")] = None,
           max_lag: Annotated[int | None, typer.Option("--max-lag", help="With --data: longest lag.")] = None,
           panels: Annotated[bool, typer.Option("--panels", help="Simulated panels with season, trend …")] = False,
           speed: Annotated[bool, typer.Option("--speed", help="Time the searches beside tigramite's own.")] = False,
           variables: Annotated[int, typer.Option(help="With --speed: series.")] = 100,
           steps: Annotated[int, typer.Option(help="With --speed: steps.")] = 8760,
           lags: Annotated[int, typer.Option(help="With --speed: longest lag.")] = 12,
           alpha: Annotated[float, typer.Option(help="With --speed: pc_alpha of PCMCI.")] = 0.05,
           full: Annotated[bool, typer.Option("--full", help="tigramite's own loops whole, however long.")] = False,
           worlds: Annotated[int, typer.Option(help="Simulated worlds, or seeds of panels.")] = 12,
           json: Json = False) -> None:
    """Graphs beside known truth, in data or simulated panels; drivers in simulated worlds; or speed."""
    from terracast.flows.benches.causal import drivers_in_worlds, simulated, timed, with_truth

    if data is not None:
        tell(with_truth(data, truth, max_lag, full), json)
    elif panels:
        tell(simulated(worlds, full), json)
    elif speed:
        tell(timed(variables, steps, lags, alpha, full), json)
    else:
        tell(drivers_in_worlds(worlds), json)
