"""Benches of drivers: in simulated worlds whose useful ones are known, and on real files."""
