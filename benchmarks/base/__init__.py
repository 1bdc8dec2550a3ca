"""Benches of the base: zero-shot, ETTh1, scale, fine-tuning and light heads."""
