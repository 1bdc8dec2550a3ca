"""What the report tells of causes, and what the last one told: so that the page can say what changed since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from terracast.causal.graph.drawing import draw
from terracast.causal.graph.graph import CausalGraph, Driver
from terracast.flows.discovery.saved_discovery import Discovery, drivers_from, drivers_text, saved_discovery
from terracast.flows.reporting.content import Reasons
from terracast.flows.reporting.reasons import EarlierChoice, reasons_from
from terracast.flows.service.loop_state import HasState, load_drivers
from terracast.streams.store import Transaction
from terracast.streams.wording import day


def remember(step: Transaction, now: np.datetime64) -> EarlierChoice | None:
    """Note in the store what the report of ``now`` shows; answers what the last report that showed something else did.

    A report written again of the same discovery and the same drivers in use tells the same changes again.
    """
    discovery = saved_discovery(step.state("causal"))
    if discovery is None:
        return None
    drivers = drivers_now(step, discovery)
    shown: dict[str, Any] = step.state("reported") or {"current": None, "before": None}
    current = {"digest": discovery.digest, "graph": discovery.graph.to_json(), "drivers": drivers_text(drivers),
               "day": day(now)}
    held = shown["current"]
    if held is None or any(held[name] != current[name] for name in ("digest", "drivers")):
        shown = {"current": current, "before": held}
        step.set_state("reported", shown)
    return _earlier(shown["before"])


def reasons_of(view: HasState, before: EarlierChoice | None) -> Reasons:
    """The "Why these inputs?" part of the page: all of the saved discovery, with the drivers as they are used now."""
    discovery = saved_discovery(view.state("causal"))
    if discovery is None:
        return Reasons()
    drivers = drivers_now(view, discovery)
    reasons = reasons_from(discovery.graph, drivers, draw(discovery.graph, drivers), gains=discovery.link_gains(),
                           earlier=before, alarms=discovery.story.alarms)
    return replace(reasons, alarm_note=discovery.story.note)


def drivers_now(held: HasState, discovery: Discovery) -> tuple[Driver, ...]:
    """The drivers of a discovery as they are used now: those that service has dropped since are not, nor those that
    wait for the next retrain, each with the reason."""
    service = load_drivers(held)
    if service is None:
        return discovery.drivers
    return tuple(one if not one.used or one.series.variable in service.begun.get(one.series.domain, ()) else
                 replace(one, used=False, reason=f"{one.reason}; it is used from the next `terracast retrain` on")
                 for one in service.watch.judged(discovery.drivers))


def _earlier(held: Mapping[str, Any] | None) -> EarlierChoice | None:
    if held is None:
        return None
    return EarlierChoice(CausalGraph.from_json(held["graph"]), drivers_from(held["drivers"]), held["day"])
