"""The causal graph as a value: changes, drift, drawing, exports and words."""
