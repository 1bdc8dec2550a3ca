"""What is usual for each node: learned from a past panel, kept as arrays, used by every check that compares.

A reference is plain data (``state``/``restore``), so that the store can keep it and a step need not read
years.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np

from terracast.streams.errors import PanelError
from terracast.streams.stateful import Stateful

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Climatology(Stateful):
    """The usual behaviour of one variable; arrays are (node,) unless said otherwise.

    ``offset``: the transform is log(1 + x / offset), or x itself where offset is 0. ``profile`` (class,
    node): median by hour of the day, transformed. ``scale``: robust deviation from it. ``neighbours`` (node,
    k): whom the node is compared with, -1 for none; ``share``: how much of their anomaly is its own.
    ``noise``: robust deviation of what is left; ``memory``: its lag-1 correlation. ``still``: a smaller
    change is none. ``longest``, ``longest_floor``: longest still run above and at ``floor``; ``floor_share``:
    share of values there. ``spike`` (up, down, back; node), ``unit`` (alternative, node), ``clock`` (shift,
    node): what evidence must exceed, from the past; ``hits``: most values at one ceiling. ``gap``: usual
    longest gap in rows. ``reports``: share of rows with a value. ``top``, ``top_hits``: the highest value of
    all nodes, shape (1,), and how often it was reached.
    """

    offset: float
    profile: np.ndarray
    scale: np.ndarray
    neighbours: np.ndarray
    share: np.ndarray
    noise: np.ndarray
    memory: np.ndarray
    still: np.ndarray
    longest: np.ndarray
    longest_floor: np.ndarray
    floor: np.ndarray
    floor_share: np.ndarray
    spike: np.ndarray
    unit: np.ndarray
    clock: np.ndarray
    hits: np.ndarray
    gap: np.ndarray
    reports: np.ndarray
    top: np.ndarray
    top_hits: np.ndarray

    def transformed(self, values: np.ndarray) -> np.ndarray:
        """Values on the scale on which anomalies are measured."""
        if not self.offset:
            return values.astype(np.float32)
        return np.log1p(np.maximum(values, 0.0) / self.offset).astype(np.float32)


@dataclass(frozen=True)
class Reference(Stateful):
    """What is usual for the nodes and variables of a domain, and after which delay (ns) a report is known.

    ``clock`` (shift, node): the past's limit of the evidence that all variables give together for a shifted
    clock.

    >>> import pandas as pd, xarray as xr
    >>> from terracast.streams.quality.learning import learn
    >>> hours = pd.date_range("2020-01-01", periods=24 * 20, freq="h")
    >>> speed = np.random.default_rng(0).gamma(4.0, 1.0, (480, 1))
    >>> wind = xr.Dataset({"wind": (("time", "node"), speed, {"units": "m s-1", "long_name": "wind speed"})},
    ...                   {"time": hours, "node": ["mast"]}, {"domain": "w", "kind": "sensor", "step": "1h"})
    >>> usual = Reference.restore(learn(wind).state())
    >>> usual.nodes, list(usual.variables), int(usual.variables["wind"].longest[0])
    (('mast',), ['wind'], 2)
    """

    nodes: tuple[str, ...]
    variables: Mapping[str, Climatology]
    delay: int
    clock: np.ndarray

    def on(self, name: str, nodes: tuple[str, ...]) -> Climatology | None:
        """What is usual for a variable on these nodes, NaN and -1 for nodes that the reference has not
        seen."""
        usual = self.variables.get(name)
        if usual is None or nodes == self.nodes:
            return usual
        mine = self._places(nodes)
        if (mine < 0).all():
            return None
        theirs = np.full(len(self.nodes) + 1, -1)  # the last one answers for "no neighbour"
        theirs[mine[mine >= 0]] = np.flatnonzero(mine >= 0)
        changed: Arrays = {}
        for one in fields(usual):
            value = getattr(usual, one.name)
            if one.name in ("offset", "top", "top_hits"):
                changed[one.name] = value
            elif one.name == "neighbours":
                changed[one.name] = np.where(mine[:, None] >= 0, theirs[value[np.maximum(mine, 0)]], -1)
            else:
                changed[one.name] = np.where(mine >= 0, value[..., np.maximum(mine, 0)], np.nan)
        return Climatology(**cast("dict[str, Any]", changed))

    def clock_on(self, nodes: tuple[str, ...]) -> np.ndarray:
        """The limits ``clock`` on these nodes, NaN for nodes that the reference has not seen."""
        mine = self._places(nodes)
        return np.where(mine >= 0, self.clock[:, np.maximum(mine, 0)], np.nan)

    def _places(self, nodes: tuple[str, ...]) -> np.ndarray:
        places = {node: at for at, node in enumerate(self.nodes)}
        return np.array([places.get(node, -1) for node in nodes])


def check_reference(reference: object) -> None:
    """``PanelError`` where something else was given as a reference (a panel, say)."""
    if reference is not None and not isinstance(reference, Reference):
        raise PanelError(f"reference is a {type(reference).__name__}", where="quality", expected="a Reference",
                         remedy="give learn(panel of the past)")
