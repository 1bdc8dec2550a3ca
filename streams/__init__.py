"""Data: the panel, as-known-at views, the store, readers and the simulated city."""
