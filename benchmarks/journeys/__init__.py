"""Bench of journeys: the verbs that a new user types, one after the other, on any file."""
