"""Evaluation: scores, hindcasts, and policies replayed over history."""
