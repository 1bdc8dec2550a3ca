"""Acknowledge an episode, or mute a kind of alert; and how the alerts stand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

from terracast.flows.alerting.message import Message
from terracast.flows.alerting.outbox import STATE, kept, trouble_of
from terracast.flows.running.run_status import now, stamp
from terracast.flows.settings import SettingsError
from terracast.flows.settings.alerts import KINDS
from terracast.flows.workspace import Workspace
from terracast.streams.errors import TerracastError


class AcknowledgeError(TerracastError):
    """An episode that is not open, or a kind that does not exist."""


@dataclass(frozen=True)
class Reached:
    """Whether an address took the test; ``why`` not."""

    address: str
    why: str | None

    def to_json(self) -> dict[str, Any]:
        """As a program reads it."""
        return {"address": self.address, "arrived": self.why is None, "why": self.why}


def acknowledge(config: Path, episode: str, by: str, note: str = "") -> dict[str, Any]:
    """Write down who looks after an open episode: nobody is told any more that it grows, only that it closed.

    Raises ``AcknowledgeError`` where no such episode is open.
    """
    from terracast.flows.status import open_episodes

    workspace = Workspace.open(config)
    held = [one.id for one in open_episodes(workspace)]
    if episode not in held:
        raise AcknowledgeError(f"no open episode {episode!r}", where=workspace.settings.stream.name,
                               expected="one of " + (", ".join(held) or "none: nothing is open"),
                               remedy="see `terracast status`")
    known = {"by": by, "at": stamp(now()), "note": note}
    with workspace.store.transaction(f"acknowledged {episode}") as step:
        state = kept(step.state(STATE))
        step.set_state(STATE, {**state, "acknowledged": {**state["acknowledged"], episode: known}})
    return {"episode": episode, **known}


def mute(config: Path, kind: str, span: timedelta) -> dict[str, Any]:
    """Send no alerts of a ``kind`` for so long; they wait, and come afterwards. A span of 0 ends it.

    Raises ``AcknowledgeError`` where there is no such kind.
    """
    if kind not in KINDS:
        raise AcknowledgeError(f"no kind of alert {kind!r}", where="--kind", expected="one of " + ", ".join(KINDS),
                               remedy="name one of them")
    workspace = Workspace.open(config)
    until = (now() + span).astimezone(UTC).isoformat(timespec="seconds")
    with workspace.store.transaction(f"muted {kind}") as step:
        state = kept(step.state(STATE))
        step.set_state(STATE, {**state, "muted": {**state["muted"], kind: until}})
    return {"muted": kind, "until": until}


def outbox_status(config: Path) -> dict[str, Any]:
    """Who is told of what, what waits, who does not answer, what is muted and what is acknowledged."""
    workspace = Workspace.open(config)
    state, alerts = kept(workspace.store.read().state(STATE)), workspace.settings.alerts
    addresses = [{"address": one, "kinds": [kind for kind in KINDS if one in alerts.addresses(kind)],
                  "last": state["sent"].get(one), "waiting": sum(one in each["waiting"] for each in state["letters"]),
                  "failing": state["failing"].get(one, {}).get("why")} for one in alerts.every_address]
    return {"addresses": addresses, "waiting": [{"title": one["title"], "kind": one["kind"], "to": one["waiting"]}
                                                for one in state["letters"]],
            "trouble": list(trouble_of(state)), "muted": state["muted"], "acknowledged": state["acknowledged"]}


def test_addresses(config: Path) -> list[Reached]:
    """Send a test to every address of the settings; raises ``SettingsError`` where there is none."""
    from terracast.flows.alerting.sending import send

    settings = Workspace.open(config).settings
    if not settings.alerts.every_address:
        raise SettingsError("no address is set", where=f"{config}: [alerts]", expected='such as to = ["ntfys://my-topic"]',
                            remedy="add the section, see `terracast alerts --help`")
    message = Message(f"{settings.stream.name}: test", "This is a test of Terracast's alerts. Nothing has happened.",
                      "info")
    return [Reached(one, send(one, message)) for one in settings.alerts.every_address]
