"""Bench of policies: bases and policies beside plain peers, over real streams as if live."""
