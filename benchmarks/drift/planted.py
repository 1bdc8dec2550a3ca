"""Changes planted into real backgrounds: what is done to which nodes, and where it begins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.streams.errors import TerracastError

SINGLE = ("shift", "variance", "spread", "freeze", "ramp", "phase")
CHANGE_TYPES = (*SINGLE, "region", "all")
# What the monitor must call each of them; a region and the whole network are shifted.
CALLED = {"shift": ("level",), "variance": ("scale",), "spread": ("scale",),
          "freeze": ("stuck",), "ramp": ("trend",), "phase": ("seasonality",), "region": ("level",), "all": ("level",)}
FACTOR = 1.75


class PlantError(TerracastError):
    """A type of change that does not exist."""


@dataclass(frozen=True)
class Plant:
    """One change: its type, the nodes that have it, its size in deviations of each node's training values."""

    change_type: str
    nodes: tuple[int, ...]
    size: float = 1.0

    def into(self, values: np.ndarray, expected: np.ndarray, later: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        """A copy of ``values`` (time, node) from its onset on, changed.

        ``expected``: the climatology at these times; ``later``: the same, some hours on (phase); ``deviation``
        (node,). Shift: + size deviations; variance: the variance around the
        climatology × 1.75; spread: the deviations from it × 1.75; freeze: the first value for ever;
        ramp: to the size by the middle of the rows, then as a shift; phase: the daily cycle some hours early.
        """
        changed, nodes = values.copy(), list(self.nodes)
        part, step = values[:, nodes], self.size * deviation[nodes]
        if self.change_type in ("shift", "region", "all"):
            changed[:, nodes] = part + step
        elif self.change_type in ("variance", "spread"):
            factor = FACTOR if self.change_type == "spread" else FACTOR**0.5
            changed[:, nodes] = expected[:, nodes] + factor * (part - expected[:, nodes])
        elif self.change_type == "freeze":
            for node in nodes:
                seen = np.isfinite(values[:, node])
                changed[:, node] = np.where(seen, values[np.argmax(seen), node], np.nan)
        elif self.change_type == "ramp":
            rise = np.minimum(np.arange(len(values)) / max(len(values) / 2, 1), 1.0)
            changed[:, nodes] = part + rise[:, None] * step
        elif self.change_type == "phase":
            changed[:, nodes] = part - expected[:, nodes] + later[:, nodes]
        else:
            raise PlantError(f"no change type {self.change_type!r}", where="--inject",
                             expected="all or some of " + ", ".join(CHANGE_TYPES), remedy="choose among these")
        return changed


def plants(change_types: tuple[str, ...], order: np.ndarray, chosen: np.ndarray, size: float) -> list[Plant]:
    """The changes to plant: each single type at each ``chosen`` node, a region around each, and one of all nodes.

    ``order`` (node, node): each node's others by nearness, itself first. A region is a tenth of the nodes, at least
    two; networks of fewer than four nodes have none, and none for the whole network where there is one node.

    >>> [one.change_type for one in plants(("shift", "all"), np.array([[0, 1], [1, 0]]), np.array([1]), 1.0)]
    ['shift', 'all']
    """
    nodes = len(order)
    made = [Plant(one, (int(node),), size) for one in change_types if one in SINGLE for node in chosen]
    if "region" in change_types and nodes >= 4:
        part = max(2, round(nodes / 10))
        made += [Plant("region", tuple(sorted(order[node][:part].tolist())), size) for node in chosen]
    if "all" in change_types and nodes > 1:
        made.append(Plant("all", tuple(range(nodes)), size))
    return made
