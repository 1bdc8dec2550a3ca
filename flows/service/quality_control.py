"""Quality control in the store: what is flagged is read back before a step, brought up to it, and saved with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from terracast.flows.service.loop_state import HasState, save_part, saved_part
from terracast.flows.settings import nanoseconds
from terracast.flows.terminal.share_shown import Told, silent
from terracast.flows.workspace import Workspace
from terracast.streams.quality.known_flags import SET_ASIDE
from terracast.streams.quality.labels import CAUSES, bit, words
from terracast.streams.quality.online import QualityControl, Screened
from terracast.streams.store import Transaction, View
from terracast.streams.wording import listed, sentence

STATE = "quality"


def load_control(held: HasState) -> QualityControl:
    """Quality control as saved; a new one before the first service."""
    state = saved_part(held, STATE)
    return QualityControl() if state is None else QualityControl.restore(state)


def save_control(step: Transaction, control: QualityControl) -> None:
    """Write it into the open transaction: only what is new takes room."""
    save_part(step, STATE, control)


def screened(workspace: Workspace, view: View, now: np.datetime64 | None = None,
             since: np.datetime64 | None = None, tell: Told = silent) -> Screened:
    """The history, rows from ``since`` on, without what was set aside; flags brought up to ``now`` (default: as
    saved), and not saved. ``tell`` hears how far that is."""
    found = Screened(workspace.history(view, since), load_control(view))
    if now is not None:
        found.advance(now, lambda share: tell(share, "checking the past"))
    return found


def set_aside_lately(workspace: Workspace, view: View, now: np.datetime64) -> tuple[dict[str, Any], ...]:
    """Which values of what a forecaster looks back on count as missing, as known at ``now`` (on the loop's even axis):
    one entry for each series and label, with a sentence, under true stamps."""
    control, clock, span = load_control(view), workspace.clock, nanoseconds(workspace.settings.stream.history)
    found = []
    for domain in control.domains:
        flags = control.flags(domain)
        held = flags.between(now - span, now, flags.variables)
        for name, mask in held.data_vars.items():
            for label in words(int(SET_ASIDE)):
                cells = (mask.values & bit(label)) > 0
                if cells.any():
                    stamps = clock.shown(held["time"].values[cells.any(axis=1)])
                    nodes = [str(node) for node in held["node"].values[cells.any(axis=0)]]
                    found.append(_entry(domain, str(name), label, nodes, int(cells.sum()), stamps))
    return tuple(found)


def _entry(domain: str, name: str, label: str, nodes: list[str], values: int, stamps: np.ndarray) -> dict[str, Any]:
    since, until = (str(np.datetime_as_string(stamp, "s")) for stamp in (stamps[0], stamps[-1]))
    aside = "1 value counts" if values == 1 else f"{values} values count"
    said = (f"{sentence(CAUSES[label].format(variable=f'{name} of {domain}', nodes=listed(tuple(nodes))))} "
            f"{aside} as missing, from {since} to {until} UTC.")
    return {"domain": domain, "variable": name, "label": label, "nodes": nodes, "values": values, "since": since,
            "until": until, "words": said}
