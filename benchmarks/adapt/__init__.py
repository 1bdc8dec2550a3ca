"""Benches of adaptation: the published protocols, online streams, the gate, cost, new nodes, the rungs."""
