"""``terracast scorecard``: the verb, its maps and its page."""
