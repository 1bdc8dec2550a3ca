"""Replay: the policies over the stream's own history, as if live, from when service could begin."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from adapt.clock import Moment
from adapt.service import begin
from benchmarks.loop import LoopBench, answer
from flows.discover import discover_now
from flows.ingest import ingest_new, refusal
from flows.initial import write_settings
from flows.retrain import too_early
from flows.settings import SettingsError, nanoseconds
from flows.workspace import Workspace
from streams.sources import Answer

COLUMNS = {"policy": "policy", "mae": "MAE", "crps": "CRPS", "coverage80": "cover", "coverage80_last_lead": "last",
           "alarms": "alarms", "adaptations": "trained", "promotions": "served", "compute_seconds": "seconds"}

Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def run_replay(config: str | Path, names: Iterable[str], start: str | None, stop: str | None,
               progress: Bar) -> dict[str, Any]:
    """Replay the policies named over the workspace's history; ingests what is new first."""
    workspace = Workspace.open(config)
    files = ingest_new(workspace)
    _refuse_if_nothing(files)
    command = f"terracast replay --config {config} --policies {','.join(names)}"
    name = workspace.settings.stream.name
    return {**replay_workspace(workspace, tuple(names), start, stop, progress, name, command),
            "refused": refusal(files)}


def bench_file(data: Path, target: str | None, start: str | None, stop: str | None,
               progress: Bar, model: str = "native") -> dict[str, Any]:
    """The same over one data file, in a workspace of its own that is thrown away; ``model``: native or shipped."""
    with tempfile.TemporaryDirectory() as folder:
        config = write_settings(data.stem.replace("-", "_"), data, Path(folder), target=target, model=model)
        workspace = Workspace.open(config)
        _refuse_if_nothing(ingest_new(workspace))
        command = f"terracast bench loop --data {data}" + (f" --target {target}" if target else "")
        command += f" --model {model}" if model != "native" else ""
        for name, value in (("start", start), ("stop", stop)):
            command += f" --{name} {value}" if value else ""
        return replay_workspace(workspace, ("frozen", "weekly", "drift-only", "loop"), start, stop, progress,
                                data.name, command)


def replay_workspace(workspace: Workspace, names: tuple[str, ...], start: str | None, stop: str | None, progress: Bar,
                     data: str, command: str) -> dict[str, Any]:
    """Begin service as known at the start, then run every policy from there."""
    known = (*workspace.policies, "oracle")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SettingsError(f"no policy {unknown[0]!r}", where="--policies",
                            expected="some of " + ", ".join(known), remedy="mend --policies")
    mixes = any(name in workspace.policies and workspace.policies[name].mixes for name in names)
    bench = _begun(workspace, start, stop, progress, company=mixes and workspace.settings.adapt.company)
    ticks = (int((bench.stop - bench.start) / bench.watched.cadence) + 1) * (len(names) + 2)
    with progress("replaying", ticks) as advance:
        outcomes = bench.outcomes(workspace.policies, names, advance)
    return answer(bench, data, outcomes, command)


def _begun(workspace: Workspace, start: str | None, stop: str | None, progress: Bar, *, company: bool) -> LoopBench:
    settings = workspace.settings
    history = workspace.history(workspace.store.read())
    time = history.as_known_at(settings.stream.domain, np.datetime64("2261-01-01", "ns"))["time"].values
    first = pd.Timestamp(start) if start else pd.Timestamp(time[0]) + settings.base.first_fit
    moment = Moment(workspace.floor(first.to_datetime64()), history)
    last = workspace.floor(pd.Timestamp(stop).to_datetime64() if stop else time[-1])
    waiting = too_early(workspace, moment)
    if waiting is not None or last <= moment.now:
        raise SettingsError(waiting or f"replay would stop at {last}, before it starts", where=settings.stream.name,
                            expected=f"a start after {settings.base.first_fit} of data and before the stop",
                            remedy="ingest more, or set base.first_fit, --start or --stop")
    with progress("discovering drivers, fitting the base", 2) as advance:
        discovery = discover_now(workspace, moment)
        advance(1)
        nodes = tuple(str(node) for node in moment.known(settings.stream.domain)["node"].values)
        watched = workspace.watched(nodes, discovery.inputs())
        watched = watched.in_company(moment) if company else watched
        beginning = begin(watched, moment, workspace.fit, seed=settings.base.seed)
        advance(1)
    return LoopBench(history, watched, beginning, workspace.maker, moment.now, last,
                     settings.stream.false_alarms_per_month, nanoseconds(settings.adapt.cooldown), settings.base.seed)


def _refuse_if_nothing(files: tuple[Answer, ...]) -> None:
    refused = [file.refused for file in files if file.refused]
    if refused and len(refused) == len(files):
        raise SettingsError(refused[0], where="sources", expected="at least one readable file",
                            remedy="mend the file or the [[sources]]")
