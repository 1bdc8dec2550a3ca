"""The site: what the report tells, in pages; the data of each node in a file that is loaded when asked for."""
