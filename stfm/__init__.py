"""Base models: one Forecaster interface, a seasonal naive, a small MLP and the pre-trained base."""
