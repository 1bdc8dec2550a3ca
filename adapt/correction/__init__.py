"""Correction: what is served beside a base's own forecast, never much worse than it."""
