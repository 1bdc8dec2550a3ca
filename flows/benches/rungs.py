"""``terracast bench rungs``: where each way to adapt adds to the frozen base, and how fast a new node is learned."""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path
from typing import Annotated

import typer

COLUMNS = {name: name for name in ("data", "situation", "method", "cases", "crps_ratio", "mae_ratio", "worst", "kept",
                                   "cpu_seconds")}


def rungs(data: Annotated[list[Path], typer.Option(help="A NetCDF, CSV or Parquet file; may be repeated.")],
          new_node: Annotated[bool, typer.Option("--new-node", help="Steps to learn a node from one week.")] = False,
          nodes: Annotated[int, typer.Option(help="Nodes of a file, at most.")] = 2,
          nows: Annotated[int, typer.Option(help="Times of a file at which the rungs act.")] = 2,
          variables: Annotated[int, typer.Option(help="Variables of a file, at most.")] = 1,
          json: Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")] = False) -> None:
    """Each rung beside the frozen base with short history, on a new node, and before any label has come."""
    from terracast.benchmarks.adapt.new_node import bench_new_node
    from terracast.benchmarks.adapt.rungs import bench_rungs
    from terracast.flows.terminal.output import tell
    from terracast.flows.terminal.share_shown import progress

    warnings.filterwarnings("ignore", message="(All-NaN|Mean of empty|Degrees of freedom)")
    command = "terracast bench rungs " + " ".join(f"--data {shlex.quote(str(path))}" for path in data)
    command += f" --nodes {nodes} --variables {variables}"
    with progress("cases", 0) as advance:
        if new_node:
            answer = bench_new_node(data, command + " --new-node", nodes=nodes, variables=variables, progress=advance)
        else:
            answer = bench_rungs(data, command + f" --nows {nows}", nodes=nodes, nows=nows, variables=variables,
                                 progress=advance)
    tell(answer, json, None if new_node else COLUMNS)
