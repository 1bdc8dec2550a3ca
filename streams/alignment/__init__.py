"""Several domains of different step and nodes on one clock and one set of nodes, without looking ahead."""

from streams.alignment.align import Rule, align
from streams.alignment.context import context
from streams.alignment.in_space import Place, place_of
from streams.alignment.in_time import TimeAxis

__all__ = ["Place", "Rule", "TimeAxis", "align", "context", "place_of"]
