"""A workspace in one file: what belongs to it, how it is held still while it is copied, and the file itself."""
