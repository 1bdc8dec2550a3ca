"""Benches of monitoring: planted and known changes, stationary replays, labelled series, the detector bank."""
