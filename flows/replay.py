"""Replay: the policies over the stream's own history, as if live, from when service could begin."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from terracast.adapt.clock import Moment
from terracast.benchmarks.loop import LoopBench, answer
from terracast.flows.discover import discover_now
from terracast.flows.ingest import ingest_new, refusal
from terracast.flows.init import write_settings
from terracast.flows.reporting.advice import advice
from terracast.flows.reporting.replay_words import alarms
from terracast.flows.reporting.wording import duration
from terracast.flows.service.first_service import begun, first_start, note_short_past, task_at, too_early
from terracast.flows.service.replay_state import keep
from terracast.flows.settings import SettingsError, nanoseconds
from terracast.flows.settings.clock import as_of
from terracast.flows.terminal.share_shown import share_shown, within
from terracast.flows.workspace import Workspace
from terracast.stfm.bases import DEFAULT
from terracast.streams.clock import Clock
from terracast.streams.quality.online import QualityControl, Screened
from terracast.streams.sources import IngestAnswer

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
    found = replay_workspace(workspace, tuple(names), start, stop, progress, name, command)
    keep(workspace, found)
    return {**found, "refused": refusal(files)}


def bench_file(data: Path, target: str | None, start: str | None, stop: str | None,
               progress: Bar, model: str = DEFAULT) -> dict[str, Any]:
    """The same over one data file, in a workspace of its own that is thrown away; ``model``: shipped or native."""
    with tempfile.TemporaryDirectory() as folder:
        config = write_settings(data.stem.replace("-", "_"), data, Path(folder), target=target, model=model)
        workspace = Workspace.open(config)
        _refuse_if_nothing(ingest_new(workspace))
        command = f"terracast bench loop --data {data}" + (f" --target {target}" if target else "")
        command += f" --model {model}" if model != DEFAULT else ""
        for name, value in (("start", start), ("stop", stop)):
            command += f" --{name} {value}" if value else ""
        return replay_workspace(workspace, ("frozen", "weekly", "drift-only", "mixture"), start, stop, progress,
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
    bench = begun_bench(workspace, start, stop, covariates=mixes and workspace.settings.adapt.covariates)
    ticks = (int((bench.stop - bench.start) / bench.watched.cadence) + 1) * (len(names) + len(bench.baselines))
    with progress("replaying", ticks) as advance:
        outcomes = bench.outcomes(workspace.policies, names, advance)
    if not any(outcome.scores["labels"].sum() for outcome in outcomes):
        raise SettingsError("no label of any forecast came before the stop", where=workspace.settings.stream.name,
                            expected="values known by then", remedy="give a later --stop, or mend delay in [[sources]]")
    shown = workspace.clock.shown
    outcomes = [replace(one, episodes=tuple(told.shown(shown) for told in one.episodes)) for one in outcomes]
    found = answer(bench, data, outcomes, command)
    stream = workspace.settings.stream
    found["protocol"] |= {"horizon_words": duration(stream.horizon), "cadence_words": duration(stream.cadence)}
    for name in ("start", "stop"):
        found["protocol"][name] = str(np.datetime_as_string(shown(np.datetime64(found["protocol"][name], "ns")), "s"))
    told = advice(outcomes, tuple(bench.baselines), stream.horizon, found["protocol"]["units"])
    return found | {"advice": told, "alarms": alarms(found["rows"], list(bench.baselines))}


def begun_bench(workspace: Workspace, start: str | None, stop: str | None, *, covariates: bool) -> LoopBench:
    """What a replay compares, with service begun as known at the start."""
    settings = workspace.settings
    history = workspace.history(workspace.store.read())
    time = history.as_known_at(settings.stream.domain, np.datetime64("2261-01-01", "ns"))["time"].values
    if not len(time):
        raise SettingsError(f"nothing of domain {settings.stream.domain} is known", where=settings.stream.name,
                            expected="data in the store", remedy="mend the file or the [[sources]]")
    clock = workspace.clock
    first = workspace.floor(clock.even(as_of(start, "--start"))) if start else first_start(workspace, history)
    moment = Moment(first, history)
    last = workspace.floor(clock.even(as_of(stop, "--stop")) if stop else time[-1])
    waiting = too_early(workspace, moment)
    over = moment.now + nanoseconds(settings.stream.horizon) + nanoseconds(settings.stream.cadence)
    if waiting is not None or last < over:  # before anything is fitted: a forecast must be over to be scored
        raise SettingsError(waiting or f"replay would stop at {_minute(clock, last)}, before the first forecast, of "
                            f"{_minute(clock, moment.now)}, is over",
                            where=settings.stream.name,
                            remedy="ingest more, or change --start or --stop",
                            expected="enough data before the start; the store holds "
                                     + " to ".join(np.datetime_as_string(clock.shown(time[[0, -1]]), "m")))
    screened = Screened(history, QualityControl())
    note_short_past(workspace, moment)
    with share_shown("beginning service") as tell:
        screened.advance(moment.now, lambda share: tell(0.1 * share, "checking the past"))
        moment = Moment(moment.now, screened)
        discovery = discover_now(workspace, moment, tell=within(tell, 0.1, 0.3))
        watched = task_at(workspace, moment, discovery, covariates=covariates)
        beginning = begun(workspace, watched, moment, within(tell, 0.3, 1.0))
    return LoopBench(screened, watched, beginning, workspace.maker, moment.now, last,
                     settings.stream.false_alarms_per_month, nanoseconds(settings.adapt.cooldown), settings.base.seed,
                     settings.monitor.detector)


def _minute(clock: Clock, at: np.datetime64) -> str:
    return str(np.datetime_as_string(clock.shown(at), "m"))


def _refuse_if_nothing(files: tuple[IngestAnswer, ...]) -> None:
    refused = [file.refused for file in files if file.refused]
    if refused and len(refused) == len(files):
        raise SettingsError(refused[0], where="sources", expected="at least one readable file",
                            remedy="mend the file or the [[sources]]")
