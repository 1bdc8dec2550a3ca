"""Discover: the causal graph of all domains as known now, and the drivers chosen from it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from prefect import flow

from adapt.clock import Moment
from causal.discover import discover as find_graph
from causal.drivers import choose_drivers
from causal.graph import CausalGraph, Driver, Series
from causal.knowledge import Knowledge
from causal.prepare import prepare
from flows.as_of import as_of
from flows.settings import nanoseconds
from flows.workspace import Workspace
from streams.panel import step_of
from streams.store import Transaction


@dataclass(frozen=True)
class Discovery:
    """A graph with the drivers chosen from it."""

    graph: CausalGraph
    drivers: tuple[Driver, ...]

    @property
    def digest(self) -> str:
        """Names the graph in lineage."""
        return hashlib.sha256(self.graph.to_json().encode()).hexdigest()[:16]

    def inputs(self) -> dict[str, tuple[str, ...]]:
        """The driver variables in use, by domain."""
        used: dict[str, tuple[str, ...]] = {}
        for driver in self.drivers:
            if driver.used and driver.series.variable not in used.get(driver.series.domain, ()):
                used[driver.series.domain] = (*used.get(driver.series.domain, ()), driver.series.variable)
        return used


def discover_now(workspace: Workspace, moment: Moment) -> Discovery:
    """Discover on the window before ``moment``, as known then; the knowledge file is honoured."""
    settings = workspace.settings
    since = moment.now - nanoseconds(settings.discovery.window)
    panels = {domain: moment.known(domain, since) for domain in moment.domains}
    prepared = prepare(panels)
    knowledge = None
    if settings.discovery.knowledge is not None:
        knowledge = Knowledge.read(settings.path(settings.discovery.knowledge))
    graph = find_graph(prepared, max_lag=settings.discovery.max_lag, alpha=settings.discovery.alpha,
                       knowledge=knowledge)
    target = Series(settings.stream.domain, settings.stream.target)
    published = {domain: _delay_in_steps(workspace, domain, panels) for domain in panels}
    drivers = choose_drivers(graph, target, published=published)
    return Discovery(graph, tuple(drivers))


def _delay_in_steps(workspace: Workspace, domain: str, panels: dict[str, Any]) -> int:
    """How late a domain's values are known, in steps of the target."""
    delays = [source.delay for source in workspace.settings.sources if source.domain == domain]
    step = pd.Timedelta(step_of(panels[domain]))  # type: ignore[arg-type]
    delay = max((delay if delay is not None else step) for delay in delays) if delays else step
    return int(np.ceil(delay / workspace.settings.stream.step))


def save_discovery(step: Transaction, discovery: Discovery) -> None:
    """Keep graph and drivers in the store."""
    drivers = json.dumps([asdict(driver) for driver in discovery.drivers])
    step.set_state("causal", {"graph": discovery.graph.to_json(), "drivers": drivers, "digest": discovery.digest})


def saved_discovery(state: dict[str, Any] | None) -> Discovery | None:
    """Read back what ``save_discovery`` wrote."""
    if state is None:
        return None
    drivers = [Driver(**{**one, "series": Series(**one["series"]), "target": Series(**one["target"])})
               for one in json.loads(str(state["drivers"]))]
    return Discovery(CausalGraph.from_json(str(state["graph"])), tuple(drivers))


@flow(name="discover")
def discover(config: str = "terracast.toml", now: str | None = None, knowledge: str | None = None) -> dict[str, Any]:
    """Find the graph as known at ``now`` and save it; the next retrain uses its drivers."""
    workspace = Workspace.open(config)
    if knowledge is not None:
        workspace = workspace.with_knowledge(knowledge)
    moment = Moment(as_of(now), workspace.store.read().history())
    discovery = discover_now(workspace, moment)
    with workspace.store.transaction("discover") as step:
        save_discovery(step, discovery)
    return {"graph": json.loads(discovery.graph.to_json()), "digest": discovery.digest,
            "drivers": [asdict(driver) for driver in discovery.drivers]}
