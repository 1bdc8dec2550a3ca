"""A global quantile forecaster: one small residual perceptron shared by all nodes, fitted to the data at hand."""
