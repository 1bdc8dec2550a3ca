"""Silence: a source or a node from which nothing comes is told once when it begins and once when it ends.

What has been told is kept in the store beside the loop, with the stamp of the last value, so that a restart repeats
nothing. While a silence lasts, its episode stays open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.flows.alerting.outbox import post_episode_alerts
from terracast.flows.reporting.freshness import SourceFreshness, freshness, silence_sentence, stamp_in_words
from terracast.flows.service.events import post_episodes
from terracast.flows.service.loop_state import load_loop, save_loop
from terracast.flows.workspace import Workspace
from terracast.streams.clock import Clock
from terracast.streams.instant import instant
from terracast.streams.store import Transaction, View
from terracast.streams.wording import listed

if TYPE_CHECKING:  # it brings torch along, which a step without news does without
    from terracast.adapt.loop import Loop

STATE = "silence"  # {domain: {"whole": stamp or "", "nodes": {node: stamp}}}
HOUR = np.timedelta64(1, "h")


@dataclass(frozen=True)
class SilenceNotices:
    """``silent``: what is silent now, new or not; ``returned``: a sentence for each that reports again; ``episodes``:
    ids of the episodes that opened or grew by it."""

    silent: tuple[dict[str, Any], ...] = ()
    returned: tuple[str, ...] = ()
    episodes: tuple[str, ...] = ()


def tell_silence(workspace: Workspace, now: np.datetime64) -> SilenceNotices:
    """Compare what is silent at ``now`` (on the loop's even axis) with what was told; writes only where there is
    news."""
    view, clock, even = workspace.store.read(), workspace.clock, now
    now = clock.shown(even)
    found = freshness(workspace, view, now)
    silent = tuple(_as_json(one, now) for one in found if one.silent or one.overdue)
    before, after = view.state(STATE) or {}, _state(found)
    if not _differ(before, after):
        return SilenceNotices(silent)
    with workspace.store.transaction(f"silence {np.datetime_as_string(now, 's')}") as step:
        loop = load_loop(workspace, step) if step.has_state("loop") else None
        returned = tuple(_returned(found, before, view, now))
        evidence = [] if loop is None else _begun(found, before, now, loop, clock)
        changed = () if loop is None else loop.take_in(even, evidence)
        if loop is not None:
            _act(loop, returned, after)
            save_loop(step, loop)
            latest = {} if loop is None else {one.id: one for one in loop.episodes.active()}
            shown = [latest.get(one.id, one).shown(clock.shown) for one in changed]
            post_episodes(step, shown, workspace.settings.stream.name)
            post_episode_alerts(step, workspace.settings.alerts, workspace.settings.stream.name, shown)
        step.set_state(STATE, after)
    return SilenceNotices(silent, returned, tuple(one.id for one in changed))


def silent_nodes(step: Transaction, domain: str) -> frozenset[str]:
    """Which nodes of a domain have been told silent."""
    told: Mapping[str, Any] = (step.state(STATE) or {}).get(domain, {})
    return frozenset(told.get("nodes", ()))


def any_silent(step: Transaction) -> bool:
    """Whether anything that was told silent has not reported since."""
    return _differ({}, step.state(STATE) or {})


def service_tick(workspace: Workspace, view: View, now: np.datetime64) -> np.datetime64:
    """When service begins, on the loop's even axis: at the last tick before ``now``, or, where a forecast then would
    see no value, at the first tick at which the newest value was known."""
    tick, stream, clock = workspace.floor(now), workspace.settings.stream, workspace.clock
    own = next((one for one in freshness(workspace, view, clock.shown(now)) if one.domain == stream.domain), None)
    watched = workspace.watched((), {})
    if own is None or own.newest is None or own.came is None or tick - clock.even(own.newest) <= watched.history:
        return tick
    return instant(tick - max(0, int((tick - clock.even(own.came)) // watched.cadence)) * watched.cadence)


def _as_json(source: SourceFreshness, now: np.datetime64) -> dict[str, Any]:
    return {"domain": source.domain, "whole": source.overdue, "newest": _text(source.newest), "due": _text(source.due),
            "age_hours": None if source.newest is None else round(float((now - source.newest) / HOUR), 1),
            "nodes": [{"node": one.node, "newest": _text(one.newest)} for one in source.nodes if one.overdue],
            "stations": len(source.nodes), "words": silence_sentence(source, now)}


def _text(stamp: np.datetime64 | None) -> str | None:
    return None if stamp is None else str(np.datetime_as_string(stamp, "s"))


def _state(found: Sequence[SourceFreshness]) -> dict[str, object]:
    return {one.domain: {"whole": str(one.newest) if one.overdue else "",
                         "nodes": {node.node: str(node.newest) for node in one.nodes if node.overdue}} for one in found}


def _differ(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether other sources or nodes are silent than were told."""
    def overdue(state: Mapping[str, Any]) -> set[tuple[str, str, str]]:
        whole = {(domain, "", one["whole"]) for domain, one in state.items() if one["whole"]}
        return whole | {(domain, node, since) for domain, one in state.items() for node, since in one["nodes"].items()}

    return overdue(before) != overdue(after)


def _begun(found: Sequence[SourceFreshness], before: Mapping[str, Any], now: np.datetime64, loop: Loop,
           clock: Clock) -> list[Evidence]:
    """A data ticket for each source, or nodes of one, that was not told yet, since its own last stamp."""
    tickets, own, nodes = [], loop.watched.domain, loop.watched.nodes
    for one in found:
        told = before.get(one.domain, {"whole": "", "nodes": {}})
        if one.overdue and one.newest is not None and not told["whole"]:
            concerned, since = (one.silent if one.domain == own else nodes), one.newest
        elif not one.overdue and (new := [node for node in one.nodes
                                          if node.overdue and node.newest is not None
                                          and (node.node not in told["nodes"] or told["whole"])]):
            concerned = tuple(node.node for node in new) if one.domain == own else ()  # the other stations go on
            since = min(node.newest for node in new if node.newest is not None)
        else:
            continue
        # A silence names the data ticket that it joins, the target's own before that of another source.
        weight = (1.0 if one.overdue else 0.5) if one.domain == own else 0.25
        tickets.append(Evidence(clock.even(now), clock.even(since), concerned, "health", "none", weight,
                                "outage" if one.overdue else "silent",
                                {"form": "source", "silence": silence_sentence(one, now)}))
    return tickets


def _returned(found: Sequence[SourceFreshness], before: Mapping[str, Any], view: View, now: np.datetime64
              ) -> list[str]:
    """A sentence for each source, or its nodes, that was told silent and is not any more."""
    sentences = []
    for one in found:
        told = before.get(one.domain, {"whole": "", "nodes": {}})
        back = [node for node in told["nodes"] if node not in one.silent]
        if not back or one.overdue:
            continue
        last = min(instant(told["nodes"][node]) for node in back)
        part = view.as_known_at(one.domain, now, last).sel(node=back)
        values = np.stack([part[name].transpose("time", "node").values for name in part.data_vars])
        rows = np.flatnonzero(np.isfinite(values).any(axis=(0, 2)) & (part["time"].values > last))
        since = f" since {stamp_in_words(part['time'].values[rows[0]])}" if len(rows) else ""
        who = one.domain if told["whole"] else listed(tuple(back))
        verb = "reports" if told["whole"] or len(back) == 1 else "report"
        sentences.append(f"{who} {verb} again{since}; nothing had come after {stamp_in_words(last)}.")
    return sentences


def _act(loop: Loop, returned: Sequence[str], after: Mapping[str, Any]) -> None:
    """What was done, the third sentence of the alarm: how forecasts go on, or that values come again."""
    episode = next((one.id for one in loop.episodes.active() if one.change_type == "health"), None)
    if returned:
        loop.act_on(episode, " ".join(returned))
    elif any(one["whole"] for one in after.values()):
        loop.act_on(episode, "Forecasts rest on older values, and stop when none is left in what the model sees")
