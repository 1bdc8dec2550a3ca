"""Mixing: closed-form experts beside a base, weighed online, never much worse than the base at any node."""
