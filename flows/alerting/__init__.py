"""Alerts to people: what is told to whom, kept until it has arrived, and by which way."""
