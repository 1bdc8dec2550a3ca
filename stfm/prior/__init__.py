"""Simulated worlds: all that the base model is pre-trained on. No real data, nothing fitted to any."""
