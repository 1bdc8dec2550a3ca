"""What a file holds, found from its content: the options with which ``streams.readers`` reads it, and doubts."""
