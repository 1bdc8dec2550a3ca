"""Several domains of different step and nodes on one clock and one set of nodes, without looking ahead."""

from terracast.streams.alignment.align import Rule, align
from terracast.streams.alignment.context import context
from terracast.streams.alignment.in_space import Place, place_of
from terracast.streams.alignment.in_time import TimeAxis

__all__ = ["Place", "Rule", "TimeAxis", "align", "context", "place_of"]
