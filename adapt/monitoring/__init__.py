"""Monitoring: residuals in, evidence and episodes of change out, at a stated number of false alarms."""
