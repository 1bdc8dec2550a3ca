"""Evidence of a change: what the monitor found, and what episodes are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from terracast.adapt.monitoring.detection.glr_scan import WINDOWS
from terracast.adapt.monitoring.diagnosis.compared_windows import Span, Windows, windows_at
from terracast.adapt.monitoring.diagnosis.effect import Effect
from terracast.adapt.monitoring.statistics.node_statistics import OF_ALL
from terracast.adapt.monitoring.statistics.reference_scale import varies
from terracast.streams.stateful import Stateful

CHANNELS = ("error", "input", "calibration", "health")
COSTS = ("error", "calibration")  # what labels said: only these are losses
NAMED = 5  # nodes whose names an episode keeps


def channel_of(change_type: str) -> str:
    """The channel that names a ``change_type``: all types that are not a channel of their own are about errors.

    >>> channel_of("level"), channel_of("input")
    ('error', 'input')
    """
    return change_type if change_type in CHANNELS else "error"


@dataclass(frozen=True)
class Evidence(Stateful):
    """One sign of change: found at ``time``, going on ``since``, at ``nodes``.

    Attributes
    ----------
    change_type : str
        ``level`` (errors moved one way: ``up`` or ``down``), ``trend`` (they keep moving), ``scale`` (swings grew or
        shrank), ``seasonality`` (the daily cycle is another), ``relation`` (the node no longer follows its
        neighbours), ``input`` (what the forecaster sees is unlike the reference), ``calibration`` (intervals became
        too ``narrow`` or too ``wide``) or ``health`` (a data ticket, not a drift).
    strength : float
        How many times the limit was passed that normal times pass at the promised rate; for health 0.
    ticket : str
        Of a data ticket: ``outage``, ``silent``, ``lost driver``, ``appeared``, ``wiring``, ``clock``, or a label of
        ``streams.quality``: ``stuck``, ``unit``, ``range``, ``spike``.
    details : mapping
        What the sentence of the type or ticket names besides (``episodes.alarm_text``).
    size, amount : float, float or None
        How far errors moved: in deviations of the residual, and in the data's units (None: not known).
    effect : Effect, optional
        The change beside the weeks before.
    earliest, latest : datetime64, optional
        The interval in which it began, where that was worked out.
    e_value, streams : float, int
        How much a bet against normal weeks has grown (``adapt.monitoring.diagnosis.e_value``), 1 where none was made;
        and over how many streams.
    windows : Windows, optional
        What was compared with what; none for a data ticket.
    others : int
        Nodes beside ``nodes``, whose names were not kept.
    common : bool
        Whether it is of what several nodes share; else of nodes beside the others.
    """

    time: np.datetime64
    since: np.datetime64
    nodes: tuple[str, ...]
    change_type: str
    direction: str
    strength: float
    ticket: str = ""
    details: Mapping[str, object] = field(default_factory=dict)
    size: float = 0.0
    amount: float | None = None
    effect: Effect | None = None
    earliest: np.datetime64 | None = None
    latest: np.datetime64 | None = None
    e_value: float = 1.0
    streams: int = 1
    windows: Windows | None = None
    others: int = 0
    common: bool = False

    @property
    def channel(self) -> str:
        """``error``, ``input``, ``calibration`` or ``health``."""
        return channel_of(self.change_type)

    def kept(self) -> Evidence:
        """As an episode keeps it: a few names stand for a thousand nodes."""
        return replace(self, since=self.since.astype("datetime64[ns]"), nodes=self.nodes[:NAMED],
                       others=max(0, len(self.nodes) - NAMED) + self.others)


def with_windows(found: Iterable[Evidence], scores: np.ndarray, nodes: tuple[str, ...], end: np.datetime64,
                 span: np.timedelta64, blocks: int, reference: Span) -> list[Evidence]:
    """``found`` with the windows that it is about: of the ``scores`` (window, stream) of its nodes, as
    ``NodeStatistics`` lays streams out, the window of the loudest; ``blocks`` there were, the last of which ended at
    ``end``."""
    sizes = np.nan_to_num(np.abs(scores))
    of_nodes = sizes[:, :-len(OF_ALL)].reshape(len(sizes), -1, len(nodes)).max(axis=1)
    stated = []
    for one in found:
        wide = len(one.nodes) == len(nodes)
        loud = sizes.max(axis=1) if wide else of_nodes[:, [nodes.index(node) for node in one.nodes]].max(axis=1)
        stated.append(replace(one, windows=windows_at(end, span, WINDOWS[int(np.argmax(loud))], blocks, reference)))
    return stated


def of_nodes_that_vary(found: list[Evidence], nodes: tuple[str, ...], levels: np.ndarray) -> list[Evidence]:
    """``found``, where what the whole network shows is said of those of its ``nodes`` whose ``levels`` (block, node)
    vary: the others did not change."""
    if not any(one.nodes == nodes for one in found):
        return found
    varied = tuple(name for name, moves in zip(nodes, varies(levels), strict=True) if moves)
    return [replace(one, nodes=varied) if varied and one.nodes == nodes else one for one in found]
