"""Detection: which statistics changed, under one budget of false alarms."""
