"""Metrics: the numbers of a stream for dashboards, read from the store and the registry.

``terracast metrics`` asks once. The runner of ``terracast up`` asks after each run and writes the answer down, from
which the page tells ``/metrics`` (``flows.running.exposition``). Nothing is computed that a step computes.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from terracast.adapt.monitoring.episodes.episodes import Episode, Episodes
from terracast.flows.alerting.outbox import STATE as ALERTS
from terracast.flows.alerting.outbox import kept
from terracast.flows.reporting.freshness import SourceFreshness, freshness
from terracast.flows.running.exposition import KINDS, STORED, StreamNumbers, numbers_at
from terracast.flows.running.place import RunningPlace
from terracast.flows.service.approvals import waiting
from terracast.flows.service.loop_state import loop_part
from terracast.flows.settings import Settings, nanoseconds, read_settings
from terracast.flows.settings.clock import as_of
from terracast.flows.status import store_bytes
from terracast.flows.terminal.one_line import in_one_line
from terracast.flows.workspace import Workspace
from terracast.streams.errors import TerracastError
from terracast.streams.storage.arrays import attrs_of
from terracast.streams.storage.observations import find_domain
from terracast.streams.store import View

RECENT = np.timedelta64(28, "D")  # what "lately" is, as in the report
MOST_OPEN = 20  # open episodes that the page names: the newest
FEWEST, MOST = 24, 2000  # cadences that are looked back on at least, where steps are rare, and at most


def metrics(config: Path, now: str | None = None, *, frozen: bool = False) -> StreamNumbers:
    """How the stream of a settings file stands at ``now`` (default: the clock), in numbers.

    ``frozen``: also have the frozen base forecast the last 28 days anew, to tell its error; where ``up`` runs, its last
    comparison is told in any case. What cannot be read is named in ``stored["unread"]``. Raises ``SettingsError``.
    """
    place, at = RunningPlace.of(config), as_of(now)
    stored = measured(config, at)
    return numbers_now(place, stored | _compared(config, at) if frozen else stored, at)


def numbers_now(place: RunningPlace, stored: Mapping[str, Any], at: np.datetime64) -> StreamNumbers:
    """What was ``stored``, at the instant ``at``, with what ``up`` tells of itself where it runs."""
    running = place.alive
    if running and "compared" not in stored:
        stored = {**stored, "compared": place.read(STORED).get("compared")}
    instant = pd.Timestamp(at).to_pydatetime(warn=False).replace(tzinfo=UTC)
    return numbers_at(place, stored["stream"], instant, stored, running=running)


def measured(config: Path, at: np.datetime64) -> dict[str, Any]:
    """What store and registry hold at ``at``, as plain data with instants as text, UTC. What cannot be read is left
    out, and ``unread`` says why, a line each. Raises ``SettingsError``."""
    settings = read_settings(config)
    try:
        workspace = Workspace.open(config)
    except TerracastError as error:
        return {**gathered(settings, at, ()), "unread": [str(error)]}
    return gathered(settings, at, (lambda: of_store(workspace, workspace.store.read(), at),
                                   lambda: of_champion(workspace), lambda: {"store_bytes": _bytes(workspace)}))


def gathered(settings: Settings, at: np.datetime64, parts: Iterable[Callable[[], dict[str, Any]]]) -> dict[str, Any]:
    """What the ``parts`` find, read at ``at``; what one cannot read is a line in ``unread``."""
    stream = settings.stream
    found: dict[str, Any] = {"stream": stream.name, "target": stream.target, "read_at": _text(at), "unread": [],
                             "cadence_seconds": stream.cadence.total_seconds()}
    for part in parts:
        try:
            found |= part()
        except Exception as error:  # of whatever library: the other parts are told all the same
            words = str(error) if isinstance(error, TerracastError) else in_one_line(error, "metrics")
            found["unread"] += [] if words in found["unread"] else [words]
    return found


def write_whole(text: bytes, out: Path) -> Path:
    """Write a file by rename: a collector that reads it meanwhile sees the old one or the new one, whole."""
    unfinished = out.with_name(f".{out.name}.{os.getpid()}")  # a collector takes names that end in .prom
    try:
        unfinished.write_bytes(text)
        return unfinished.replace(out)
    except OSError as failed:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise TerracastError(f"the metrics cannot be written ({failed.strerror or failed})", where=str(out),
                             expected="a file in a folder that can be written to",
                             remedy="name another with --out") from failed


def of_store(workspace: Workspace, view: View, at: np.datetime64) -> dict[str, Any]:
    """What one snapshot of the store holds."""
    last: np.datetime64 | None = loop_part(workspace, view, "last_tick")
    episodes: Episodes | None = loop_part(workspace, view, "episodes")
    known = loop_part(workspace, view, "episodes_by_id")
    outbox = kept(view.state(ALERTS))
    found: dict[str, Any] = {
        "alerts": {"arrived": outbox["arrived"], "waiting": len(outbox["letters"]), "failing": len(outbox["failing"])},
        "sources": {one.domain: _source(one) for one in freshness(workspace, view, at)},
        "units": _units(workspace, view), "last_step": None if last is None else _text(workspace.clock.shown(last))}
    if episodes is None:
        return found
    told = [known.get(one.id, one) for one in episodes.active()]
    kinds = Counter(one.change_type for one in told)
    return {**found, "approvals": waiting(workspace, view),
            "errors": None if last is None else _errors(workspace, view, last),
            "open_episodes": {kind: kinds[kind] for kind in dict.fromkeys((*KINDS, *kinds))},
            "open": [_open(one.shown(workspace.clock.shown), outbox) for one in told[-MOST_OPEN:]],
            "alarms_opened": len(known), "learning": int(loop_part(workspace, view, "still_learning") is not None)}


def _open(episode: Episode, outbox: dict[str, Any]) -> dict[str, Any]:
    """An open episode as the page shows it, with who looks after it."""
    known = outbox["acknowledged"].get(episode.id)
    return {"id": episode.id, "words": str(episode.alarm), "by": None if known is None else known["by"]}


def _source(one: SourceFreshness) -> dict[str, Any]:
    return {"newest": _text(one.newest), "overdue_from": _text(one.overdue_from), "silent_nodes": len(one.silent)}


def _units(workspace: Workspace, view: View) -> str:
    """The target's units as the store has them; empty where nothing has come yet."""
    stream = workspace.settings.stream
    held = find_domain(view.root, stream.domain)
    there = held is not None and stream.target in held.arrays
    return str(attrs_of(held.arrays[stream.target]).get("units", "")) if held is not None and there else ""


def _errors(workspace: Workspace, view: View, last: np.datetime64) -> dict[str, Any] | None:
    """Error and coverage lately, each node's a mean over the labels that came, the network's a mean over nodes.

    Of the last 28 days, but of 24 cadences at least, those that can have been scored; of 2,000 at most.
    """
    stream = workspace.settings.stream
    cadence = nanoseconds(stream.cadence)
    waits = nanoseconds(stream.horizon) + nanoseconds(stream.label_timeout)
    span = min(max(RECENT, FEWEST * cadence + waits), MOST * cadence + waits)
    scores = view.ledger(f"scores/{stream.domain}", workspace.clock.shown(last - span))
    if scores is None or not scores.sizes["issue_time"]:
        return None
    labels = scores["labels"].transpose("issue_time", "node").values
    came = labels.sum(axis=0)
    error, coverage = (np.nansum(scores[name].transpose("issue_time", "node").values * labels, axis=0)
                       / np.where(came > 0, came, np.nan) for name in ("absolute_error", "hits"))
    if not came.any():
        return None
    return {"mean_absolute_error": float(np.nanmean(error)), "coverage": float(np.nanmean(coverage)),
            "forecasts": int(scores.sizes["issue_time"]),
            "nodes": {str(node): [float(error[column]), float(coverage[column])]
                      for column, node in enumerate(scores["node"].values) if came[column]}}


def of_champion(workspace: Workspace) -> dict[str, Any]:
    """The version in service and when it was made, as the registry knows them."""
    number = workspace.registry.champion()
    if number is None:
        return {"champion": None}
    return {"champion": {"version": int(number), "created": _text(workspace.registry.version(number).created)},
            "previous": workspace.registry.alias("previous")}


def _bytes(workspace: Workspace) -> int | None:
    """None on object storage, where it would have to be listed."""
    return store_bytes(workspace) if workspace.store.is_local else None


def _compared(config: Path, at: np.datetime64) -> dict[str, Any]:
    """The error of the frozen base, made anew."""
    from terracast.flows.report import errors_compared  # brings torch along

    return {"compared": errors_compared(Workspace.open(config), at)}


def _text(stamp: np.datetime64 | None) -> str | None:
    """An instant to the millisecond, UTC."""
    return None if stamp is None or np.isnat(stamp) else f"{np.datetime_as_string(stamp, 'ms')}Z"
