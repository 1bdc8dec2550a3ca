"""The last replay of a stream, kept beside its settings so that the report can show it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from terracast.flows.reporting.content import Replayed
from terracast.flows.settings.clock import as_of
from terracast.flows.terminal.output import note
from terracast.flows.workspace import Workspace
from terracast.streams.wording import number


def place_of(workspace: Workspace) -> Path:
    """The file; a folder may hold the settings of several streams."""
    return workspace.settings.path(f"replay-{workspace.settings.stream.name}.json")


def keep(workspace: Workspace, answer: Mapping[str, Any]) -> None:
    """Write the answer down with the instant; where the folder cannot be written to, a note says so and no more."""
    path = place_of(workspace)
    unfinished = path.with_name(path.name + ".part")
    made = {"made": str(np.datetime_as_string(as_of(None), "s")), **answer}
    try:
        unfinished.write_text(json.dumps(made, default=str, allow_nan=False, indent=1), encoding="utf-8")
        unfinished.replace(path)
    except OSError as failed:
        note(f"the replay is not kept for the report: {path} cannot be written ({failed.strerror})")


def last_replay(workspace: Workspace) -> Replayed | None:
    """What was kept last; None where nothing was, or what lies there cannot be read."""
    path = place_of(workspace)
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        protocol = held["protocol"]
        columns = {"mae": "mae", "crps": "crps", "coverage80": "coverage", "alarms": "alarms",
                   "adaptations": "adaptations", "compute_seconds": "seconds"}
        rows = pd.DataFrame(held["rows"]).rename(columns=columns)
        words = (f"{protocol['target']} at {protocol['nodes']} nodes, {protocol['horizon_words']} ahead, "
                 f"a forecast every {protocol['cadence_words']} from {protocol['start'][:16].replace('T', ' ')} to "
                 f"{protocol['stop'][:16].replace('T', ' ')} UTC, {number(held['summary']['issue_times'])} in all")
        return Replayed(np.datetime64(held["made"], "ns"), words, held["advice"], rows, tuple(held["alarms"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as odd:
        note(f"the last replay cannot be shown: {path} ({type(odd).__name__}); run `terracast replay` again")
        return None
