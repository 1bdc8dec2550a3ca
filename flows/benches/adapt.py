"""``terracast bench adapt``: the mixture of online experts beside frozen, naives and published peers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

COLUMNS = {name: name for name in ("data", "method", "horizon", "mse", "mae", "scaled_error", "crps", "coverage80",
                                   "worst_month", "worst_year", "ms_per_step", "worst_node_ratio", "published")}
GUARD = {"gate": {name: name for name in ("data", "challenger", "accepted", "rejected", "median_weeks", "trials")},
         "cost": {name: name for name in ("method", "nodes", "horizon", "ms_per_step", "times_the_base",
                                          "kib_per_node")}}


def adapt(data: Annotated[list[Path], typer.Option(help="A NetCDF, CSV or Parquet file; may be repeated.")],
          protocol: Annotated[str, typer.Option(help="A (20:5:75), B (60:20:20), C (60:10:30), online; gate (wrong "
                                                   "and right promotions), cost (1,000 simulated nodes).")] = "A",
          horizon: Annotated[int, typer.Option(help="Steps forecast.")] = 24,
          target: Annotated[str | None, typer.Option(help="The variable; default: all of a table, the first of a "
                                                          "NetCDF file.")] = None,
          base: Annotated[bool, typer.Option(help="The shipped base is one of the experts.")] = True,
          every: Annotated[int | None, typer.Option(help="Online: steps between two issues; default: half a day or "
                                                         "half the horizon.")] = None,
          scratch: Annotated[Path | None, typer.Option(help="A folder that keeps the base's forecasts for the next "
                                                            "run.")] = None,
          json: Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")] = False) -> None:
    """Online adaptation beside frozen, seasonal naive, ridge refitted weekly, and what others published."""
    from terracast.benchmarks.adapt.answer import bench_adapt, bench_guard
    from terracast.flows.terminal.output import tell
    from terracast.flows.terminal.share_shown import progress

    if protocol in ("gate", "cost"):
        tell(bench_guard(data, protocol, horizon, target), json, GUARD[protocol])
        return
    with progress("steps", 0) as advance:
        answer = bench_adapt(data, protocol, horizon, target, advance, base=base, every=every, scratch=scratch)
    tell(answer, json, COLUMNS)
