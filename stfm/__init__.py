"""Base models: one Forecaster interface, a seasonal naive, and a small native torch model."""
