"""The site: what the report tells, in pages of their own, with the data of each node in a file that is loaded when asked."""
