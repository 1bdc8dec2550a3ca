"""Events: what a step tells the outside of an episode: once that it opened, once that it closed, and when it grew.

What was told stands in the store and is committed with the step; what is still to be delivered stands beside it, and
goes out afterwards, where there is a Prefect server. An event's id follows from what it tells, so that one delivered
twice by a kill in between is one at the server, which takes an id once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from terracast.adapt.monitoring.episodes.episodes import Episode
from terracast.flows.running.prefect_api import EPISODE, ServerAwayError, ask, letter, server
from terracast.flows.terminal.output import note
from terracast.flows.workspace import Workspace
from terracast.streams.store import Transaction

STATE = "events"
STRONGER = 1.5  # by so much evidence must be stronger than when it was last told, to be told again
MOST = 100  # letters kept where no server takes them: the newest


def post_episodes(step: Transaction, changed: Iterable[Episode], stream: str) -> None:
    """Put what is news of the episodes that opened, grew or closed, under true stamps, into the open transaction."""
    state = step.state(STATE) or {"told": {}, "letters": []}
    told: dict[str, Any] = dict(state["told"])
    letters = list(state["letters"])
    for episode in changed:
        news = _news(episode, told.get(episode.id))
        if news is None:
            continue
        nodes = sorted({*episode.nodes, *told.get(episode.id, {"nodes": []})["nodes"]})
        told[episode.id] = {"nodes": nodes, "strength": float(episode.strength), "state": news}
        letters.append(letter(EPISODE, stream, f"{episode.id}:{news}:{len(nodes)}:{episode.strength:.3g}",
                              _utc(episode.last_evidence),
                              {"episode": episode.id, "state": news, "nodes": nodes, "sort": episode.change_type,
                               "alarm": str(episode.alarm), "episodes": [episode.to_json()]}))
    if letters != state["letters"]:
        step.set_state(STATE, {"told": {name: one for name, one in told.items() if one["state"] != "closed"},
                               "letters": letters[-MOST:]})


def post(step: Transaction, event: str, stream: str, key: str, occurred: np.datetime64,
         told: Mapping[str, Any]) -> None:
    """Put one event of another type into the open transaction; ``key`` names what it tells, once for ever."""
    state = step.state(STATE) or {"told": {}, "letters": []}
    letters = list(state["letters"])
    new = letter(event, stream, key, _utc(occurred), told)
    if all(one["id"] != new["id"] for one in letters):
        step.set_state(STATE, {**state, "letters": [*letters, new][-MOST:]})


def deliver(workspace: Workspace) -> None:
    """Hand the letters to the server, where there is one, then forget them; one that is away gets them next time."""
    api = server()
    state = None if api is None else workspace.store.read().state(STATE)
    if api is None or state is None or not state["letters"]:
        return
    sent: list[dict[str, Any]] = list(state["letters"])
    try:
        ask(api, "/events", sent)
    except ServerAwayError as away:
        note(f"{len(sent)} events wait: {away}")
        return
    gone = {one["id"] for one in sent}
    with workspace.store.transaction("events delivered") as step:
        now = step.state(STATE) or state
        rest = [one for one in now["letters"] if one["id"] not in gone]
        step.set_state(STATE, {**now, "letters": rest})


def _utc(instant: np.datetime64) -> str:
    return f"{np.datetime_as_string(instant, 's')}+00:00"


def _news(episode: Episode, before: Mapping[str, Any] | None) -> str | None:
    """``opened``, ``grew``, ``closed``, or None: nothing that was not told."""
    if episode.phase == "closed":
        return None if before is None else "closed"
    if before is None:
        return "opened"
    grown = not set(episode.nodes) <= set(before["nodes"]) or episode.strength >= STRONGER * before["strength"]
    return "grew" if grown else None
