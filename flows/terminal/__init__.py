"""What is written to a terminal: tables, notes, progress and one-line errors."""
