"""Evidence of a change: what the monitor says, and what episodes are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Evidence:
    """One sign of change: found at ``time``, going on ``since``, at ``nodes``.

    ``sort``: ``level`` (errors moved one way: ``up`` or ``down``), ``trend`` (they keep moving), ``scale`` (swings
    grew or shrank), ``seasonality`` (the daily cycle is another), ``relation`` (the node no longer follows its
    neighbours) or ``health`` (a data ticket, not a drift: ``ticket`` says ``outage``, ``silent``, ``stuck``,
    ``unit``, ``lost driver``, ``appeared``, ``wiring``, ``clock``).
    ``strength``: how many times the limit was passed that normal times pass at the promised rate; for health 0.
    ``e_value``: how much a bet against normal weeks has grown (``adapt.monitoring.e_detector``), 1 where none was made.
    ``earliest`` and ``latest``: the interval in which it began, where that was worked out.
    """

    time: np.datetime64
    since: np.datetime64
    nodes: tuple[str, ...]
    sort: str
    direction: str
    strength: float
    words: str
    ticket: str = ""
    earliest: np.datetime64 | None = None
    latest: np.datetime64 | None = None
    e_value: float = 1.0
