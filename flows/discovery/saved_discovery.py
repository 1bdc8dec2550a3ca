"""A discovery as a value and in the store: graph, drivers, what the trials gained, and the graph's story."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from terracast.causal.graph.exports import to_csv, to_dot, to_graphml
from terracast.causal.graph.graph import CausalGraph, Driver, Series
from terracast.drivers.selection import inputs_of
from terracast.flows.discovery.graph_history import GraphHistory, alarm_state
from terracast.streams.store import Transaction


@dataclass(frozen=True)
class Discovery:
    """A graph with the drivers chosen from it.

    ``known_at``: what it was found from, with the settings of digest ``made_by``. ``gains``: share of the loss that
    each series tried saved. ``block``: how long the losses of forecasts remember, for the watch in service.
    """

    graph: CausalGraph
    drivers: tuple[Driver, ...]
    known_at: np.datetime64 = field(default_factory=lambda: np.datetime64("NaT", "ns"))
    made_by: str = ""
    gains: Mapping[Series, float] = field(default_factory=dict)
    block: np.timedelta64 = field(default_factory=lambda: np.timedelta64(0, "ns"))
    story: GraphHistory = field(default_factory=GraphHistory)

    @property
    def digest(self) -> str:
        """Names the graph in lineage."""
        return hashlib.sha256(self.graph.to_json().encode()).hexdigest()[:16]

    def inputs(self) -> dict[str, tuple[str, ...]]:
        """The driver variables in use, by domain."""
        return inputs_of(self.drivers)

    def link_gains(self) -> dict[tuple[Series, Series, int], float]:
        """Gain per link (series, target, lag), as the report wants it."""
        return {(one.series, one.target, one.lag): self.gains[one.series]
                for one in self.drivers if one.series in self.gains}

    def files(self) -> dict[str, str]:
        """The graph in every form and the drivers, as files beside a model version."""
        drivers = json.dumps([asdict(one) | {"gain": self.gains.get(one.series)} for one in self.drivers], indent=1)
        return {"causal_graph.json": self.graph.to_json(), "causal_graph.graphml": to_graphml(self.graph),
                "causal_graph.dot": to_dot(self.graph), "causal_graph.csv": to_csv(self.graph),
                "drivers.json": drivers}

    def answer(self) -> dict[str, Any]:
        """As plain data, for ``--json``."""
        return {"graph": json.loads(self.graph.to_json()), "digest": self.digest, "known_at": str(self.known_at),
                "drivers": [asdict(one) | {"gain": self.gains.get(one.series)} for one in self.drivers],
                "alarms": [alarm_state(one) | {"new": fresh}
                           for one, fresh in zip(self.story.alarms, self.story.fresh, strict=True)],
                "note": self.story.note}


def save_discovery(step: Transaction, discovery: Discovery) -> None:
    """Keep graph, drivers and story in the store."""
    step.set_state("causal", {
        "graph": discovery.graph.to_json(), "drivers": drivers_text(discovery.drivers), "digest": discovery.digest,
        "known_at": str(discovery.known_at), "made_by": discovery.made_by,
        "gains": {str(series): float(gain) for series, gain in discovery.gains.items()},
        "block": int(discovery.block.astype("timedelta64[ns]").astype("int64")), "story": discovery.story.state()})


def saved_discovery(state: Mapping[str, Any] | None) -> Discovery | None:
    """Read back what ``save_discovery`` wrote."""
    if state is None:
        return None
    return Discovery(CausalGraph.from_json(str(state["graph"])), drivers_from(str(state["drivers"])),
                     np.datetime64(state.get("known_at", "NaT"), "ns"), str(state.get("made_by", "")),
                     {Series.parse(name): float(gain) for name, gain in state.get("gains", {}).items()},
                     np.timedelta64(int(state.get("block", 0)), "ns"), GraphHistory.restore(state.get("story")))


def drivers_text(drivers: tuple[Driver, ...]) -> str:
    """Drivers as JSON text."""
    return json.dumps([asdict(driver) for driver in drivers])


def drivers_from(text: str) -> tuple[Driver, ...]:
    """Read what ``drivers_text`` wrote."""
    return tuple(Driver(**{**one, "series": Series(**one["series"]), "target": Series(**one["target"]),
                           "via": Series(**one["via"]) if one.get("via") else None})
                 for one in json.loads(text))
