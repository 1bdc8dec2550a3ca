"""A workspace in service that is quick to make, and what its verbs answer: for tests that move, copy and restore it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

COMMAND = [sys.executable, "-c", "from terracast.flows.command import main; main()"]
NOW = "2024-01-25T00:30:00"
SETTINGS = """\
[stream]
name = "berlin"
domain = "air"
target = "no2"
step = "1h"
horizon = "12h"
cadence = "6h"
history = "4d"
label_timeout = "12h"

[base]
model = "native"
first_fit = "20d"
steps = 5

[adapt]
policy = "drift-only"
steps = 5

[[sources]]
domain = "air"
path = "incoming"
units = {no2 = "ug m-3"}
delay = "1h"
"""


def table(first: str, days: int) -> pd.DataFrame:
    """Hourly values of two stations from a day on; the same for the same stamps."""
    clock = pd.date_range(first, periods=24 * days, freq="h")
    rows = []
    for place, node in enumerate(("Mitte", "Wedding")):
        noise = [np.random.default_rng([place, stamp.value // 10**9]).normal(0, 3) for stamp in clock]
        level = 30 + 10 * np.sin(2 * np.pi * clock.hour / 24 + place) + noise
        rows.append(pd.DataFrame({"time": clock.strftime("%Y-%m-%dT%H:%M:%SZ"), "station": node,
                                  "lat": 52.5 + place / 20, "lon": 13.4, "no2": level.round(2)}))
    return pd.concat(rows)


def serve(folder: Path) -> None:
    """Make a workspace with two versions, the second one promoted, in service since 2024-01-22."""
    from terracast.flows.retrain import retrain
    from terracast.flows.watch import watch_once
    from terracast.flows.workspace import Workspace

    (folder / "incoming").mkdir(parents=True)
    (folder / "terracast.toml").write_text(SETTINGS, encoding="utf-8")
    table("2024-01-01", 21).to_csv(folder / "incoming" / "a.csv", index=False)
    config = folder / "terracast.toml"
    watch_once(Workspace.open(config), np.datetime64("2024-01-22T00:30", "ns"))
    table("2024-01-22", 2).to_csv(folder / "incoming" / "b.csv", index=False)
    retrain(str(config), "2024-01-24T00:30:00")
    watch_once(Workspace.open(config), np.datetime64("2024-01-24T00:30", "ns"))


def typed(folder: Path, *words: str, **given: Any) -> subprocess.CompletedProcess[str]:
    """A verb, typed in a folder."""
    return subprocess.run([*COMMAND, *words], cwd=folder, capture_output=True, text=True, timeout=240,
                          env={**os.environ, "OMP_NUM_THREADS": "1"}, **given)


def answer(folder: Path, *words: str, codes: tuple[int, ...] = (0, 3), **given: Any) -> dict[str, Any]:
    """What a verb answers to a program."""
    done = typed(folder, *words, "--json", **given)
    assert done.returncode in codes, done.stderr
    return dict(json.loads(done.stdout))
