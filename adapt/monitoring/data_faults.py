"""Faults of the data, told as tickets: outages, silent and stuck sensors, other units; never a drift of the world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from adapt.monitoring.evidence import Evidence
from adapt.monitoring.health import Silence, Stuck
from adapt.monitoring.units import IN_A_ROW, Units

SILENT_BLOCKS = 3


class DataFaults:
    """Watches what the nodes report, row by row; made by ``fit``.

    Parameters
    ----------
    nodes : tuple of str
        Their names.
    step : timedelta64
        Time between two rows.
    silence : Silence
        How long a node, or the network, is silent in normal times.
    stuck, units : Stuck and Units, optional
        How long a sensor repeats itself, and in which unit it reports; None: not watched.
    """

    def __init__(self, nodes: tuple[str, ...], step: np.timedelta64, silence: Silence, stuck: Stuck | None = None,
                 units: Units | None = None) -> None:
        self._nodes, self._step, self._silence, self._stuck, self._units = nodes, step, silence, stuck, units

    @classmethod
    def fit(cls, nodes: tuple[str, ...], step: np.timedelta64, block: int, seen: np.ndarray,
            values: np.ndarray | None) -> DataFaults:
        """From a reference in which ``seen`` (time, node) were reported, in blocks of so many rows; ``values`` (time,
        node) are the observations themselves."""
        silence = Silence.fit(seen, outage_after=max(2, block // 4), silent_after=SILENT_BLOCKS * block)
        return cls(nodes, step, silence, None if values is None else Stuck.fit(values),
                   None if values is None else Units.fit(values, block))

    @property
    def faulty(self) -> np.ndarray:
        """Which nodes have a ticket for what they report, bool (node,)."""
        faulty = np.zeros(len(self._nodes), bool) if self._stuck is None else self._stuck.stuck
        return faulty if self._units is None else faulty | self._units.converted

    def update(self, time: np.datetime64, missed: int, reported: np.ndarray, values: np.ndarray) -> list[Evidence]:
        """Take in the row of ``time``, before which ``missed`` rows never came; answers new tickets.

        ``reported`` (node,) bool: who said anything; ``values`` (node,): what, NaN where not known.
        """
        return self._silent(time, missed, reported) + self._wrong(time, values)

    def _silent(self, time: np.datetime64, missed: int, reported: np.ndarray) -> list[Evidence]:
        found: list[Evidence] = []
        appeared = np.zeros(len(reported), bool)
        for at, heard, steps in ((time - self._step, np.zeros(len(reported), bool), missed), (time, reported, 1)):
            if steps <= 0:
                continue
            outage, alone, appeared = self._silence.hear(heard, steps)
            if outage:
                found.append(_ticket("outage", time, at - self._silence.network * self._step, self._nodes,
                                     "most sensors report nothing: an outage of the data, not a drift of the world"))
            for node in np.flatnonzero(alone):
                name, since = self._nodes[node], at - int(self._silence.nodes[node]) * self._step
                found.append(_ticket("silent", time, since, (name,), f"{name} reports nothing"))
        new = [self._nodes[node] for node in np.flatnonzero(appeared)]
        return found + [_ticket("appeared", time, time, (name,), f"{name} reports now but hardly did before: it "
                                "is not watched until the monitor is fitted anew") for name in new]

    def _wrong(self, time: np.datetime64, values: np.ndarray) -> list[Evidence]:
        found: list[Evidence] = []
        if self._stuck is not None:
            for node in np.flatnonzero(self._stuck.hear(values)):
                name, since = self._nodes[node], time - (int(self._stuck.runs[node]) - 1) * self._step
                found.append(_ticket("stuck", time, since, (name,),
                                     f"{name} repeats one value: a stuck sensor, not a drift of the world"))
            values = np.where(self._stuck.stuck, np.nan, values)
        if self._units is not None:
            since = time - (IN_A_ROW * self._units.size - 1) * self._step
            for node, way in self._units.hear(values).items():
                name = self._nodes[node]
                found.append(_ticket("unit", time, since, (name,), f"{name} reports in another unit (about {way}): the "
                                     "data changed, not the world"))
        return found

    def state(self) -> dict[str, object]:
        """What was learned, and the counts."""
        return {"silence": self._silence.state(), "stuck": None if self._stuck is None else self._stuck.state(),
                "units": None if self._units is None else self._units.state()}

    @classmethod
    def restore(cls, state: Mapping[str, Any], nodes: tuple[str, ...], step: np.timedelta64) -> DataFaults:
        """What ``state`` described, for these nodes and this step."""
        stuck, units = state["stuck"], state["units"]
        return cls(nodes, step, Silence.restore(state["silence"]), None if stuck is None else Stuck.restore(stuck),
                   None if units is None else Units.restore(units))


def clock_back(now: np.datetime64, since: np.datetime64, nodes: tuple[str, ...]) -> Evidence:
    """The ticket for rows that came with times that fall."""
    return _ticket("clock", now, since, nodes,
                   "the clock went back: rows that are not later than the last one are left out")


def _ticket(ticket: str, time: np.datetime64, since: np.datetime64, nodes: tuple[str, ...], words: str) -> Evidence:
    return Evidence(time, since, nodes, "health", "none", 0.0, words, ticket)
