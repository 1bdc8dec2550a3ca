"""One message to one address: the alerts that wait for it, a link, and a chart of what the first one is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from terracast.flows.alerting.alert import one_line
from terracast.flows.reporting.addresses import episode_address
from terracast.flows.terminal.output import note
from terracast.flows.workspace import Workspace

LEGEND = "In the chart: black is what was observed, blue the forecast, the red line where the change began."
LEVELS = ("failure", "warning", "info", "success")  # the gravest names the message


@dataclass(frozen=True)
class Message:
    """What is sent: ``picture`` is a PNG, or None; ``id`` is the same if the message is sent a second time."""

    title: str
    text: str
    level: str = "warning"
    picture: bytes | None = None
    id: str = ""


def message_of(workspace: Workspace, letters: Sequence[dict[str, Any]], name: str) -> Message:
    """The letters as one message, the first ones first, under the id ``name``, which stands at its end."""
    stream, page = workspace.settings.stream.name, workspace.settings.alerts.page
    title = letters[0]["title"] if len(letters) == 1 else one_line(f"{stream}: {len(letters)} alerts")
    parts = [one["text"] if len(letters) == 1 else f"{one['title']}\n{one['text']}" for one in letters]
    open_ones = [one["episode"] for one in letters if one["episode"] and one["level"] == "warning"]
    ending = [_links(page, letters)]
    if open_ones:
        ending.append(f"To say that you look after it: terracast ack {open_ones[0]}")
    picture = _picture(workspace, letters)
    ending += [LEGEND] if picture is not None else []
    ending.append(f"Message {name}; a second one of this name says nothing new.")
    return Message(title, "\n\n".join([*parts, *(one for one in ending if one)]),
                   min((one["level"] for one in letters), key=LEVELS.index), picture, name)


def _links(page: str | None, letters: Sequence[dict[str, Any]]) -> str:
    """Where to read on: the page of each episode, or the first page where the news are of none."""
    if not page:
        return ""
    named = dict.fromkeys(one["episode"] for one in letters if one["episode"])
    return "\n".join(f"See {episode_address(page, one)}." for one in named) or f"See {page}."


def _picture(workspace: Workspace, letters: Sequence[dict[str, Any]]) -> bytes | None:
    """A chart of the first episode's first node; none where it cannot be drawn: the words matter more."""
    shown = next((one for one in letters if one["episode"]), None)
    if shown is None or not workspace.settings.alerts.picture:
        return None
    from terracast.flows.alerting.picture import chart_of_node

    try:
        return chart_of_node(workspace, shown["node"], np.datetime64(shown["since"], "ns"))
    except Exception as error:  # of whatever kind: an alert without its picture is an alert
        note(f"the alert goes without its chart: {type(error).__name__}: {error}")
        return None
