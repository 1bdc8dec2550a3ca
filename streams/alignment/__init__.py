"""Several domains of different step and nodes on one clock and one set of nodes, without looking ahead."""

from streams.alignment.align import Rule, align
from streams.alignment.in_space import Place, place_of
from streams.alignment.in_time import Clock

__all__ = ["Clock", "Place", "Rule", "align", "place_of"]
