"""Benches of causal search: known graphs, simulated panels, forbidden links, speed."""
