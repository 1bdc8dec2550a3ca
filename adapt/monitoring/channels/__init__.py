"""Channels beside the errors: covariate shift and the calibration of intervals."""
