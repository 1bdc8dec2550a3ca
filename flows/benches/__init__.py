"""``terracast bench``: each bench's options and how its answer is told."""
