"""The verbs of the ``terracast`` command, a file for each group; each imports what it runs only when it is called."""
