"""Evidence of a change: what the monitor says, and what episodes are made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from terracast.adapt.monitoring.detection.glr_scan import WINDOWS
from terracast.adapt.monitoring.episodes.channel_evidence import kind_of
from terracast.adapt.monitoring.episodes.compared_windows import Span, Windows, windows_at
from terracast.adapt.monitoring.statistics.node_statistics import OF_ALL
from terracast.adapt.monitoring.statistics.reference_scale import varies


@dataclass(frozen=True)
class Evidence:
    """One sign of change: found at ``time``, going on ``since``, at ``nodes``.

    ``sort``: ``level`` (errors moved one way: ``up`` or ``down``), ``trend`` (they keep moving), ``scale`` (swings
    grew or shrank), ``seasonality`` (the daily cycle is another), ``relation`` (the node no longer follows its
    neighbours), ``input`` (what the forecaster sees is unlike the reference), ``calibration`` (intervals became too
    ``narrow`` or too ``wide``) or ``health`` (a data ticket, not a drift: ``ticket`` says ``outage``, ``silent``,
    ``lost driver``, ``appeared``, ``wiring``, ``clock``, or a label of ``streams.quality``: ``stuck``, ``unit``,
    ``range``, ``spike``). Its ``kind`` follows from the sort.
    ``strength``: how many times the limit was passed that normal times pass at the promised rate; for health 0.
    ``e_value``: how much a bet against normal weeks has grown (``adapt.monitoring.diagnosis.e_value``), 1 where none
    was made.
    ``earliest`` and ``latest``: the interval in which it began, where that was worked out. ``windows``: what was
    compared with what (none for a data ticket).
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
    windows: Windows | None = None

    @property
    def kind(self) -> str:
        """``error``, ``input``, ``calibration`` or ``health``."""
        return kind_of(self.sort)


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
