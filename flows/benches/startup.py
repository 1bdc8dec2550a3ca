"""``terracast bench startup``: how long verbs take from the shell, on a small stream in service."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from terracast.flows.terminal.output import note, tell
from terracast.streams.errors import TerracastError

COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]
# Seconds from the shell's prompt back to it, on an idle machine.
LIMITS = {"--help": 1.0, "config show": 2.0, "status": 2.0, "versions": 3.0, "why 1": 3.0, "ingest": 3.0,
          "watch --once": 4.0}
ROWS = 400  # of the file that ``ingest`` reads
SETTINGS = """\
[stream]
name = "bench"
domain = "tank"
target = "level"
history = "2d"

[base]
first_fit = "20d"

[[sources]]
domain = "tank"
path = "incoming"
units = {level = "m"}
step = "1h"
"""
COLUMNS = {"verb": "verb", "seconds": "seconds", "cpu_seconds": "of the CPU", "limit": "limit", "met": "met"}


def startup(repeats: Annotated[int, typer.Option(help="Runs of each verb; the fastest counts.")] = 3,
            json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False
            ) -> None:
    """How long each verb takes from the shell on a small stream in service, and whether that is within its limit."""
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(Path(folder), repeats)
    tell({"bench": "startup", "data": f"a made-up stream of one node, {ROWS} new rows for ingest", "protocol": {
        "repeats": repeats}, "rows": rows, "summary": {"all_met": all(row["met"] for row in rows)},
        "command": f"terracast bench startup --repeats {repeats}"}, json, COLUMNS)


def measured(folder: Path, repeats: int) -> list[dict[str, Any]]:
    """A row for each verb, after service has begun in ``folder``; takes about a minute."""
    (folder / "incoming").mkdir()
    (folder / "terracast.toml").write_text(SETTINGS, encoding="utf-8")
    hours = np.datetime64("2024-01-01T00", "h") + np.arange(24 * 30)
    _deliver(folder, "0-past", hours)
    now = str(hours[-1] + np.timedelta64(2, "h"))
    note("service begins, so that there is something to ask about")
    _timed(folder, ["watch", "--once", "--now", now])
    rows = []
    for verb, limit in LIMITS.items():
        best = (np.inf, np.inf)
        for turn in range(repeats):
            if verb == "ingest":  # as a node of its own, so that no row is there already
                _deliver(folder, f"1-new-{turn}", hours[:ROWS], node=f"n{turn}")
            given = [*verb.split(), *(["--now", now] if verb in ("watch --once", "status") else [])]
            best = min(best, _timed(folder, given))
        rows.append({"verb": verb, "seconds": round(best[0], 2), "cpu_seconds": round(best[1], 2), "limit": limit,
                     "met": bool(best[0] <= limit)})
    return rows


def _deliver(folder: Path, name: str, hours: np.ndarray, node: str = "a") -> None:
    noise = np.random.default_rng(0).normal(size=len(hours))
    lines = [f"{hour}:00,{node},{10 + np.sin(place / 4) + one / 5:.3f}"
             for place, (hour, one) in enumerate(zip(hours, noise, strict=True))]
    (folder / "incoming" / f"{name}.csv").write_text("\n".join(["time,node,level", *lines]) + "\n", encoding="utf-8")


def _timed(folder: Path, arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds on the clock and of the processor that one call of the command takes."""
    began, spent = time.perf_counter(), os.times()
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    done = subprocess.run([*COMMAND, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode not in (0, 3):
        raise TerracastError(f"it failed: {done.stderr.strip()[-200:]}", where=f"terracast {' '.join(arguments)}",
                             expected="an answer", remedy="run it by hand")
    after = os.times()
    return time.perf_counter() - began, (after.children_user + after.children_system
                                         - spent.children_user - spent.children_system)
