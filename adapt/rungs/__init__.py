"""Rungs: the ways to adapt, cheapest first, all behind one contract (``adapt.rungs.rung``)."""
