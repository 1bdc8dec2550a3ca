"""Causal discovery: prepare, discover, choose drivers, draw and export the graph."""
