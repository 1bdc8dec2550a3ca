"""The graph over time: graphs of windows in a row that are kept from run to run, and the alarms of their changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from terracast.causal.graph.changes import LinkChange
from terracast.causal.graph.graph import CausalGraph, Link, Series
from terracast.causal.preprocessing.prepare import Prepared
from terracast.causal.search.drift import GraphAlarm, graph_alarms
from terracast.causal.search.windows import Find, WindowGraph, window_graphs

WINDOWS = 12  # in the span that is searched
MOST_KEPT = 24
LEAST = 8  # what ``graph_alarms`` asks for
LEAST_ROWS = 200
ALPHA = 0.05  # chance of any false alarm each time that a window is complete


@dataclass(frozen=True)
class GraphHistory:
    """Graphs of consecutive windows, the changes that stand now, and which of them are told for the first time.

    ``key`` names search and knowledge: graphs that were found otherwise are not compared. ``note`` says why there
    can be no alarm yet.
    """

    key: str = ""
    windows: tuple[WindowGraph, ...] = ()
    alarms: tuple[GraphAlarm, ...] = ()
    fresh: tuple[bool, ...] = ()
    note: str = ""

    def continued(self, prepared: Prepared, find: Find, span: np.timedelta64, key: str) -> GraphHistory:
        """The story up to the last complete window of ``prepared``; ``span`` is the length that a search covers.

        Windows are a twelfth of the span, cut at fixed dates, so that the same window is never counted twice. While
        none has been completed since, nothing is looked at again: a graph that does not change raises an alarm with
        probability ``ALPHA`` at most a window. Costs a search a window.
        """
        step = prepared.time[1] - prepared.time[0]
        length = _length(span, step)
        part = _whole_windows(prepared, length)
        count = round(len(part.time) * (step / length))
        if count < 1 or length < LEAST_ROWS * step:
            return GraphHistory(key, note=_too_short(length, step, 0))
        if self.key == key and self.windows and self.windows[-1].end == part.time[-1] + step:
            return replace(self, fresh=(False,) * len(self.alarms))
        graphs = tuple(replace(one, graph=_light(one.graph)) for one in window_graphs(part, find, windows=count))
        if self.key == key:
            graphs = (*(one for one in self.windows if one.end <= graphs[0].start), *graphs)[-MOST_KEPT:]
        if len(graphs) < LEAST:
            return GraphHistory(key, graphs, note=_too_short(length, step, len(graphs)))
        alarms = graph_alarms(graphs, alpha=ALPHA)
        return GraphHistory(key, graphs, alarms, tuple(not self._reported_before(one, 2 * length) for one in alarms))

    def _reported_before(self, alarm: GraphAlarm, near: np.timedelta64) -> bool:
        return any(_pair(one) == _pair(alarm) and one.change.change_type == alarm.change.change_type
                   and abs(one.since - alarm.since) <= near for one in self.alarms)

    @property
    def news(self) -> tuple[GraphAlarm, ...]:
        """The alarms that are told for the first time."""
        return tuple(alarm for alarm, fresh in zip(self.alarms, self.fresh, strict=True) if fresh)

    def state(self) -> dict[str, object]:
        """As plain data."""
        return {"key": self.key, "note": self.note, "fresh": list(self.fresh),
                "windows": [{"start": str(one.start), "end": str(one.end), "graph": one.graph.to_json()}
                            for one in self.windows],
                "alarms": [alarm_state(one) for one in self.alarms]}

    @classmethod
    def restore(cls, state: Mapping[str, Any] | None) -> GraphHistory:
        """From ``state()``; None is a story that has not begun."""
        if state is None:
            return cls()
        windows = tuple(WindowGraph(np.datetime64(one["start"], "ns"), np.datetime64(one["end"], "ns"),
                                    CausalGraph.from_json(one["graph"])) for one in state["windows"])
        return cls(str(state["key"]), windows, tuple(_alarm(one) for one in state["alarms"]),
                   tuple(bool(one) for one in state["fresh"]), str(state["note"]))


def alarm_state(alarm: GraphAlarm) -> dict[str, object]:
    """An alarm as plain data: for the store, for answers and for events."""
    change = alarm.change
    links = {name: None if link is None else _link_state(link)
             for name, link in (("before", change.before), ("after", change.after))}
    return {"sort": change.change_type, "sentence": change.sentence, **links, "since": str(alarm.since),
            "p_value": alarm.p_value, "sentences": list(alarm.sentences)}


def _alarm(state: Mapping[str, Any]) -> GraphAlarm:
    before, after = (None if state[name] is None else _link(state[name]) for name in ("before", "after"))
    first, second, third = state["sentences"]
    return GraphAlarm(LinkChange(state["sort"], before, after, state["sentence"]), np.datetime64(state["since"], "ns"),
                      float(state["p_value"]), (first, second, third))


def _link_state(link: Link) -> str:
    return CausalGraph((), (link,), "", "", 0).to_json()


def _link(text: str) -> Link:
    return CausalGraph.from_json(text).links[0]


def _pair(alarm: GraphAlarm) -> frozenset[Series]:
    link = alarm.change.after or alarm.change.before
    return frozenset() if link is None else frozenset((link.cause, link.effect))


def _light(graph: CausalGraph) -> CausalGraph:
    """What a window needs to be compared: the links and the names."""
    return replace(graph, settings={}, assumptions=())


def _length(span: np.timedelta64, step: np.timedelta64) -> np.timedelta64:
    """A twelfth of the span in whole days, or in whole steps where a step is not a part of a day."""
    unit = np.timedelta64(1, "D").astype("timedelta64[ns]")
    whole = unit if unit % step == np.timedelta64(0, "ns") and span >= WINDOWS * unit else step
    return np.timedelta64(max(1, int(span / WINDOWS / whole)) * whole, "ns")


def _whole_windows(prepared: Prepared, length: np.timedelta64) -> Prepared:
    """The rows of all windows that are complete, cut at multiples of ``length`` since 1970."""
    step = prepared.time[1] - prepared.time[0]
    first, last = prepared.time[0].astype("int64"), (prepared.time[-1] + step).astype("int64")
    size = int(length.astype("int64"))
    edges = -(-first // size) * size, last // size * size
    inside = (prepared.time.astype("int64") >= edges[0]) & (prepared.time.astype("int64") < edges[1])
    return replace(prepared, values=prepared.values[inside], time=prepared.time[inside])


def _too_short(length: np.timedelta64, step: np.timedelta64, have: int) -> str:
    if length < LEAST_ROWS * step:
        return (f"Changes of the graph are not looked for: windows of {pd.Timedelta(length)} hold fewer than "
                f"{LEAST_ROWS} steps; set a longer discovery.window.")
    return (f"Changes of the graph are not looked for yet: {have} of {LEAST} windows of "
            f"{length / np.timedelta64(1, 'D'):.0f} days are complete.")
