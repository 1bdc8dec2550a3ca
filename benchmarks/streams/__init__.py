"""Benches of the streams: store, events, quality."""
