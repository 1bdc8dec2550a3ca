"""Flags of quality as data tickets: a faulty sensor is told once, when it begins, and is never drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from terracast.adapt.monitoring.diagnosis.evidence import Evidence
from terracast.streams.quality.known_flags import SET_ASIDE, KnownFlags
from terracast.streams.quality.labels import words as labels_of
from terracast.streams.quality.tickets import QualityTicket, tickets
from terracast.streams.stateful import Stateful
from terracast.streams.wording import listed

DAY = np.timedelta64(1, "D")
WINDOW, ROWS = 14 * DAY, 60  # how far back events are looked for: so long, and so many rows
MOST = 0.5  # of a driver's nodes: where fewer are faulty, the others stand in
TOLD = labels_of(int(SET_ASIDE))


@dataclass
class FlagTickets(Stateful):
    """Tells from their flags which sensors of the target are faulty, and which drivers at most of their nodes.

    Parameters
    ----------
    domain, target : str
        What is watched.
    nodes : tuple of str
        The watched nodes.
    told : dict
        For each series, node and label the last stamp (ns) of the event that was told.
    """

    domain: str
    target: str
    nodes: tuple[str, ...]
    told: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def update(self, now: np.datetime64, flags: Mapping[str, KnownFlags], drivers: Sequence[str]) -> list[Evidence]:
        """Data tickets of what the ``flags`` of each domain say of the target and the ``drivers``
        (``domain.variable``), as known at ``now``, and was not told yet."""
        found = []
        for event in self._events(now, flags, self.domain, self.target):
            nodes = tuple(node for node in event.nodes if node in self.nodes)
            if self._is_new(f"{self.domain}.{self.target}", nodes, event):
                found.append(_ticket(now, event, nodes, listed(nodes)))
        for driver in drivers:
            domain, _, name = driver.partition(".")
            events = self._events(now, flags, domain, name)
            found += [_ticket(now, event, self.nodes, f"The driver {driver}")
                      for event in _of_most(events, len(flags[domain].nodes) if events else 0)
                      if self._is_new(driver, ("",), event)]
        return found

    def alarmed_since(self, series: str, since: np.datetime64) -> bool:
        """Whether a series was told faulty at a stamp after ``since``."""
        return any(one == series and end > since.astype(np.int64) for (one, _, _), end in self.told.items())

    def _events(self, now: np.datetime64, flags: Mapping[str, KnownFlags], domain: str, name: str
                ) -> list[QualityTicket]:
        if domain not in flags:
            return []
        since = now - max(WINDOW, ROWS * flags[domain].step)
        return [one for one in tickets(flags[domain].between(since, now, (name,))) if one.fault_type in TOLD]

    def _is_new(self, series: str, nodes: tuple[str, ...], event: QualityTicket) -> bool:
        """Whether the event was not told yet of one of ``nodes``; remembers how far it goes."""
        start, end = (int(stamp.astype("datetime64[ns]").astype(np.int64)) for stamp in (event.start, event.end))
        keys = [(series, node, event.fault_type) for node in nodes]
        new = any(self.told.get(key, start - 1) < start for key in keys)
        self.told |= {key: max(end, self.told.get(key, end)) for key in keys}
        return new


def _of_most(events: Sequence[QualityTicket], nodes: int) -> list[QualityTicket]:
    """For each label that ``MOST`` of a driver's ``nodes`` bear at the end: their events as one."""
    going_on = [one for one in events if one.end > max(other.end for other in events) - DAY]
    found = []
    for fault_type in sorted({one.fault_type for one in going_on}):
        group = [one for one in going_on if one.fault_type == fault_type]
        if len({node for one in group for node in one.nodes}) >= MOST * nodes:
            found.append(replace(group[0], start=min(one.start for one in group), end=max(one.end for one in group)))
    return found


def _ticket(now: np.datetime64, event: QualityTicket, nodes: tuple[str, ...], who: str) -> Evidence:
    return Evidence(now, event.start.astype("datetime64[ns]"), nodes, "health", "none", 0.0, event.fault_type,
                    {"who": who})
