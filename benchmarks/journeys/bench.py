"""One journey: the verbs of the guide as a user types them, as of the file's own end; what was said and what failed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from terracast.benchmarks.journeys.files import Data, files_of, looked_into
from terracast.streams.clock import span

COMMAND = (sys.executable, "-c", "from terracast.flows.command import main; main()")
CALM, DRIFT = 0, 3
STEPS_REPLAYED = 40
_FRAME = " ─━│┃┏┓┗┛└┘┡┩╇┴┳┻╭╮╰╯"  # what tables and boxes are drawn with


@dataclass(frozen=True)
class JourneyBench:
    """The protocol: at most ``most`` files a folder, ``limit`` seconds a file, ``policies`` replayed; ``training``:
    optimisation steps of a fit (None: as `init` sets them)."""

    limit: float = 600.0
    most: int = 1
    policies: str = "frozen,mixture"
    training: int | None = None

    def answer(self, places: Sequence[Path], only: str | None, command: str,
               tell: Callable[[dict[str, Any]], None] = lambda row: None) -> dict[str, Any]:
        """A row a file; ``tell`` hears each as it comes."""
        rows = []
        for path in (one for place in places for one in files_of(place, self.most)):
            if only is not None and only not in str(path):
                continue
            found = looked_into(path)
            rows.append(_row(path) | {"left_out": found} if isinstance(found, str) else self.journey(found))
            tell(rows[-1])
        made = [row for row in rows if row["left_out"] is None]
        return {"bench": "journeys", "data": " ".join(map(str, places)), "rows": rows,
                "protocol": {"limit_seconds": self.limit, "files_a_folder": self.most, "policies": self.policies,
                             "training": self.training or "as init sets it", "steps_replayed": STEPS_REPLAYED},
                "summary": {"files": len(made), "worked": sum(row["failed"] is None for row in made),
                            "failed": sum(row["failed"] is not None for row in made),
                            "left_out": len(rows) - len(made)},
                "command": command}

    def journey(self, data: Data) -> dict[str, Any]:
        """init, replay, watch, forecast, discover, report, status in a folder of their own; a failure ends it only
        where nothing can follow."""
        row = _row(data.path) | {"steps": data.steps, "nodes": data.nodes}
        began = monotonic()
        failed: list[str] = []
        with tempfile.TemporaryDirectory(prefix="journey-") as folder:
            for verb, arguments in self._verbs(data, Path(folder)):
                left = self.limit - (monotonic() - began)
                if left <= 0:
                    failed.append(f"{verb}: not reached within {self.limit:.0f} s")
                    break
                started = monotonic()
                code, words = _typed((verb, *arguments()), Path(folder), left)
                row["verbs"][verb] = round(monotonic() - started, 1)
                if code not in (CALM, DRIFT):
                    failed.append(f"{verb}: {words}")
                    if verb == "init" or code is None:
                        break
                else:
                    row["said"][verb] = words
                if verb == "init" and code == CALM:
                    row["target"] = self._prepared(Path(folder))
        return row | {"seconds": round(monotonic() - began, 1), "failed": "; ".join(failed) or None}

    def _verbs(self, data: Data, folder: Path) -> list[tuple[str, Callable[[], tuple[str, ...]]]]:
        now = ("--now", str(data.end.isoformat()))
        name = re.sub(r"\W+", "_", data.path.stem)
        return [("init", lambda: (name, "--from", str(data.path.resolve()), "--folder", ".")),
                ("replay", lambda: ("--policies", self.policies, "--stop", _stop(data, folder))),
                ("watch", lambda: ("--once", *now)), ("forecast", lambda: now), ("discover", lambda: now),
                ("report", lambda: now), ("status", lambda: now)]

    def _prepared(self, folder: Path) -> str:
        """The target that init chose; fewer training steps where the protocol says so."""
        config = folder / "terracast.toml"
        text = config.read_text(encoding="utf-8")
        if self.training is not None:
            text = re.sub(r"(\[base\][^\[]*?\nsteps = )\d+", rf"\g<1>{self.training}", text)
            config.write_text(text, encoding="utf-8")
        return str(tomllib.loads(text)["stream"]["target"])


def _row(path: Path) -> dict[str, Any]:
    return {"method": "terracast", "data": f"{path.parent.name}/{path.name}", "target": None, "steps": None,
            "nodes": None, "seconds": None, "verbs": {}, "said": {}, "failed": None, "left_out": None}


def _stop(data: Data, folder: Path) -> str:
    """The end of a short replay from the first step at which service can begin, which comes later where data miss."""
    held = tomllib.loads((folder / "terracast.toml").read_text(encoding="utf-8"))
    cadence, waited = span(held["stream"]["cadence"]), held["base"].get("first_fit")
    if waited is None:  # as `terracast replay` begins
        first = min(200 * span(held["stream"]["step"]), 2 / 3 * (data.end - data.first))
    else:
        first = span(waited)
    return str(min(data.first + first + data.silent + STEPS_REPLAYED * cadence, data.end).isoformat())


def _typed(arguments: Sequence[str], folder: Path, seconds: float) -> tuple[int | None, str]:
    """Exit code and last words of a verb typed in ``folder``; None where the time was over."""
    process = subprocess.Popen([*COMMAND, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, encoding="utf-8", start_new_session=True,
                               env={**os.environ, "COLUMNS": "120", "OMP_NUM_THREADS": "1"})
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None, f"not done within {seconds:.0f} s"
    told = out if process.returncode in (CALM, DRIFT) else err
    lines = [line for line in (drawn.strip(_FRAME) for drawn in told.splitlines()) if line]
    last = lines[-1] if lines else ""
    return process.returncode, f"traceback, {last}" if "Traceback (most recent" in err else last
