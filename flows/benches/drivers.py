"""``terracast bench drivers``: the error of forecasts with the drivers that are chosen, beside what peers pick."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from terracast.benchmarks.drivers.judged import Protocol
    from terracast.causal.knowledge import Knowledge

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
    from terracast.benchmarks.drivers.real import PASSIVE, bench_drivers_in
    from terracast.causal.knowledge import Knowledge
    from terracast.flows.terminal.output import tell

    mine = tuple(dict.fromkeys([target, *(one for one in own.split(",") if one)]))
    known = Knowledge.parse(PASSIVE) if passive else None
    tell(bench_drivers_in(data, mine, served(max_lag, horizon, known)), json, COLUMNS)


def served(max_lag: int, horizon: int, knowledge: Knowledge | None = None) -> Protocol:
    """Drivers judged with the forecaster, and by the settings, that serve where a settings file says nothing else."""
    from terracast.benchmarks.drivers.judged import Protocol
    from terracast.flows.service.serving_forecaster import forecaster_factory, steps_seen
    from terracast.flows.settings import BaseSettings, DiscoverySettings

    base, discovery = BaseSettings(), DiscoverySettings()
    return Protocol(forecaster_factory(base, discovery.trial_steps), base.model, steps_seen(base), discovery.alpha,
                    max_lag, horizon, discovery.most_drivers, knowledge)
