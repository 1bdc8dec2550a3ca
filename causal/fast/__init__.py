"""Partial-correlation discovery from one lagged covariance: the same answers as tigramite's ParCorr, sooner."""
