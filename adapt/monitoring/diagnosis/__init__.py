"""Diagnosis: where a change is, since when, of which type and how strong."""
