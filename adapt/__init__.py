"""Adaptation: the clock, the monitor, the rungs, the gate, the loop and its replay."""
