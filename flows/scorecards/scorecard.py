"""``terracast scorecard``: the survey's Table I of generalization, measured, for any forecaster and any data."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from terracast.flows.terminal.output import print_json, print_rows, say
from terracast.flows.terminal.share_shown import progress
from terracast.streams.errors import TerracastError

COLUMNS = {"axis": "axis", "side": "side", "seasonal_naive": "skill, seasonal naive", "ridge": "skill, ridge",
           "series": "series", "refused": "refused"}
NODES, ISSUES = 24, 32


def scorecard(data: Annotated[list[Path] | None, typer.Option("--data", help="A file or folder; may be repeated.")]
              = None,
              forecaster: Annotated[str, typer.Option(help="terracast, native or seasonal-naive.")] = "terracast",
              out: Annotated[Path, typer.Option(help="The page to write.")] = Path("scorecard.html"),
              variables: Annotated[int, typer.Option(help="Variables of each dataset, at most.")] = 2,
              json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False
              ) -> None:
    """Domain, spatial, temporal, scale: how far a forecaster generalizes, in and out of distribution, and where not."""
    from terracast.flows.scorecards.page import write

    warnings.filterwarnings("ignore", message="(All-NaN|Mean of empty|Degrees of freedom)")
    if not data:
        raise TerracastError("no data", where="scorecard", expected="--data FILE or FOLDER", remedy="name some")
    answer = measure(data, forecaster, variables)
    answer["page"] = str(write(answer, out))
    if json:
        print_json(answer)
        return
    rows = [row | {name: _skill_text(row, name) for name in ("seasonal_naive", "ridge")}
            for row in answer["rows"] if row["part"] == "all"]
    print_rows(f"scorecard of {forecaster}: the share of the error saved, 90 % interval", rows, COLUMNS)
    say(f"page: {answer['page']}")
    say(f"repeat: {answer['command']}")


def measure(data: list[Path], forecaster: str, variables: int) -> dict[str, Any]:
    """The card of every series in ``data``; files of a folder that cannot be forecast are left out and named."""
    from terracast.benchmarks.base.data import cases_of
    from terracast.benchmarks.base.files import found
    from terracast.benchmarks.scorecard.bench import answer

    cases, left_out = [], {}
    for path in found(data):
        try:
            cases += cases_of(path, nodes=NODES, issues=ISSUES, variables=variables)[0]
        except TerracastError as wrong:
            if path in data:
                raise
            left_out[path.name] = wrong.what
    if not cases:
        raise TerracastError("no series can be forecast", where=", ".join(map(str, data)),
                             expected="a numeric series", remedy="name other data")
    named = " ".join(f"--data {shlex.quote(str(path))}" for path in data)
    command = f"terracast scorecard {named} --forecaster {forecaster} --variables {variables}"
    with progress("series", len(cases)) as advance:
        made = answer(cases, forecaster, command, advance)
    made["protocol"]["left_out"] = left_out
    return made


def _skill_text(row: Mapping[str, Any], reference: str) -> str | None:
    """The skill with its interval, in per cent."""
    figures = [row[name] for name in (f"skill_{reference}", f"{reference}_low", f"{reference}_high")]
    if None in figures:
        return None
    skill, low, high = (round(100 * one) for one in figures)
    return f"{skill} % ({low} to {high})"
