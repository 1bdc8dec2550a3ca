"""The outbox of alerts: put in with the step that has the news, kept until each address has taken it.

What is to be told is committed with the step, so that a kill loses nothing. Before it is sent, all that waits for one
address as one message, it is claimed in a commit of its own; what arrived is struck off in another. A kill or a disk
that fills up between the two sends the message once more, never not at all, and under the same id
(``flows.alerting.claims``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from terracast.adapt.monitoring.episodes.episodes import Episode
from terracast.flows.alerting.alert import Alert, has_grown, of_episode, of_refusal
from terracast.flows.alerting.claims import LONGEST_WAIT, claim, is_under_way, lies_ahead
from terracast.flows.settings.alerts import AlertSettings
from terracast.flows.terminal.output import note
from terracast.flows.workspace import Workspace
from terracast.streams.errors import TerracastError
from terracast.streams.store import Transaction

STATE = "alerts"
MOST = 500  # letters kept for addresses that do not answer: the newest
AT_ONCE = 0.5  # seconds that a delivery waits for another one of this machine: that one sends what this one would
EMPTY: Mapping[str, Any] = {"letters": [], "told": {}, "acknowledged": {}, "muted": {}, "sent": {}, "failing": {},
                            "claims": {}, "refused": None, "arrived": 0}


@dataclass(frozen=True)
class Delivered:
    """What a round of delivery did: how many messages were ``sent``, how many letters are ``waiting``, and ``failing``:
    a sentence for each address that does not answer."""

    sent: int = 0
    waiting: int = 0
    failing: tuple[str, ...] = ()


def kept(state: Mapping[str, Any] | None) -> dict[str, Any]:
    """The state of the outbox, all of its parts."""
    return {**EMPTY, **(state or {})}


def post_alert(step: Transaction, alerts: AlertSettings, alert: Alert) -> None:
    """Put one alert into the open transaction, for each address of its kind; one that was put in is not put again."""
    addresses = alerts.addresses(alert.kind)
    state = kept(step.state(STATE))
    if not addresses or any(one["id"] == alert.id for one in state["letters"]):
        return
    letters = [*state["letters"], {**alert.to_json(), "waiting": list(addresses)}]
    step.set_state(STATE, {**state, "letters": letters[-MOST:]})


def post_episode_alerts(step: Transaction, alerts: AlertSettings, stream: str, changed: Iterable[Episode]) -> None:
    """Put what people are told of episodes into the open transaction: once that one opened, that it grew much (not if
    somebody has acknowledged it), and that it closed."""
    state = kept(step.state(STATE))
    told, acknowledged = dict(state["told"]), dict(state["acknowledged"])
    found: list[Alert] = []
    for episode in changed:
        before = told.get(episode.id)
        if episode.phase == "closed":
            if told.pop(episode.id, None) is not None:
                found.append(of_episode(episode, "closed", stream))
            acknowledged.pop(episode.id, None)
            continue
        if not alerts.every_address:
            continue
        if before is not None and (episode.id in acknowledged or not has_grown(episode, before)):
            continue
        told[episode.id] = {"strength": float(episode.strength), "nodes": len(episode.nodes)}
        found.append(of_episode(episode, "opened" if before is None else "grew", stream))
    if (told, acknowledged) != (state["told"], state["acknowledged"]):
        step.set_state(STATE, {**state, "told": told, "acknowledged": acknowledged})
    for alert in found:
        post_alert(step, alerts, alert)


def post_refusal(workspace: Workspace, words: str | None, at: datetime) -> None:
    """Put into the outbox that a part of the data was not taken, if that is news; None: all of it was."""
    if kept(workspace.store.read().state(STATE))["refused"] == words or not workspace.settings.alerts.every_address:
        return
    with workspace.store.transaction("data refused" if words else "data taken again") as step:
        step.set_state(STATE, {**kept(step.state(STATE)), "refused": words})
        if words is not None:
            stamp = at.astimezone(UTC).isoformat(timespec="seconds")
            post_alert(step, workspace.settings.alerts, of_refusal(words, workspace.settings.stream.name, stamp))


def deliver_alerts(workspace: Workspace, at: datetime) -> Delivered:
    """Send what is due at ``at`` (the clock on the wall): one message to each address, then strike off what arrived.

    An address that does not answer gets it later, after a wait that doubles up to an hour; a kind that is muted, quiet
    hours and the digest let it wait, too. So does a store that cannot be written: what cannot be claimed is not sent.
    Nothing is raised: a step does not depend on who hears of it.
    """
    alerts, state = workspace.settings.alerts, kept(workspace.store.read().state(STATE))
    if not state["letters"]:
        return Delivered()
    quiet = alerts.is_quiet(at.astimezone(ZoneInfo(workspace.zone or "UTC")))
    sent = 0
    try:
        if not quiet and _due(state, alerts, at):
            with workspace.registry.tracking.lock(f"{workspace.registry.name}.alerts", AT_ONCE):
                sent = _send_all(workspace, at)
        elif _cleared(state, alerts) != state:
            with workspace.store.transaction("alerts that nobody is told any more") as step:
                step.set_state(STATE, _cleared(kept(step.state(STATE)), alerts))
    except (TerracastError, OSError) as error:
        note(f"{len(state['letters'])} alerts wait: {error}")
    after = kept(workspace.store.read().state(STATE))
    return Delivered(sent, len(after["letters"]), trouble_of(after))


def _send_all(workspace: Workspace, at: datetime) -> int:
    """Claim what is due, send it, strike off what arrived; how many messages arrived."""
    alerts = workspace.settings.alerts
    with workspace.store.transaction("alerts claimed") as step:
        state = kept(step.state(STATE))
        due = _due(state, alerts, at)
        claims = {address: claim(state["claims"].get(address), address, letters, at)
                  for address, letters in due.items()}
        step.set_state(STATE, {**state, "claims": state["claims"] | claims})
    done: dict[str, list[str]] = {}
    failed: dict[str, str] = {}
    for address, letters in due.items():
        why = _send(workspace, address, letters, claims[address]["message"])
        if why is None:
            done[address] = [one["id"] for one in letters]
        else:
            failed[address] = why
            note(f"{len(letters)} alerts wait for {address}: {why}")
    try:
        with workspace.store.transaction("alerts delivered") as step:
            step.set_state(STATE, _struck_off(kept(step.state(STATE)), alerts, done, failed, at))
    except (TerracastError, OSError) as error:
        note(f"{len(done)} messages were sent and may come a second time, as they could not be struck off: {error}")
    return len(done)


def trouble_of(state: Mapping[str, Any] | None) -> tuple[str, ...]:
    """A sentence for each address that does not answer."""
    held = kept(state)
    return tuple(f"Alerts wait for {address} since {one['since']}: {one['why']}."
                 for address, one in held["failing"].items())


def _due(state: Mapping[str, Any], alerts: AlertSettings, at: datetime) -> dict[str, list[dict[str, Any]]]:
    """The letters that each address is to get now, oldest first; of a message that may have arrived the same ones."""
    muted = {kind for kind, until in state["muted"].items() if datetime.fromisoformat(until) > at}
    found: dict[str, list[dict[str, Any]]] = {}
    for address in alerts.every_address:
        last, failing, held = (state[part].get(address) for part in ("sent", "failing", "claims"))
        digest = timedelta(0) if last is None or alerts.digest is None else alerts.digest.to_pytimedelta()
        too_soon = last is not None and timedelta(0) <= at - datetime.fromisoformat(last) < digest
        if too_soon or (failing is not None and lies_ahead(failing["until"], at)):
            continue
        if held is not None and is_under_way(held, at):
            continue
        letters = [one for one in state["letters"] if address in one["waiting"]
                   and (one["kind"] not in muted if held is None else one["id"] in held["letters"])]
        if letters:
            found[address] = letters
    return found


def _send(workspace: Workspace, address: str, letters: list[dict[str, Any]], name: str) -> str | None:
    """One message of all ``letters`` under the id ``name``; why it did not arrive, or None."""
    from terracast.flows.alerting.message import message_of
    from terracast.flows.alerting.sending import send

    return send(address, message_of(workspace, letters, name))


def _cleared(state: dict[str, Any], alerts: AlertSettings,
             done: Mapping[str, list[str]] = MappingProxyType({})) -> dict[str, Any]:
    """The outbox without letters that nobody waits for any more, and without what is kept of addresses that the
    settings no longer have."""
    letters = []
    for one in state["letters"]:
        waiting = [address for address in one["waiting"]
                   if address in alerts.every_address and one["id"] not in done.get(address, ())]
        if waiting:
            letters.append({**one, "waiting": waiting})
    known = {part: {address: one for address, one in state[part].items() if address in alerts.every_address}
             for part in ("sent", "failing", "claims")}
    waited = {address for one in letters for address in one["waiting"]
              if one["id"] in known["claims"].get(address, {"letters": ()})["letters"]}
    known["claims"] = {address: one for address, one in known["claims"].items() if address in waited}
    return {**state, "letters": letters, **known}


def _struck_off(state: dict[str, Any], alerts: AlertSettings, done: Mapping[str, list[str]],
                failed: Mapping[str, str], at: datetime) -> dict[str, Any]:
    """The outbox after a round: what arrived is gone, what failed waits, and neither is claimed any more."""
    state = _cleared(state, alerts, done)
    stamp = at.astimezone(UTC).isoformat(timespec="seconds")
    failing = {address: one for address, one in state["failing"].items() if address not in done}
    for address, why in failed.items():
        tries = failing.get(address, {"tries": 0})["tries"] + 1
        wait = min(timedelta(seconds=15 * 2**min(tries, 12)), LONGEST_WAIT)
        failing[address] = {"tries": tries, "why": why, "since": failing.get(address, {"since": stamp})["since"],
                            "until": (at + wait).astimezone(UTC).isoformat(timespec="seconds")}
    claims = {address: one for address, one in state["claims"].items() if address not in {*done, *failed}}
    return {**state, "sent": state["sent"] | dict.fromkeys(done, stamp), "failing": failing, "claims": claims,
            "arrived": state["arrived"] + len(done)}
