"""``terracast bench counts``: events on cells, forecast as counts, beside seasonal naive and the rate of the past."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

COLUMNS = {"method": "method", "cells": "cells",
           "poisson_deviance": "Poisson deviance", "crps": "CRPS", "coverage80": "cover",
           "lowest": "lowest"}


def counts(data: Annotated[Path, typer.Option(help="A file of events or of movers.")],
           target: Annotated[str | None, typer.Option(help="The counts to forecast; default: all events.")] = None,
           json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False
           ) -> None:
    """Poisson deviance and CRPS of counts on cells, beside seasonal naive and each cell's mean rate; on all cells, and
    on the halves on which settings were chosen and confirmed."""
    from terracast.benchmarks.counts import METHODS, CountBench
    from terracast.flows.terminal.output import tell
    from terracast.flows.terminal.share_shown import progress

    bench = CountBench.of(data, target)
    command = f"terracast bench counts --data {shlex.quote(str(data))}" + (f" --target {target}" if target else "")
    with progress("methods", 3 * len(METHODS)) as advance:
        tell(bench.answer(data.name, command, advance), json, COLUMNS)
