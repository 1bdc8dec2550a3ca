"""Drivers: candidates from the causal graph, judged by ablation with the forecaster that serves, watched in service."""
