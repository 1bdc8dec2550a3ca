"""``terracast bench drivers``: the error of forecasts with the drivers that are chosen, beside what peers pick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

COLUMNS = {"method": "method", "mae_ratio": "MAE, none = 1", "used": "used"}


def drivers(data: Annotated[Path, typer.Option(help="A NetCDF, CSV or Parquet file.")],
            target: Annotated[str, typer.Option(help="The variable that is forecast.")],
            own: Annotated[str, typer.Option(help="Other variables of its domain, comma-separated.")] = "",
            passive: Annotated[bool, typer.Option("--passive", help="Say so: it drives no other domain.")] = False,
            max_lag: Annotated[int, typer.Option(help="Longest lag, steps.")] = 8,
            horizon: Annotated[int, typer.Option(help="Steps ahead.")] = 24,
            json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False
            ) -> None:
    """Drivers of a variable among the other ones of a file: chosen, beside none, all, and what peers pick."""
    from benchmarks.drivers.bench import Protocol
    from benchmarks.drivers.real import PASSIVE, bench_drivers_in
    from causal.knowledge import Knowledge
    from flows.output import tell

    mine = tuple(dict.fromkeys([target, *(one for one in own.split(",") if one)]))
    known = Knowledge.parse(PASSIVE) if passive else None
    tell(bench_drivers_in(data, mine, Protocol(max_lag=max_lag, horizon=horizon, knowledge=known)), json, COLUMNS)
